import { type Failure, FailureError } from '../../src/domain/failure.ts';
import type { Resolution } from '../../src/domain/provider.ts';
import type { FetchWorld, SecretSet } from '../../src/fetch/fetch.ts';
import type { ObtainWorld } from '../../src/fetch/obtain.ts';

/** What the provider does in one try: it answers, or all of it fails. */
export type Answer = Failure | ((reference: string) => Resolution | undefined);

export interface FakeWorld extends ObtainWorld, Omit<FetchWorld, 'obtain'> {
  readonly written: SecretSet[];
  readonly lines: string[];
  /** When each try began, in milliseconds. */
  readonly tries: number[];
  readonly asked: (readonly string[])[];
  readonly remaining: number[];
  /** How many hold the lock now. */
  holders: number;
}

/**
 * A world whose clock moves only when something takes time.
 *
 * @param answers what happens in each try; the last one goes on for ever
 */
export function fakeWorld(
  answers: readonly Answer[],
  options: {
    readonly random?: () => number;
    /** How long a try takes. */
    readonly duration?: number;
    /** How long others hold the lock. */
    readonly busy?: number;
    readonly openFailure?: Failure;
    /** Texts of templates, by path. */
    readonly templates?: Readonly<Record<string, string>>;
  } = {},
): FakeWorld {
  const { random = () => 0.5, duration = 0, busy = 0, openFailure, templates = {} } = options;
  let clock = 1_000_000;
  const world: FakeWorld = {
    written: [],
    lines: [],
    tries: [],
    asked: [],
    remaining: [],
    holders: 0,
    now: () => clock,
    random,
    sleep: async (milliseconds) => {
      if (world.holders > 0) throw new Error('slept while others wait for the lock');
      clock += milliseconds;
    },
    log: (level, message) => world.lines.push(`${level}: ${message}`),
    write: (set) => world.written.push(set),
    readTemplate: (path) => {
      const text = templates[path];
      if (text === undefined)
        throw new FailureError({ class: 'permanent', exitCode: 66, message: `${path}: missing` });
      return text;
    },
    exclusively: async (deadline, work) => {
      if (clock + busy > deadline) {
        clock = Math.max(clock, deadline);
        return undefined;
      }
      clock += busy;
      world.holders++;
      try {
        return await work();
      } finally {
        world.holders--;
      }
    },
    provider: async (remaining) => {
      world.remaining.push(remaining);
      if (openFailure) throw new FailureError(openFailure);
      return { resolve };
    },
  };
  return world;

  async function resolve(references: readonly string[]): Promise<ReadonlyMap<string, Resolution>> {
    const answer = answers[Math.min(world.tries.length, answers.length - 1)];
    world.tries.push(clock - 1_000_000);
    world.asked.push(references);
    clock += duration;
    if (typeof answer !== 'function') throw new FailureError(answer as Failure);
    const resolutions = new Map<string, Resolution>();
    for (const reference of references) {
      const resolution = answer(reference);
      if (resolution) resolutions.set(reference, resolution);
    }
    return resolutions;
  }
}
