import { describe, expect, test } from 'vitest';
import type { Answer } from '../../src/domain/answer.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { type Failure, FailureError } from '../../src/domain/failure.ts';
import type { Resolution, Session } from '../../src/domain/provider.ts';
import { type ServeWorld, serve, type WaitingRequest } from '../../src/fetch/serve.ts';

const failure = (kind: Failure['class'], message: string = kind): Failure => ({
  class: kind,
  exitCode: exitCodes.temporaryFailure,
  message,
});

type Resolve = (references: readonly string[], within: number) => Failure | ReadonlyMap<string, Resolution>;

const values: Resolve = (references) =>
  new Map(references.map((name) => [name, { ok: true, value: `value of ${name}` }]));

/**
 * A world in which time passes only by sleeping.
 *
 * @param arrivals the requests that come, by the time at which they do; that of "own" is there from the start
 */
function world(options: {
  readonly arrivals?: Readonly<Record<number, readonly string[]>>;
  readonly references?: Readonly<Record<string, readonly string[]>>;
  /** When requests give up; after four minutes by default. */
  readonly until?: Readonly<Record<string, number>>;
  /** Until when somebody has been started who has not asked. */
  readonly onTheWayUntil?: number;
  /** How long a sign-in takes, and what comes of each. */
  readonly signIn?: number;
  readonly signIns?: readonly (Failure | undefined)[];
  readonly resolve?: Resolve;
  readonly coolDown?: () => Failure | undefined;
  /** When the lock is lost. */
  readonly lostAt?: number;
  readonly lateAt?: number;
  /** Those who never take their answers. */
  readonly dead?: readonly string[];
  /** Whether requests cannot be removed, as in a directory that has become read-only. */
  readonly stuck?: boolean;
}) {
  const { arrivals = {}, references = {}, signIn = 700, resolve = values } = options;
  let clock = 0;
  const arrived = new Set<number>();
  const waiting = new Map<string, WaitingRequest>();
  const answers = new Map<string, Answer>();
  const seen = {
    answers,
    /** When each was. */
    answered: new Map<string, number>(),
    batches: [] as { readonly at: number; readonly references: readonly string[] }[],
    opened: 0,
    closed: 0,
    withdrawn: [] as string[],
    limits: 0,
    successes: 0,
    now: () => clock,
    add,
  };
  let lose: (value: undefined) => void = () => {};
  const lost = new Promise<undefined>((settle) => {
    lose = settle;
  });

  function add(id: string): void {
    waiting.set(id, {
      id,
      references: references[id] ?? [`op://v/${id}/f`],
      until: options.until?.[id] ?? 240_000,
    });
  }
  function arrive(): void {
    for (const [at, ids] of Object.entries(arrivals)) {
      if (Number(at) > clock || arrived.has(Number(at))) continue;
      arrived.add(Number(at));
      for (const id of ids) add(id);
    }
  }
  add('own');
  const sleeping: { readonly at: number; readonly wake: () => void }[] = [];
  const sleep = async (milliseconds: number): Promise<void> => {
    const at = clock + milliseconds;
    await new Promise<void>((wake) => {
      sleeping.push({ at, wake });
      setImmediate(tick);
    });
  };
  function tick(): void {
    const next = sleeping.sort((a, b) => a.at - b.at).shift();
    if (!next) return;
    clock = Math.max(clock, next.at);
    if (options.lostAt !== undefined && clock >= options.lostAt) lose(undefined);
    next.wake();
  }

  const of: ServeWorld = {
    pending: () => {
      arrive();
      return [...waiting.values()];
    },
    answer: (id, answer) => {
      answers.set(id, answer);
      seen.answered.set(id, clock);
      if (!options.stuck) waiting.delete(id);
    },
    isOnTheWay: () => clock < (options.onTheWayUntil ?? 0),
    waitsToBeTaken: (id) => options.dead?.includes(id) === true && answers.has(id),
    withdraw: (id) => {
      seen.withdrawn.push(id);
      if (!options.stuck) waiting.delete(id);
      answers.delete(id);
    },
    open: (): Session => {
      const outcome = options.signIns?.[seen.opened];
      seen.opened++;
      let isOpen = true;
      const signedIn = (async () => {
        await sleep(signIn);
        if (!outcome) return;
        isOpen = false;
        throw new FailureError(outcome);
      })();
      signedIn.catch(() => {});
      return {
        ready: () => signedIn,
        isOpen: () => isOpen,
        close: () => {
          if (isOpen) seen.closed++;
          isOpen = false;
        },
        resolve: async (some, within) => {
          seen.batches.push({ at: clock, references: some });
          await sleep(50);
          const resolved = resolve(some, within);
          if (!('class' in resolved)) return resolved;
          throw new FailureError(resolved);
        },
      };
    },
    sound: () => options.lostAt === undefined || clock < options.lostAt,
    lost,
    coolDown: options.coolDown ?? (() => undefined),
    rateLimited: () => seen.limits++,
    answered: () => seen.successes++,
    round: () => {},
    isLate: () => options.lateAt !== undefined && clock >= options.lateAt,
    now: () => clock,
    sleep,
    random: () => 0.5,
  };
  return { of, seen };
}

