import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backoff, coolDownLength } from '../../src/domain/backoff.ts';

describe('the wait before the next try', () => {
  test('is never longer than the cap, nor than what the tries so far allow', () => {
    fc.assert(
      fc.property(
        fc.nat(2000),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (tried, random) => {
          const wait = backoff(tried, () => random);
          expect(wait).toBeGreaterThanOrEqual(0);
          expect(wait).toBeLessThanOrEqual(Math.min(30_000, 500 * 2 ** tried));
        },
      ),
    );
  });

  test('may be anything up to that, so that hosts do not come back together', () => {
    expect([0, 1, 2, 5, 6, 99].map((tried) => backoff(tried, () => 0.999_999))).toEqual(
      [500, 1000, 2000, 16_000, 30_000, 30_000].map((cap) => cap * 0.999_999),
    );
    expect(backoff(50, () => 0)).toBe(0);
  });
});

test('a cool-down grows from a minute to an hour, and is a little different on each host', () => {
  const lengths = (random: number): readonly number[] =>
    [0, 1, 2, 3, 4, 5, 6, 100].map((step) => coolDownLength(step, () => random));
  expect(lengths(0)).toEqual([60, 120, 240, 480, 960, 1920, 3600, 3600]);
  expect(lengths(0.999_999).every((length, index) => length < (lengths(0)[index] ?? 0) * 1.25)).toBe(true);
});
