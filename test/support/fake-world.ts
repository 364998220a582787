import { answerOf } from '../../src/domain/answer.ts';
import { type Failure, FailureError } from '../../src/domain/failure.ts';
import type { Resolution } from '../../src/domain/provider.ts';
import type { FetchWorld, SecretSet } from '../../src/fetch/fetch.ts';
import type { ObtainRequest, ObtainWorld, Progress } from '../../src/fetch/obtain.ts';

/** What the provider does in one try: it answers, or all of it fails. */
export type Answer = Failure | ((reference: string) => Resolution | undefined);

export interface FakeWorld extends Omit<FetchWorld, 'obtain'> {
  readonly written: SecretSet[];
  readonly lines: string[];
  readonly fields: Readonly<Record<string, string>>[];
  readonly progress: Progress[];
  /** When each try began, in milliseconds. */
  readonly tries: number[];
  readonly asked: (readonly string[])[];
  readonly remaining: number[];
  readonly now: () => number;
  /** What `obtain` is given for a request. */
  readonly of: (request: ObtainRequest) => ObtainWorld;
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
    /** How long a try waits for others. */
    readonly busy?: number;
    readonly remembered?: Failure;
    /** What forbids the tries from this one on, counted from 0. */
    readonly coolDown?: { readonly from: number; readonly failure: Failure };
    /** What all that failed together were given for their next wait. */
    readonly jitter?: number;
    /** Texts of templates, by path. */
    readonly templates?: Readonly<Record<string, string>>;
  } = {},
): FakeWorld {
  const {
    random = () => 0.5,
    duration = 0,
    busy = 0,
    remembered,
    coolDown,
    jitter,
    templates = {},
  } = options;
  let clock = 1_000_000;
  const world: FakeWorld = {
    written: [],
    lines: [],
    fields: [],
    progress: [],
    tries: [],
    asked: [],
    remaining: [],
    now: () => clock,
    write: (set) => world.written.push(set),
    readTemplate: (path) => {
      const text = templates[path];
      if (text === undefined)
        throw new FailureError({ class: 'permanent', exitCode: 66, message: `${path}: missing` });
      return text;
    },
    of: ({ references }) => ({
      now: () => clock,
      random,
      sleep: async (milliseconds) => {
        clock += milliseconds;
      },
      log: (level, message, fields) => {
        world.lines.push(`${level}: ${message}`);
        world.fields.push(fields);
      },
      tell: (progress) => world.progress.push(progress),
      remembered: () => remembered,
      coolDown: () => (coolDown && world.tries.length >= coolDown.from ? coolDown.failure : undefined),
      ask: async (deadline) => {
        if (clock + busy > deadline) {
          clock = Math.max(clock, deadline);
          return undefined;
        }
        clock += busy;
        world.remaining.push(deadline - clock);
        const answer = answers[Math.min(world.tries.length, answers.length - 1)];
        world.tries.push(clock - 1_000_000);
        world.asked.push(references);
        clock += duration;
        const shared = jitter === undefined ? {} : { jitter };
        if (typeof answer !== 'function') return { ok: false, failure: answer as Failure, ...shared };
        const resolutions = new Map<string, Resolution>();
        for (const reference of references) {
          const resolution = answer(reference);
          if (resolution) resolutions.set(reference, resolution);
        }
        return answerOf(references, resolutions);
      },
    }),
  };
  return world;
}
