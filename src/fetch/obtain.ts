import { exitCodes } from '../domain/exit-codes.ts';
import { type Failure, FailureError } from '../domain/failure.ts';
import type { Provider } from '../domain/provider.ts';

/** What one start of X-secrets.service wants of the provider. */
export interface ObtainRequest {
  /** The unit that the secrets are for, with its suffix. */
  readonly service: string;
  readonly references: readonly string[];
  readonly tries: number;
  /** Seconds for everything, waiting for others included. */
  readonly timeout: number;
  /** A digest of `[X-Secrets]`: while it stays, a permanent failure stays too. */
  readonly unitDigest: string;
  /** Whether to ask even for what is known not to be there. */
  readonly force: boolean;
}

/** What obtaining values needs of the world. */
export interface ObtainWorld {
  readonly provider: (remaining: number) => Promise<Provider>;
  /** Runs while nobody else fetches; undefined if the deadline (milliseconds, monotonic) passed before. */
  readonly exclusively: <T>(deadline: number, work: () => Promise<T>) => Promise<T | undefined>;
  readonly log: (level: 'error' | 'warning' | 'info', message: string) => void;
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

const backoffBase = 500;
const backoffCap = 30_000;

/** The wait before the try after `tried` ones: exponential with full jitter, in milliseconds. */
export function backoff(tried: number, random: () => number): number {
  return random() * Math.min(backoffCap, backoffBase * 2 ** tried);
}

/**
 * Obtains the values of all references, with tries.
 *
 * @throws FailureError with the failure of the last try
 */
export async function obtain(
  request: ObtainRequest,
  world: ObtainWorld,
): Promise<ReadonlyMap<string, string>> {
  if (request.references.length === 0) return new Map();
  return resolveAll(request.references, request, world, world.now() + request.timeout * 1000);
}

async function resolveAll(
  references: readonly string[],
  request: ObtainRequest,
  world: ObtainWorld,
  deadline: number,
): Promise<Map<string, string>> {
  let last: Failure = {
    class: 'transient',
    exitCode: exitCodes.temporaryFailure,
    message: `other services were still fetching when ${request.timeout} s had passed`,
  };
  for (let tried = 0; tried < request.tries; tried++) {
    const outcome = await world.exclusively(deadline, async () => {
      const provider = await world.provider(deadline - world.now());
      return tryOnce(provider, references);
    });
    if (outcome === undefined) break;
    if (outcome.ok) {
      world.log(
        'info',
        `try ${tried + 1} of ${request.tries}: fetched ${references.length} secret${references.length === 1 ? '' : 's'}`,
      );
      return outcome.values;
    }
    last = outcome.failure;
    const wait = backoff(tried, world.random);
    const final = last.class === 'permanent' || tried + 1 === request.tries || world.now() + wait >= deadline;
    const next = final ? '' : `, next in ${(wait / 1000).toFixed(1)} s`;
    world.log('warning', `try ${tried + 1} of ${request.tries}: ${last.class}: ${last.message}${next}`);
    if (final) break;
    await world.sleep(wait);
  }
  throw new FailureError(last);
}

type Outcome = { ok: true; values: Map<string, string> } | { ok: false; failure: Failure };

async function tryOnce(provider: Provider, references: readonly string[]): Promise<Outcome> {
  try {
    const resolutions = await provider.resolve(references);
    const values = new Map<string, string>();
    const failures: Failure[] = [];
    for (const reference of references) {
      const resolution = resolutions.get(reference);
      if (resolution?.ok) values.set(reference, resolution.value);
      else if (resolution) failures.push(resolution.failure);
    }
    if (failures.length === 0 && values.size === references.length) return { ok: true, values };
    // a permanent one cannot be helped by another try; else the first speaks for all
    const chosen = failures.find((failure) => failure.class === 'permanent') ?? failures[0];
    const permanent = failures.filter((failure) => failure.class === 'permanent');
    const failure = chosen ?? {
      class: 'transient',
      exitCode: exitCodes.temporaryFailure,
      message: 'the provider left references unanswered',
    };
    return {
      ok: false,
      failure:
        permanent.length > 1
          ? { ...failure, message: permanent.map(({ message }) => message).join('; ') }
          : failure,
    };
  } catch (error) {
    if (error instanceof FailureError) return { ok: false, failure: error.failure };
    throw error;
  }
}