const value = (...names: readonly string[]): Answer => ({
  ok: true,
  values: new Map(names.map((name) => [name, `value of ${name}`])),
});

describe('one batch', () => {
  test('for one: its sign-in is all that it waits for', async () => {
    const { of, seen } = world({});
    expect(await serve('own', of)).toEqual(value('op://v/own/f'));
    expect(seen.batches).toEqual([{ at: expect.any(Number), references: ['op://v/own/f'] }]);
    expect(seen.batches[0]?.at).toBeLessThan(750);
    expect([seen.opened, seen.closed, seen.successes]).toEqual([1, 1, 1]);
  });

  test('for all that come while it signs in', async () => {
    const { of, seen } = world({ arrivals: { 10: ['a', 'b'], 400: ['c'], 690: ['d'] } });
    await serve('own', of);
    expect(seen.batches).toHaveLength(1);
    expect(seen.batches[0]?.references).toHaveLength(5);
    expect(seen.batches[0]?.at).toBeGreaterThanOrEqual(890);
    for (const id of ['a', 'b', 'c', 'd']) expect(seen.answers.get(id)).toEqual(value(`op://v/${id}/f`));
  });

  test('waits until none has come for 200 ms', async () => {
    const { of, seen } = world({ signIn: 20, arrivals: { 150: ['a'], 300: ['b'], 450: ['c'] } });
    await serve('own', of);
    expect(seen.batches.map(({ references }) => references.length)).toEqual([4]);
    expect(seen.batches[0]?.at).toBeGreaterThanOrEqual(650);
    expect(seen.batches[0]?.at).toBeLessThan(750);
  });

  test('but not for ever', async () => {
    const arrivals = Object.fromEntries(
      Array.from({ length: 30 }, (_, index) => [index * 100, [`a${index}`]]),
    );
    const { of, seen } = world({ signIn: 20, arrivals });
    await serve('own', of);
    expect(seen.batches[0]?.at).toBeLessThan(1_100);
    expect(seen.opened).toBe(1);
    expect(seen.batches[0]?.references.length).toBeGreaterThan(10);
  });

  test('nor one for each second in which more come', async () => {
    const arrivals = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [index * 100, [`a${index}`]]),
    );
    const { of, seen } = world({ arrivals });
    await serve('own', of);
    expect(seen.batches).toHaveLength(2);
    expect(seen.batches.flatMap(({ references }) => references)).toHaveLength(41);
  });

  test('nor until the time of one is over', async () => {
    const arrivals = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [index * 100, [`a${index}`]]),
    );
    const { of, seen } = world({ arrivals, until: { a20: 6_000 } });
    await serve('own', of);
    expect(seen.answered.get('a20')).toBeLessThan(3_500);
  });

  test('fetches once what many want, and gives each what it asked for itself', async () => {
    const references = { own: ['op://v/i/x'], a: ['op://v/i/x', 'op://v/i/y'], b: ['op://v/i/y'] };
    const { of, seen } = world({ references, arrivals: { 0: ['a', 'b'] } });
    expect(await serve('own', of)).toEqual(value('op://v/i/x'));
    expect(seen.batches[0]?.references).toEqual(['op://v/i/x', 'op://v/i/y']);
    expect(seen.answers.get('a')).toEqual(value('op://v/i/x', 'op://v/i/y'));
    expect(seen.answers.get('b')).toEqual(value('op://v/i/y'));
  });

  test('and then the next, in the same session, until nobody waits', async () => {
    const { of, seen } = world({ arrivals: { 720: ['late'] } });
    await serve('own', of);
    expect([seen.batches.length, seen.opened]).toEqual([2, 1]);
    expect(seen.answers.get('late')).toEqual(value('op://v/late/f'));
  });

  test('and who comes within 200 ms of it, where others were served', async () => {
    const { of, seen } = world({ arrivals: { 10: ['a'], 850: ['late'], 1600: ['another time'] } });
    await serve('own', of);
    expect(seen.batches.map(({ references }) => references)).toEqual([
      ['op://v/own/f', 'op://v/a/f'],
      ['op://v/late/f'],
    ]);
    expect([seen.opened, seen.closed]).toEqual([1, 1]);
  });

  test('and for who has been started but comes late, within 5 s', async () => {
    const { of, seen } = world({ arrivals: { 4000: ['late'] }, onTheWayUntil: 4_000 });
    await serve('own', of);
    expect([seen.batches.length, seen.opened]).toEqual([2, 1]);
    // the first batch waits for them no longer than for others
    expect(seen.batches[0]?.at).toBeLessThan(1_800);
    expect(seen.answers.get('late')).toEqual(value('op://v/late/f'));
  });

  test('but not for one who never asks', async () => {
    const { of, seen } = world({ onTheWayUntil: Number.POSITIVE_INFINITY });
    expect(await serve('own', of)).toEqual(value('op://v/own/f'));
    expect(seen.now()).toBeLessThan(7_000);
    expect(seen.batches).toHaveLength(1);
  });

  test('nor for as long as more and more come: our own service waits', async () => {
    const arrivals = Object.fromEntries(
      Array.from({ length: 400 }, (_, index) => [index * 150, [`a${index}`]]),
    );
    const { of, seen } = world({ arrivals, onTheWayUntil: Number.POSITIVE_INFINITY });
    expect(await serve('own', of)).toMatchObject({ ok: true });
    expect(seen.now()).toBeLessThan(8_000);
    // who has asked meanwhile has been answered
    expect(seen.answers.size).toBeGreaterThan(40);
    expect(seen.opened).toBe(1);
  });

  test('nor beyond the end of our own time', async () => {
    const { of, seen } = world({ onTheWayUntil: Number.POSITIVE_INFINITY, lateAt: 2_000 });
    expect(await serve('own', of)).toMatchObject({ ok: true });
    expect(seen.now()).toBeLessThan(2_100);
  });

  test('or until our own time is over: then somebody else goes on', async () => {
    const { of, seen } = world({ arrivals: { 720: ['late'] }, lateAt: 720 });
    expect(await serve('own', of)).toMatchObject({ ok: true });
    expect(seen.batches).toHaveLength(1);
    expect(seen.answers.has('late')).toBe(false);
  });
});

