import { environmentValueProblem, serialiseEnvironmentFile } from '../domain/environment-file.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { type Failure, FailureError } from '../domain/failure.ts';
import type { Provider } from '../domain/provider.ts';
import { composeValue, parseValue, referencesOf, type ValuePart } from '../domain/value.ts';

/** What a unit's `[X-Secrets]` section says. */
export interface FetchPlan {
  readonly service: string;
  readonly tries: number;
  /** Seconds for everything, waiting for others included. */
  readonly timeout: number;
  readonly environment: readonly (readonly [name: string, value: string])[];
}

/** What the engine needs of the world. */
export interface FetchWorld {
  readonly provider: (remaining: number) => Promise<Provider>;
  /** Runs while nobody else fetches; undefined if the deadline (milliseconds, monotonic) passed before. */
  readonly exclusively: <T>(deadline: number, work: () => Promise<T>) => Promise<T | undefined>;
  readonly write: (environment: string | undefined) => void;
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
 * Fetches all that a service needs, with tries, and writes it as one.
 *
 * @throws FailureError with the failure of the last try; nothing has been changed then
 */
export async function fetchSecrets(plan: FetchPlan, world: FetchWorld): Promise<void> {
  const values = plan.environment.map(([name, text]): readonly [string, readonly ValuePart[]] => {
    const parsed = parseValue(text);
    if (parsed.ok) return [name, parsed.parts];
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message: `${name}: ${parsed.message}`,
    });
  });
  const references = referencesOf(values.map(([, parts]) => parts));
  const deadline = world.now() + plan.timeout * 1000;
  const resolved =
    references.length === 0 ? new Map<string, string>() : await resolveAll(references, plan, world, deadline);

  const variables = values.map(([name, parts]) => [name, composeValue(parts, resolved)] as const);
  for (const [name, value] of variables) {
    const problem = environmentValueProblem(name, value);
    if (problem === undefined) continue;
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message: problem,
      hint: 'change the value in the vault',
    });
  }
  world.write(variables.length > 0 ? serialiseEnvironmentFile(variables) : undefined);
}

async function resolveAll(
  references: readonly string[],
  plan: FetchPlan,
  world: FetchWorld,
  deadline: number,
): Promise<Map<string, string>> {
  let last: Failure = {
    class: 'transient',
    exitCode: exitCodes.temporaryFailure,
    message: `other services were still fetching when ${plan.timeout} s had passed`,
  };
  for (let tried = 0; tried < plan.tries; tried++) {
    const outcome = await world.exclusively(deadline, async () => {
      const provider = await world.provider(deadline - world.now());
      return tryOnce(provider, references);
    });
    if (outcome === undefined) break;
    if (outcome.ok) {
      world.log(
        'info',
        `try ${tried + 1} of ${plan.tries}: fetched ${references.length} secret${references.length === 1 ? '' : 's'}`,
      );
      return outcome.values;
    }
    last = outcome.failure;
    const wait = backoff(tried, world.random);
    const final = last.class === 'permanent' || tried + 1 === plan.tries || world.now() + wait >= deadline;
    const next = final ? '' : `, next in ${(wait / 1000).toFixed(1)} s`;
    world.log('warning', `try ${tried + 1} of ${plan.tries}: ${last.class}: ${last.message}${next}`);
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
