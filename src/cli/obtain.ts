import { type Answer, answerOf } from '../domain/answer.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { type Failure, FailureError } from '../domain/failure.ts';
import type { Resolution } from '../domain/provider.ts';
import { notReached } from '../domain/sdk-failure.ts';
import { companionName, parseServiceName, serviceKey } from '../domain/service-name.ts';
import { isClockInDoubt } from '../effects/clock-sync.ts';
import { coolDownFailure, coolDownLeft } from '../effects/cool-down.ts';
import {
  forgetFetchState,
  readFetchState,
  rememberedFailure,
  writeFetchState,
} from '../effects/fetch-state.ts';
import { log } from '../effects/journal-log.ts';
import { notify } from '../effects/notify.ts';
import { shortHash } from '../effects/short-hash.ts';
import { readOpenedToken } from '../effects/token.ts';
import { uptime } from '../effects/uptime.ts';
import { type ObtainRequest, obtain, type Progress } from '../fetch/obtain.ts';
import type { ProviderPlan } from '../fetch/read-plan.ts';
import { paths } from '../unit/paths.ts';
import { askInTurn } from './ask-in-turn.ts';
import { selfCommand } from './self.ts';
import { triedAgain, triedAgainOrAtOnce } from './tried-again.ts';

/** The longest that one try of a service that fetches alone may take, in milliseconds. */
const longestTry = 30_000;
/** The longest that a service that fetches alone may take altogether, in seconds; a try may end a second later. */
const longestAlone = 73;

