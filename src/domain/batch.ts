import { type Failure, FailureError } from './failure.ts';
import type { Resolution } from './provider.ts';
import { classifyAlone, classifyReferenceError, classifySdkMessage, scopeOf } from './sdk-failure.ts';

/** What the SDK says of one reference: of those that it calls `other`, with the text of a call for one of them. */
export type ReferenceAnswer =
  | { readonly value: string }
  | { readonly error: string; readonly message?: string };

/** What the SDK's `resolveAll` says: an answer for each reference, or one text for the whole call. */
export type BatchAnswer =
  | { readonly ok: false; readonly message: string }
  | {
      readonly ok: true;
      readonly results: Readonly<Record<string, ReferenceAnswer>>;
    };

/** More calls than this for one batch are a sign that something else is wrong. */
const mostCalls = 64;

/**
 * Resolves references as one batch. A call that fails as a whole is one reference's fault at times (an
 * archived item, a wrong vault id: docs/notes/onepassword-sdk.md): then vault by vault, and within a vault by
 * halves, until only those that fail by themselves are left without a value. What is nobody's fault in
 * particular (network, token, rate limit) ends it, for all that are still open.
 *
 * @throws FailureError if the first call fails so
 */
export async function resolveInParts(
  references: readonly string[],
  call: (references: readonly string[]) => Promise<BatchAnswer>,
): Promise<ReadonlyMap<string, Resolution>> {
  const resolutions = new Map<string, Resolution>();
  let calls = 0;
  /** Why no more calls are made. */
  let ended: Failure | undefined;

  /** @returns why the call failed as a whole, if it did and a smaller one could do better */
  async function attempt(part: readonly string[]): Promise<string | undefined> {
    if (calls >= mostCalls) ended ??= classifySdkMessage('too many calls');
    if (ended === undefined) {
      const answer = await askAgain(part);
      if (answer?.ok) {
        for (const reference of part) resolutions.set(reference, resolutionOf(reference, answer.results));
        return undefined;
      }
      if (answer && scopeOf(answer.message) !== 'all') return answer.message;
      ended ??= classifySdkMessage(answer?.message ?? '');
    }
    failAll(part, ended);
    return undefined;
  }

  /** What the first call could not be made for is the caller's affair; later, what is there already is kept. */
  async function askAgain(part: readonly string[]): Promise<BatchAnswer | undefined> {
    try {
      return await call(part);
    } catch (error) {
      if (calls === 0 || !(error instanceof FailureError)) throw error;
      ended = error.failure;
      return undefined;
    } finally {
      calls++;
    }
  }

  function failAll(part: readonly string[], failure: Failure): void {
    for (const reference of part) resolutions.set(reference, { ok: false, failure });
  }

  /** Takes apart what is known to fail together. */
  async function split(groups: readonly (readonly string[])[]): Promise<void> {
    const [first = [], ...others] = groups;
    if (others.length === 0) {
      await alone(first);
      return;
    }
    const middle = Math.ceil(groups.length / 2);
    const left = groups.slice(0, middle);
    const right = groups.slice(middle);
    const innocent = await settle(left);
    // what fails together has a culprit: if it is not in one half, the other need not be asked as a whole
    if (innocent) await split(right);
    else await settle(right);
  }

  /** @returns whether all of it could be asked for in one call */
  async function settle(groups: readonly (readonly string[])[]): Promise<boolean> {
    if (groups.length === 1) return alone(groups.flat());
    if ((await attempt(groups.flat())) === undefined) return ended === undefined;
    await split(groups);
    return false;
  }

  /** Fields of one item: what is wrong with the item is wrong with all of them. */
  async function alone(part: readonly string[]): Promise<boolean> {
    const message = await attempt(part);
    if (message === undefined) return ended === undefined;
    for (const reference of part)
      resolutions.set(reference, { ok: false, failure: classifyAlone(reference, message) });
    return false;
  }

  const message = await attempt(references);
  if (ended) throw new FailureError(ended);
  if (message === undefined) return resolutions;
  const vaults = groupBy(references, ([vault]) => vault);
  for (const vault of vaults) {
    const failed = vaults.length === 1 ? message : await attempt(vault);
    if (failed === undefined) continue;
    if (scopeOf(failed) === 'vault') failAll(vault, classifySdkMessage(failed));
    else await split(suspectsFirst(groupBy(vault, ([, item]) => item)));
  }
  return resolutions;
}

function resolutionOf(reference: string, results: Extract<BatchAnswer, { ok: true }>['results']): Resolution {
  const one = Object.hasOwn(results, reference) ? results[reference] : undefined;
  if (one && 'value' in one && typeof one.value === 'string') return { ok: true, value: one.value };
  const type = one && 'error' in one && typeof one.error === 'string' ? one.error : 'other';
  const message = one && 'message' in one && typeof one.message === 'string' ? one.message : undefined;
  return { ok: false, failure: classifyReferenceError(reference, type, message) };
}

/** Vault and item of a reference; names know no case. */
function partsOf(reference: string): [vault: string, item: string] {
  const [vault = '', item = ''] = reference.slice('op://'.length).toLowerCase().split('/');
  return [vault, item];
}

function groupBy(
  references: readonly string[],
  key: (parts: [vault: string, item: string]) => string,
): readonly (readonly string[])[] {
  const groups = new Map<string, string[]>();
  for (const reference of references) {
    const name = key(partsOf(reference));
    const group = groups.get(name);
    if (group) group.push(reference);
    else groups.set(name, [reference]);
  }
  return [...groups.values()];
}

/** By name, what is archived is not found, and hurts nobody: those by id come first, so that halves are unlike. */
function suspectsFirst(groups: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const byId = (group: readonly string[]): boolean => /^[a-z2-7]{26}$/.test(partsOf(group[0] ?? '')[1]);
  return [...groups.filter(byId), ...groups.filter((group) => !byId(group))];
}
