import type { Answer } from '../domain/answer.ts';
import { exitCodes } from '../domain/exit-codes.ts';

/** What one try needs of the world, of which it is one of many. */
export interface TurnWorld {
  /** Puts the request down; @throws FailureError if it cannot be */
  readonly put: () => void;
  /** Whether it still waits. */
  readonly has: () => boolean;
  readonly take: () => Answer | undefined;
  readonly withdraw: () => void;
  /** Fetches for all if nobody else does; undefined if somebody does, or has taken it over from us. */
  readonly serve: () => Promise<Answer | undefined>;
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
  readonly random: () => number;
}

/**
 * How often to look for an answer, in milliseconds: soon for one that is at hand, then less and less often, as
 * many may wait, and to look costs each of them.
 */
const [soonest, latest, seldom] = [5, 60, 100];
const patience = 10_000;
/** How often to look whether the one who fetches for all is still there. */
const lookAfter = 250;

/**
 * One try: puts a request down, then waits until it is answered, or fetches for all that wait.
 *
 * Looks from time to time instead of being told: each inotify(7) instance counts against a limit of 128 for
 * all of root's, and the answer to one would wake all.
 *
 * @param deadline in milliseconds of `now()`
 * @returns undefined if the deadline passed
 */
export async function takeTurn(deadline: number, world: TurnWorld): Promise<Answer | undefined> {
  const begin = world.now();
  let nextLook = begin;
  world.put();
  try {
    for (;;) {
      // the answer is put down before the request is taken away
      if (!world.has()) return world.take() ?? lostAnswer;
      const now = world.now();
      if (now >= nextLook) {
        const served = await world.serve();
        if (served) return served;
        nextLook = world.now() + lookAfter * (0.75 + world.random() / 2);
      }
      if (world.now() >= deadline) return undefined;
      await world.sleep(untilNextLook(world.now() - begin));
    }
  } finally {
    world.withdraw();
  }
}

function untilNextLook(waited: number): number {
  if (waited >= patience) return seldom;
  return Math.min(latest, Math.max(soonest, waited / 10));
}

const lostAnswer: Answer = {
  ok: false,
  failure: {
    class: 'transient',
    exitCode: exitCodes.temporaryFailure,
    message: 'the answer of the fetcher that fetched for all did not arrive',
    hint: 'is the file system for secrets full?',
  },
};
