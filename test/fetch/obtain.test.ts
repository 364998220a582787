import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import type { Failure } from '../../src/domain/failure.ts';
import { type ObtainRequest, obtain } from '../../src/fetch/obtain.ts';
import { type Answer, type FakeWorld, fakeWorld } from '../support/fake-world.ts';

const down: Failure = {
  class: 'transient',
  exitCode: exitCodes.temporaryFailure,
  message: '1Password could not be reached',
};
const limited: Failure = { ...down, class: 'rate-limited', message: '1Password limits the rate of requests' };
const refused: Failure = {
  class: 'permanent',
  exitCode: exitCodes.noPermission,
  message: 'the token is refused',
};

const secret: Answer = (reference) => ({ ok: true, value: `secret of ${reference}` });
const failing =
  (failure: Failure): Answer =>
  (reference) => ({
    ok: false,
    failure: { ...failure, message: `"${reference}": ${failure.message}` },
  });

const request: ObtainRequest = {
  service: 'app.service',
  references: ['op://v/i/a'],
  tries: 12,
  timeout: 240,
  unitDigest: 'digest',
  force: false,
};

function obtaining(
  world: FakeWorld,
  more: Partial<ObtainRequest> = {},
): Promise<ReadonlyMap<string, string>> {
  const of = { ...request, ...more };
  return obtain(of, world.of(of));
}

/** Obtains, expecting it to fail. */
async function failure(world: FakeWorld, more: Partial<ObtainRequest> = {}): Promise<Failure> {
  const error: unknown = await obtaining(world, more).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'FailureError' });
  return (error as { failure: Failure }).failure;
}

describe('what may pass is tried again', () => {
  test.each([
    ['the service is down', down],
    ['one reference is not answered this time', failing(down)],
    ['the provider leaves a reference out', () => undefined],
  ])('when %s', async (_, answer) => {
    const world = fakeWorld([answer, answer, secret]);
    await obtaining(world);
    expect(world.tries).toEqual([0, 250, 750]);
  });

  test('and each try is a line in the log, with the reason and the time of the next', async () => {
    const world = fakeWorld([down, down, secret], { duration: 1234 });
    await obtaining(world);
    expect(world.lines).toEqual([
      'warning: try 1 of 12: transient: 1Password could not be reached, next in 0.3 s',
      'warning: try 2 of 12: transient: 1Password could not be reached, next in 0.5 s',
      'info: try 3 of 12: fetched 1 secret',
    ]);
    expect(world.fields).toEqual([
      {
        UNIT_SECRETS_TRY: '1',
        UNIT_SECRETS_DURATION_MS: '1234',
        UNIT_SECRETS_CLASS: 'transient',
        UNIT_SECRETS_DELAY_MS: '250',
      },
      {
        UNIT_SECRETS_TRY: '2',
        UNIT_SECRETS_DURATION_MS: '1234',
        UNIT_SECRETS_CLASS: 'transient',
        UNIT_SECRETS_DELAY_MS: '500',
      },
      { UNIT_SECRETS_TRY: '3', UNIT_SECRETS_DURATION_MS: '1234' },
    ]);
    expect(world.progress.map(({ state, try: number }) => `${number} ${state}`)).toEqual([
      '1 waiting',
      '1 backing-off',
      '2 waiting',
      '2 backing-off',
      '3 waiting',
      '3 fetched',
    ]);
  });

  test.each(Array.from({ length: 11 }, (_, index) => index + 1))(
    'by a service that comes back after %i',
    async (tries) => {
      const world = fakeWorld([...Array.from({ length: tries }, () => down), secret]);
      await obtaining(world);
      expect(world.tries).toHaveLength(tries + 1);
    },
  );

  test('until the tries are used up; the last failure is the outcome', async () => {
    const worse: Failure = { ...down, message: '1Password reports an internal error' };
    const world = fakeWorld([down, down, worse]);
    expect(await failure(world, { tries: 3 })).toEqual(worse);
    expect(world.tries).toHaveLength(3);
    expect(world.lines.at(-1)).toBe('warning: try 3 of 3: transient: 1Password reports an internal error');
    expect(world.progress.at(-1)).toEqual({ state: 'failed', try: 3, failure: worse });
  });

  test('until the time is used up, without a wait at the end', async () => {
    const world = fakeWorld([down], { duration: 10_000, random: () => 0.999 });
    expect(await failure(world, { tries: 100, timeout: 60 })).toEqual(down);
    expect(world.now() - 1_000_000).toBeLessThanOrEqual(60_000);
    expect(world.tries.length).toBeGreaterThan(3);
    for (const [index, remaining] of world.remaining.entries())
      expect(remaining).toBe(60_000 - (world.tries[index] ?? 0));
  });

  test('while others fetch in the meantime', async () => {
    const world = fakeWorld([down, secret], { busy: 1000 });
    await obtaining(world);
    expect(world.tries).toEqual([1000, 2250]);
  });
});

