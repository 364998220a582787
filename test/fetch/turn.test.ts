import { expect, test } from 'vitest';
import type { Answer } from '../../src/domain/answer.ts';
import { type TurnWorld, takeTurn } from '../../src/fetch/turn.ts';

const fetched: Answer = { ok: true, values: new Map() };

/** A world in which only sleeping takes time. */
function world(options: {
  /** When the answer arrives, and when the request goes without one. */
  readonly answeredAt?: number;
  readonly lostAt?: number;
  /** From when on nobody else fetches. */
  readonly freeAt?: number;
  readonly serves?: Answer | undefined;
}) {
  const { answeredAt = 1e9, lostAt = 1e9, freeAt = 1e9 } = options;
  let clock = 0;
  const seen = { put: 0, withdrawn: 0, looks: 0, naps: 0, now: () => clock };
  const of: TurnWorld = {
    put: () => {
      seen.put++;
    },
    has: () => clock < Math.min(answeredAt, lostAt),
    take: () => (clock >= answeredAt ? fetched : undefined),
    withdraw: () => {
      seen.withdrawn++;
    },
    serve: async () => {
      seen.looks++;
      if (clock < freeAt) return undefined;
      clock += 1000;
      return options.serves;
    },
    now: () => clock,
    sleep: async (milliseconds) => {
      seen.naps++;
      clock += milliseconds;
    },
    random: () => 0.5,
  };
  return { of, seen };
}

test('an answer is taken as soon as it is there', async () => {
  const { of, seen } = world({ answeredAt: 1000 });
  expect(await takeTurn(240_000, of)).toBe(fetched);
  expect(seen.now()).toBeLessThan(1020);
  expect([seen.put, seen.withdrawn]).toEqual([1, 1]);
  // whether somebody still fetches is looked at less often
  expect(seen.looks).toBeLessThan(6);
});

test('who finds nobody fetching does it', async () => {
  const { of, seen } = world({ freeAt: 0, serves: fetched });
  expect(await takeTurn(240_000, of)).toBe(fetched);
  expect(seen.naps).toBe(0);
});

test('and takes over soon from one that has died', async () => {
  const { of, seen } = world({ freeAt: 5000, serves: fetched });
  expect(await takeTurn(240_000, of)).toBe(fetched);
  expect(seen.now()).toBeLessThan(6_500);
});

test('who has lost the lock goes on waiting', async () => {
  const { of, seen } = world({ freeAt: 0, answeredAt: 3000 });
  expect(await takeTurn(240_000, of)).toBe(fetched);
  expect(seen.looks).toBeGreaterThan(1);
});

test('a request that is gone without an answer is a try that failed', async () => {
  const { of } = world({ lostAt: 100 });
  expect(await takeTurn(240_000, of)).toMatchObject({ ok: false, failure: { class: 'transient' } });
});

test('the deadline ends it, with the request withdrawn', async () => {
  const { of, seen } = world({});
  expect(await takeTurn(60_000, of)).toBeUndefined();
  expect(seen.now()).toBeLessThan(60_200);
  expect(seen.withdrawn).toBe(1);
  // a process that waits for long looks seldom
  expect(seen.naps).toBeLessThan(1_300);
});