/** How a service comes by its values, and what is remembered of it. */
export interface Obtaining {
  /** The values of all references; @throws FailureError */
  obtain(references: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /**
   * Remembers a permanent failure of what was made of the values, so that the retry timer does not fetch them
   * again and again for nothing.
   */
  remember(failure: Failure): void;
  /** How far it is, in words. */
  status(): string;
}

/**
 * Obtains values as the plan says: from a vault file at once, from 1Password as one batch with all others
 * that want some, or, with `alone`, in a session of its own without queue, lock and cool-down.
 */
export function obtainFrom(
  provider: ProviderPlan,
  root: string,
  request: Omit<ObtainRequest, 'references'>,
  options: { readonly alone?: boolean } = {},
): Obtaining {
  const { service, tries } = request;
  const alone = options.alone === true;
  const queue = root + paths.queue;
  const names = namesOf(service);
  /** A digest of the token that was used; empty before, and where there is none. */
  let token = '';
  let asked = 0;
  let status = 'fetching';

  const write = (progress: Progress): void => {
    if (alone) return;
    const now = uptime();
    const left = progress.state === 'failed' ? coolDownLeft(queue, token) : undefined;
    const wait = progress.state === 'backing-off' ? progress.wait / 1000 : left;
    writeFetchState(queue, {
      service,
      state: progress.state,
      since: now,
      try: progress.try,
      tries,
      ...('failure' in progress ? { failure: progress.failure } : {}),
      ...(wait === undefined ? {} : { next: now + wait }),
      ...(request.force ? { reload: true as const } : {}),
      unit: request.unitDigest,
      token,
    });
  };

  return {
    async obtain(references) {
      if (references.length === 0) {
        // a failure that the last edition of the entry had is none of this one
        if (!alone) forgetFetchState(queue, service);
        return new Map();
      }
      const secret = provider.type === '1password' ? readOpenedToken(root) : '';
      token = secret === '' ? '' : shortHash(secret);
      const bounded = alone ? { ...request, timeout: Math.min(request.timeout, longestAlone) } : request;
      const deadline = performance.now() + bounded.timeout * 1000;
      const ask = (until: number): Promise<Answer | undefined> => {
        asked++;
        if (provider.type === 'age-vault') return askVault(provider, root, references);
        if (alone) return askAlone(secret, references, until);
        const turn = { id: `${process.pid}-${asked}`, service, references };
        return askInTurn(turn, { root, queue, token, deadline, until });
      };
      try {
        return await obtain(
          { ...bounded, references },
          {
            ask: async (until) => doubtful(await ask(until), root),
            coolDown: () => (alone || secret === '' ? undefined : coolDownFailure(queue, token)),
            // a vault file may have changed, and to look again costs nobody anything
            remembered: () =>
              alone || provider.type === 'age-vault'
                ? undefined
                : remembered(queue, service, names, { unit: request.unitDigest, token }),
            tell: (progress) => {
              write(progress);
              status = statusOf(progress, tries);
              notify({ status });
            },
            log: (level, message, fields) =>
              log(level, message, {
                UNIT_SECRETS_SERVICE: service,
                OBJECT_SYSTEMD_UNIT: alone ? service : names.unit,
                ...fields,
              }),
            now: () => performance.now(),
            sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
            random: Math.random,
          },
        );
      } catch (error) {
        if (!(error instanceof FailureError)) throw error;
        throw new FailureError(withRemedy(error.failure, names, alone || provider.type === 'age-vault'));
      }
    },
    status: () => status,
    remember(failure) {
      // a start at which nobody was asked is not remembered: to try it again costs nothing
      if (asked > 0 || request.force) write({ state: 'failed', try: asked, failure });
    },
  };
}

async function askVault(
  provider: Extract<ProviderPlan, { type: 'age-vault' }>,
  root: string,
  references: readonly string[],
): Promise<Answer> {
  const { ageVaultProvider } = await import('../effects/age-vault-provider.ts');
  const identities = provider.identities.map((path) => root + path);
  return answerFrom(
    references,
    ageVaultProvider({ path: root + provider.path, identities }).resolve(references),
  );
}

async function askAlone(token: string, references: readonly string[], until: number): Promise<Answer> {
  const { openOnePassword } = await import('../effects/onepassword-provider.ts');
  const within = Math.max(1000, Math.min(longestTry, until - performance.now()));
  const session = openOnePassword({ command: selfCommand('resolve-child'), token });
  try {
    return await answerFrom(references, session.resolve(references, within));
  } finally {
    session.close();
  }
}

async function answerFrom(
  references: readonly string[],
  resolving: Promise<ReadonlyMap<string, Resolution>>,
): Promise<Answer> {
  try {
    return answerOf(references, await resolving);
  } catch (error) {
    if (error instanceof FailureError) return { ok: false, failure: error.failure };
    throw error;
  }
}

/**
 * A token may be refused because the clock is wrong, and is then not to blame. A certificate as well, but the SDK
 * has one text for all that keeps it from connecting.
 */
function doubtful(answer: Answer | undefined, root: string): Answer | undefined {
  if (!answer || answer.ok) return answer;
  const isRefused = answer.failure.exitCode === exitCodes.noPermission;
  if ((!isRefused && answer.failure.message !== notReached) || !isClockInDoubt(root)) return answer;
  const failure: Failure = {
    class: 'transient',
    exitCode: exitCodes.temporaryFailure,
    message: `${answer.failure.message}, perhaps because the clock has not been set yet`,
  };
  return { ...answer, failure };
}

function remembered(
  queue: string,
  service: string,
  names: Names,
  digests: { readonly unit: string; readonly token: string },
): Failure | undefined {
  const now = uptime();
  const failure = rememberedFailure(readFetchState(queue, service), { ...digests, uptime: now });
  if (!failure) return undefined;
  const ago = Math.floor((now - failure.since) / 60);
  return {
    class: failure.class,
    exitCode: failure.exitCode,
    message: `${failure.message}: found ${ago === 0 ? 'less than a minute' : `${ago} min`} ago, not asked again`,
    hint: `it is asked again when 15 min have passed or the unit or token has changed, and always by ${names.always}`,
  };
}

interface Names {
  /** The unit that fetches. */
  readonly unit: string;
  /** The commands that always ask. */
  readonly always: string;
  readonly retry: string;
  readonly reload: string;
}

function namesOf(service: string): Names {
  const parsed = parseServiceName(service);
  const unit = parsed.ok ? companionName(parsed.service, 'secrets') : service;
  const retry = `unit-secrets retry ${parsed.ok ? serviceKey(parsed.service) : service}`;
  const reload = `systemctl reload ${unit}`;
  return { unit: `${unit}.service`, retry, reload, always: `"${retry}" and "${reload}"` };
}

/** The last word in the journal says what to do. */
function withRemedy(failure: Failure, names: Names, unremembered: boolean): Failure {
  const hint = failure.hint === undefined ? '' : `${failure.hint}; `;
  if (unremembered || failure.hint?.includes(names.always)) return failure;
  if (failure.class === 'permanent') {
    const first = hint === '' ? 'when that is mended, ' : `${hint}then `;
    return { ...failure, hint: `${first}"${names.retry}", or "${names.reload}" if it runs` };
  }
  const again = failure.class === 'rate-limited' ? triedAgain : triedAgainOrAtOnce(names.retry);
  return { ...failure, hint: hint + again };
}

function statusOf(progress: Progress, tries: number): string {
  const count = `try ${progress.try} of ${tries}`;
  switch (progress.state) {
    case 'waiting':
      return `${count}: waiting for the answer`;
    case 'backing-off':
      return `${count}: ${progress.failure.message}, next in ${Math.ceil(progress.wait / 1000)} s`;
    case 'failed':
      return `${count}: ${progress.failure.message}`;
    case 'fetched':
      return 'fetched';
  }
}