describe('a failure', () => {
  test('of one reference is that of those who asked for it', async () => {
    const { of, seen } = world({
      arrivals: { 0: ['a'] },
      resolve: (names) =>
        new Map(
          names.map((name): [string, Resolution] =>
            name.includes('/a/')
              ? [name, { ok: false, failure: failure('permanent') }]
              : [name, { ok: true, value: 'x' }],
          ),
        ),
    });
    expect(await serve('own', of)).toMatchObject({ ok: true });
    expect(seen.answers.get('a')).toEqual({ ok: false, failure: failure('permanent'), jitter: 0.5 });
  });

  test('of the sign-in is that of all who wait, who get the same jitter', async () => {
    const { of, seen } = world({ arrivals: { 0: ['a'], 690: ['b'] }, signIns: [failure('transient')] });
    const answer = { ok: false, failure: failure('transient'), jitter: 0.5 };
    expect(await serve('own', of)).toEqual(answer);
    expect([seen.answers.get('a'), seen.answers.get('b')]).toEqual([answer, answer]);
    expect(seen.batches).toEqual([]);
  });

  test('of a call ends the session; who comes later gets a new one', async () => {
    let calls = 0;
    const { of, seen } = world({
      arrivals: { 760: ['late'] },
      resolve: (names, within) => (++calls === 1 ? failure('transient') : values(names, within)),
    });
    expect(await serve('own', of)).toMatchObject({ ok: false });
    expect([seen.opened, seen.closed, seen.successes]).toEqual([1, 1, 0]);
    seen.add('next');
    expect(await serve('next', of)).toEqual(value('op://v/next/f'));
    expect(seen.opened).toBe(2);
  });

  test('that is a rate limit begins a cool-down, in which nobody is asked', async () => {
    let limited = false;
    const { of, seen } = world({
      arrivals: { 720: ['late'] },
      coolDown: () => (limited ? failure('rate-limited', 'until later') : undefined),
      resolve: () => {
        limited = true;
        return failure('rate-limited');
      },
    });
    expect(await serve('own', of)).toMatchObject({ failure: { message: 'rate-limited' } });
    seen.add('next');
    expect(await serve('next', of)).toMatchObject({ failure: { message: 'until later' } });
    expect([seen.opened, seen.limits, seen.batches.length]).toEqual([1, 1, 1]);
  });

  test('that nobody expects is not answered, and ends the session', async () => {
    const { of, seen } = world({
      resolve: () => {
        throw new TypeError('a bug');
      },
    });
    await expect(serve('own', of)).rejects.toThrow(TypeError);
    expect(seen.closed).toBe(1);
  });
});

test.each([100, 720])(
  'when the lock is lost after %i ms, nothing is answered and the session ends',
  async (lostAt) => {
    const { of, seen } = world({ arrivals: { 0: ['a'] }, lostAt });
    expect(await serve('own', of)).toBeUndefined();
    expect([seen.answers.size, seen.closed, seen.withdrawn.length]).toEqual([0, 1, 0]);
  },
);

test('an answer that nobody takes is taken back', async () => {
  const { of, seen } = world({ arrivals: { 0: ['a', 'gone'] }, dead: ['gone'] });
  await serve('own', of);
  expect(seen.withdrawn).toEqual(['own', 'gone']);
  expect([...seen.answers.keys()]).toEqual(['a']);
  expect(seen.now()).toBeLessThan(4_000);
});

test('a request that cannot be removed is not asked for again and again', async () => {
  const { of, seen } = world({ arrivals: { 0: ['a'] }, stuck: true });
  expect(await serve('own', of)).toEqual(value('op://v/own/f'));
  expect(seen.batches).toHaveLength(1);
});