describe('what cannot be helped by another try ends at once', () => {
  test('when the provider refuses', async () => {
    const world = fakeWorld([refused]);
    expect(await failure(world)).toEqual(refused);
    expect(world.tries).toHaveLength(1);
    expect(world.lines).toEqual(['warning: try 1 of 12: permanent: the token is refused']);
  });

  test('even after tries that might have been', async () => {
    const world = fakeWorld([down, refused]);
    expect(await failure(world)).toEqual(refused);
    expect(world.tries).toHaveLength(2);
  });

  test('for one of many references, whatever became of the others', async () => {
    const missing: Failure = { class: 'permanent', exitCode: exitCodes.dataError, message: 'no such field' };
    const answers: Record<string, Answer> = {
      a: secret,
      b: failing(down),
      c: failing(missing),
      d: failing(missing),
    };
    const world = fakeWorld([
      (reference) => {
        const answer = answers[reference.slice(-1)];
        return typeof answer === 'function' ? answer(reference) : undefined;
      },
    ]);
    const references = ['a', 'b', 'c', 'd'].map((field) => `op://v/i/${field}`);
    expect(await failure(world, { references })).toEqual({
      ...missing,
      message: '"op://v/i/c": no such field; "op://v/i/d": no such field',
    });
    expect(world.tries).toHaveLength(1);
  });
});

describe('waiting for others', () => {
  test('ends with the time for all tries, and says what it was for', async () => {
    const world = fakeWorld([secret], { busy: 1e9 });
    expect(await failure(world)).toEqual({
      class: 'transient',
      exitCode: exitCodes.temporaryFailure,
      message: 'other services were still fetching when 240 s had passed',
    });
    expect(world.tries).toEqual([]);
  });

  test('that ends after a failed try leaves the reason of that', async () => {
    const world = fakeWorld([down], { busy: 30_000 });
    expect(await failure(world, { timeout: 50 })).toEqual(down);
    expect(world.tries).toEqual([30_000]);
  });
});

describe('a rate limit', () => {
  test('ends it at once: to ask again would make it longer', async () => {
    const world = fakeWorld([down, limited]);
    expect(await failure(world)).toEqual(limited);
    expect(world.tries).toHaveLength(2);
    expect(world.lines.at(-1)).toBe(
      'warning: try 2 of 12: rate-limited: 1Password limits the rate of requests',
    );
  });

  test.each([true, false])('that another has met forbids to ask, even by force: %s', async (force) => {
    const world = fakeWorld([secret], { coolDown: { from: 0, failure: limited } });
    expect(await failure(world, { force })).toEqual(limited);
    expect([world.tries, world.lines]).toEqual([[], []]);
    expect(world.progress).toEqual([{ state: 'failed', try: 0, failure: limited }]);
  });

  test('that another has met while this one waited for its next try ends it, too', async () => {
    const world = fakeWorld([down, secret], { coolDown: { from: 1, failure: limited } });
    expect(await failure(world)).toEqual(limited);
    expect(world.tries).toHaveLength(1);
  });
});

describe('what is known not to be there', () => {
  test('is not asked for again', async () => {
    const world = fakeWorld([secret], { remembered: refused });
    expect(await failure(world)).toEqual(refused);
    expect([world.tries, world.lines, world.progress]).toEqual([[], [], []]);
  });

  test('is asked for by force', async () => {
    const world = fakeWorld([secret], { remembered: refused });
    expect(await obtaining(world, { force: true })).toEqual(
      new Map([['op://v/i/a', 'secret of op://v/i/a']]),
    );
  });
});

test('all that failed together try again together', async () => {
  const waits = async (random: number): Promise<readonly number[]> => {
    const world = fakeWorld([down, down, secret], { jitter: 0.25, random: () => random });
    await obtaining(world);
    return world.tries;
  };
  expect(await waits(0.1)).toEqual([0, 125, 375]);
  expect(await waits(0.9)).toEqual([0, 125, 375]);
});

test('without references nobody is asked', async () => {
  const world = fakeWorld([refused], { remembered: refused });
  expect(await obtaining(world, { references: [] })).toEqual(new Map());
  expect(world.tries).toEqual([]);
});

test('an error that nobody expects is not taken for a failure', async () => {
  const world = fakeWorld([
    () => {
      throw new TypeError('a bug');
    },
  ]);
  await expect(obtaining(world)).rejects.toThrow(TypeError);
  expect(world.tries).toHaveLength(1);
});
