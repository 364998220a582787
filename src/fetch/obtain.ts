import type { Answer } from '../domain/answer.ts';
import { backoff } from '../domain/backoff.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { type Failure, FailureError } from '../domain/failure.ts';

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

/** How it stands, at each change. */
export type Progress =
  | { readonly state: 'waiting'; readonly try: number }
  | { readonly state: 'backing-off'; readonly try: number; readonly failure: Failure; readonly wait: number }
  | { readonly state: 'failed'; readonly try: number; readonly failure: Failure }
  | { readonly state: 'fetched'; readonly try: number };

/** What obtaining values needs of the world. */
export interface ObtainWorld {
  /** One try, alone or with others; undefined if the deadline (milliseconds, monotonic) passed before. */
  readonly ask: (deadline: number) => Promise<Answer | undefined>;
  /** Why nobody may ask now, if so: a rate limit that has been met. */
  readonly coolDown: () => Failure | undefined;
  /** A permanent failure that is known from an earlier start and still true. */
  readonly remembered: () => Failure | undefined;
  readonly tell: (progress: Progress) => void;
  readonly log: (
    level: 'error' | 'warning' | 'info',
    message: string,
    fields: Readonly<Record<string, string>>,
  ) => void;
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/**
 * Obtains the values of all references, with tries: what may pass is tried again, with a wait in between that
 * all share who failed together; what is permanent is not, and neither is what a rate limit forbids.
 *
 * @throws FailureError with the failure of the last try
 */
export async function obtain(
  request: ObtainRequest,
  world: ObtainWorld,
): Promise<ReadonlyMap<string, string>> {
  const { references, tries } = request;
  if (references.length === 0) return new Map();
  const known = request.force ? undefined : world.remembered();
  if (known) throw new FailureError(known);

  const deadline = world.now() + request.timeout * 1000;
  let last: Failure = {
    class: 'transient',
    exitCode: exitCodes.temporaryFailure,
    message: `other services were still fetching when ${request.timeout} s had passed`,
  };
  let number = 0;
  while (number < tries) {
    const coolDown = world.coolDown();
    if (coolDown) {
      last = coolDown;
      break;
    }
    world.tell({ state: 'waiting', try: number + 1 });
    const began = world.now();
    const answer = await world.ask(deadline);
    if (answer === undefined) break;
    number++;
    const fields = fieldsOf(number, world.now() - began);
    if (answer.ok) {
      world.tell({ state: 'fetched', try: number });
      const count = `${references.length} secret${references.length === 1 ? '' : 's'}`;
      world.log('info', `try ${number} of ${tries}: fetched ${count}`, fields);
      return answer.values;
    }
    last = answer.failure;
    const { jitter } = answer;
    const wait = backoff(number - 1, jitter === undefined ? world.random : () => jitter);
    const final = last.class !== 'transient' || number === tries || world.now() + wait >= deadline;
    const next = final ? '' : `, next in ${(wait / 1000).toFixed(1)} s`;
    world.log('warning', `try ${number} of ${tries}: ${last.class}: ${last.message}${next}`, {
      ...fields,
      UNIT_SECRETS_CLASS: last.class,
      ...(final ? {} : { UNIT_SECRETS_DELAY_MS: String(Math.round(wait)) }),
    });
    if (final) break;
    world.tell({ state: 'backing-off', try: number, failure: last, wait });
    await world.sleep(wait);
  }
  world.tell({ state: 'failed', try: number, failure: last });
  throw new FailureError(last);
}

function fieldsOf(number: number, duration: number): Readonly<Record<string, string>> {
  return { UNIT_SECRETS_TRY: String(number), UNIT_SECRETS_DURATION_MS: String(Math.round(duration)) };
}
