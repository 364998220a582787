/** Waiting for a condition with a deadline: tests never sleep for a duration and hope. */

/** Short enough not to slow tests down, long enough that asking does not load a machine of two cores. */
const INTERVAL_MS = 40;

/** Not there yet: `undefined`, `false` or `null`. */
export type Condition<T> = () => T | Promise<T>;

export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/**
 * Asks until the answer is truthy and returns it. A condition that throws counts as "not yet"; its last
 * error is the cause of the one that the deadline brings.
 */
export async function poll<T>(
  condition: Condition<T>,
  describe: string,
  timeoutMs: number,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await condition();
      if (answer !== undefined && answer !== null && answer !== false) {
        return answer;
      }
      cause = undefined;
    } catch (error) {
      if (error instanceof GiveUp) {
        throw error.cause;
      }
      cause = error;
    }
    if (performance.now() >= deadline) {
      const why = cause instanceof Error ? `: ${cause.message}` : '';
      throw new DeadlineError(`after ${timeoutMs} ms still waiting for ${describe}${why}`, { cause });
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}

/** Thrown by a condition that knows that it will never become true. */
export class GiveUp extends Error {
  override readonly name = 'GiveUp';

  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}
