import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BatchAnswer, resolveInParts } from '../../src/domain/batch.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { FailureError } from '../../src/domain/failure.ts';

const prefix = 'error resolving secret reference: ';
const inactive = `${prefix}item is not in an active state`;
const noPermission = `${prefix}you do not have the right permissions to perform this action: performing a vault operation`;
const unavailable = `${prefix}unable to retrieve multiple items: unexpected status code in response: 503 Service Unavailable`;
const limited = `${prefix}performing an item operation: rate limit exceeded`;
const unreachable = `${prefix}request library compatibility issue, check that the your environment uses compatible versions: reqwest library: error sending request`;

/** An SDK that fails as a whole when some reference is among those that it is asked for. */
function sdk(culprits: Readonly<Record<string, string>>) {
  const calls: (readonly string[])[] = [];
  const call = async (references: readonly string[]): Promise<BatchAnswer> => {
    calls.push(references);
    const culprit = references.find((reference) =>
      Object.keys(culprits).some((start) => reference.startsWith(start)),
    );
    const key = Object.keys(culprits).find((start) => culprit?.startsWith(start));
    if (key !== undefined) return { ok: false, message: culprits[key] ?? '' };
    return {
      ok: true,
      results: Object.fromEntries(references.map((name) => [name, { value: `value of ${name}` }])),
    };
  };
  return { calls, call };
}

const named = (vault: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `op://${vault}/item${index}/password`);
const id = (letter: string): string => letter.repeat(26);

async function outcome(references: readonly string[], culprits: Readonly<Record<string, string>>) {
  const { calls, call } = sdk(culprits);
  const resolutions = await resolveInParts(references, call);
  const failed = [...resolutions].filter(([, resolution]) => !resolution.ok).map(([name]) => name);
  expect([...resolutions.keys()].sort()).toEqual([...new Set(references)].sort());
  return { calls: calls.length, failed, resolutions };
}

test('what nobody spoils is one call', async () => {
  expect(await outcome([...named('a', 30), ...named('b', 30)], {})).toMatchObject({ calls: 1, failed: [] });
});

describe('an item that spoils a batch fails alone', () => {
  test.each([1, 2, 3, 8, 50, 250])('among %i', async (count) => {
    for (const index of [0, Math.floor(count / 2), count - 1]) {
      const references = named('a', count);
      const culprit = references[index] ?? '';
      const { calls, failed, resolutions } = await outcome(references, { [culprit]: inactive });
      expect(failed).toEqual([culprit]);
      expect(calls).toBeLessThanOrEqual(2 + 2 * Math.ceil(Math.log2(count)));
      expect(resolutions.get(culprit)).toEqual({
        ok: false,
        failure: {
          class: 'permanent',
          exitCode: exitCodes.dataError,
          message: `"${culprit}": the item is archived`,
          hint: 'restore it in 1Password, or name another',
        },
      });
    }
  });

  test('with all of its fields', async () => {
    const fields = ['x', 'y', 'z'].map((field) => `op://a/${id('q')}/${field}`);
    const { failed, calls } = await outcome([...named('a', 20), ...fields], {
      [`op://a/${id('q')}`]: inactive,
    });
    expect(failed.sort()).toEqual(fields);
    // the ids are suspected first
    expect(calls).toBeLessThanOrEqual(12);
  });

  test('in its vault: other vaults are asked as a whole', async () => {
    const { failed, calls } = await outcome([...named('a', 40), ...named('b', 40), `op://c/${id('q')}/x`], {
      'op://c/': inactive,
    });
    expect([failed, calls]).toEqual([[`op://c/${id('q')}/x`], 5]);
  });

  test('however many there are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(39), { maxLength: 6 }), async (spoilt) => {
        const references = named('a', 40);
        const culprits = spoilt.map((index) => `op://a/item${index}/`);
        const { failed } = await outcome(
          references,
          Object.fromEntries(culprits.map((name) => [name, inactive])),
        );
        expect(failed.sort()).toEqual(culprits.map((name) => `${name}password`).sort());
      }),
    );
  });
});

test.each([
  ['no vault matched the secret reference query', 'no vault of that name or id'],
  [
    'unable to retrieve multiple items: no item matched the secret reference query',
    'no item of that name or id in the vault',
  ],
])('a wrong id fails alone: %s', async (text, message) => {
  const wrong = `op://${id('w')}/${id('i')}/x`;
  const { failed, resolutions } = await outcome([...named('a', 10), wrong], { [wrong]: prefix + text });
  expect(failed).toEqual([wrong]);
  expect(resolutions.get(wrong)).toMatchObject({
    failure: { class: 'permanent', exitCode: exitCodes.dataError, message: `"${wrong}": ${message}` },
  });
});

test.each([
  [noPermission, 'permanent', exitCodes.noPermission],
  [unavailable, 'transient', exitCodes.temporaryFailure],
])('what is wrong with one vault costs a call for each vault: %s', async (text, kind, exitCode) => {
  const { calls, failed, resolutions } = await outcome(
    [...named('a', 30), ...named('b', 30), ...named('c', 3)],
    {
      'op://b/': text,
    },
  );
  expect(calls).toBe(4);
  expect(failed).toEqual(named('b', 30));
  expect(resolutions.get('op://b/item0/password')).toMatchObject({ failure: { class: kind, exitCode } });
});

describe('what is nobody’s fault in particular', () => {
  test.each([
    [limited, 'rate-limited'],
    [unreachable, 'transient'],
    ['bad credentials, please retry: failed to authenticate', 'permanent'],
  ])('is not asked again in parts: %s', async (text, kind) => {
    const { calls, call } = sdk({ 'op://': text });
    await expect(resolveInParts(named('a', 10), call)).rejects.toMatchObject({ failure: { class: kind } });
    expect(calls).toHaveLength(1);
  });

  test('ends the search, and what is there already is kept', async () => {
    const { call } = sdk({ 'op://b/': inactive });
    let count = 0;
    const resolutions = await resolveInParts(
      [...named('a', 2), ...named('b', 8), ...named('c', 2)],
      (some) => (++count > 3 ? Promise.resolve({ ok: false, message: limited }) : call(some)),
    );
    expect(count).toBe(4);
    expect(resolutions.get('op://a/item0/password')).toMatchObject({ ok: true });
    expect(resolutions.get('op://c/item0/password')).toMatchObject({ failure: { class: 'rate-limited' } });
    expect(resolutions.size).toBe(12);
  });

  test('likewise when the child dies or hangs in between', async () => {
    const { call } = sdk({ 'op://b/': inactive });
    const failure = { class: 'transient', exitCode: exitCodes.temporaryFailure, message: 'dead' } as const;
    let count = 0;
    const resolutions = await resolveInParts([...named('a', 2), ...named('b', 8)], async (some) => {
      if (++count > 2) throw new FailureError(failure);
      return call(some);
    });
    expect(resolutions.get('op://a/item0/password')).toMatchObject({ ok: true });
    expect(resolutions.get('op://b/item0/password')).toEqual({ ok: false, failure });
  });

  test('a search without end is given up', async () => {
    const { calls, call } = sdk({ 'op://': 'something new' });
    const resolutions = await resolveInParts(named('a', 500), call);
    expect(calls.length).toBeLessThanOrEqual(64);
    expect(resolutions.size).toBe(500);
  });
});
