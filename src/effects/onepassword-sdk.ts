import { type Client, createClient } from '@1password/sdk';
import type { BatchAnswer, ReferenceAnswer } from '../domain/batch.ts';

export type { Client };

/** Signs in, with the official SDK. Runs in a process of its own, as the SDK has no timeout and can trap. */
export async function signIn(
  token: string,
  version: string,
): Promise<{ readonly client: Client } | { readonly message: string }> {
  try {
    const client = await createClient({
      auth: token,
      integrationName: 'unit-secrets',
      integrationVersion: version,
    });
    return { client };
  } catch (error) {
    return { message: messageOf(error) };
  }
}

/** How many vaults are asked about, and for how long altogether, in milliseconds: what has been had is not to wait for it. */
const [mostProbes, longestProbing] = [3, 5_000];

/**
 * Resolves references in one batch. Where the SDK gives no reason (`other`: the list of a vault or a file could
 * not be had), one reference of each such vault is asked for by itself, which tells: a rate limit must not be
 * taken for an outage and asked again. The client has to be kept: the SDK frees what it thinks nobody holds. */
export async function resolveWith(client: Client, references: readonly string[]): Promise<BatchAnswer> {
  try {
    const response = await client.secrets.resolveAll([...references]);
    const results: Record<string, ReferenceAnswer> = Object.create(null);
    for (const reference of references) {
      const one = response.individualResponses[reference];
      if (one?.content) results[reference] = { value: one.content.secret };
      else results[reference] = { error: one?.error?.type ?? 'other' };
    }
    for (const [reference, message] of await reasonsOf(client, results))
      results[reference] = { error: 'other', message };
    return { ok: true, results };
  } catch (error) {
    return { ok: false, message: messageOf(error) };
  }
}

/** What the SDK says of references that failed without a reason, as far as it is told in time. */
async function reasonsOf(
  client: Client,
  results: Readonly<Record<string, ReferenceAnswer>>,
): Promise<ReadonlyMap<string, string>> {
  const reasons = new Map<string, string>();
  const vaults = new Map<string, string[]>();
  for (const [reference, one] of Object.entries(results)) {
    if (!('error' in one) || one.error !== 'other') continue;
    const [vault = ''] = reference.slice('op://'.length).toLowerCase().split('/');
    const references = vaults.get(vault);
    if (references) references.push(reference);
    else vaults.set(vault, [reference]);
  }
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, longestProbing, undefined);
  for (const references of [...vaults.values()].slice(0, mostProbes)) {
    const reason = await Promise.race([reasonOf(client, references[0] ?? ''), late]);
    if (reason === undefined) continue;
    for (const reference of references) reasons.set(reference, reason);
  }
  clearTimeout(timer);
  return reasons;
}

/** Why a reference cannot be resolved; undefined if it can by now. */
async function reasonOf(client: Client, reference: string): Promise<string | undefined> {
  try {
    await client.secrets.resolve(reference);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
