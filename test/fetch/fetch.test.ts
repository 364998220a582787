import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import type { Failure } from '../../src/domain/failure.ts';
import { type FetchPlan, fetchSecrets as fetchWith } from '../../src/fetch/fetch.ts';
import { obtain } from '../../src/fetch/obtain.ts';
import { parseEnvironmentFile } from '../support/environment-file.ts';
import { type Answer, type FakeWorld, fakeWorld } from '../support/fake-world.ts';
import { literally, variableName, variableText } from '../support/manifests.ts';

const refused: Failure = {
  class: 'permanent',
  exitCode: exitCodes.noPermission,
  message: 'the token is refused',
};

const secret: Answer = (reference) => ({ ok: true, value: `secret of ${reference}` });

function planWith(environment: Readonly<Record<string, string>>, more: Partial<FetchPlan> = {}): FetchPlan {
  return {
    service: 'app.service',
    tries: 12,
    timeout: 240,
    environment: Object.entries(environment),
    ...more,
  };
}

const plan = planWith({ A: 'op://v/i/a' });

function fetchSecrets(of: FetchPlan, world: FakeWorld): Promise<void> {
  return fetchWith(of, {
    obtain: (references) => {
      const request = { ...of, references, unitDigest: 'digest', force: false };
      return obtain(request, world.of(request));
    },
    write: world.write,
  });
}

/** Fetches, expecting it to fail. */
async function failure(world: FakeWorld, of: FetchPlan = plan): Promise<Failure> {
  const error: unknown = await fetchSecrets(of, world).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'FailureError' });
  expect(world.written).toEqual([]);
  return (error as { failure: Failure }).failure;
}

describe('a fetch', () => {
  test('writes all variables at once, with the secrets in their places', async () => {
    const world = fakeWorld([secret]);
    await fetchSecrets(
      planWith({ B: 'x{{ op://v/i/b }}y{{ op://v/i/a }}', A: 'op://v/i/a', C: 'plain', D: '' }),
      world,
    );
    expect(world.written).toEqual([
      'B="xsecret of op://v/i/bysecret of op://v/i/a"\nA="secret of op://v/i/a"\nC="plain"\nD=""\n',
    ]);
    expect(world.lines).toEqual(['info: try 1 of 12: fetched 2 secrets']);
  });

  test('asks once for each reference, all in one call', async () => {
    const world = fakeWorld([secret]);
    await fetchSecrets(planWith({ A: 'op://v/i/a', B: '{{ op://v/i/b }}{{ op://v/i/a }}' }), world);
    expect(world.asked).toEqual([['op://v/i/a', 'op://v/i/b']]);
  });

  test('without references asks nobody and waits for nobody', async () => {
    const world = fakeWorld([refused], { busy: 1e9 });
    await fetchSecrets(planWith({ A: 'plain' }), world);
    expect(world.written).toEqual(['A="plain"\n']);
    expect([world.tries, world.lines]).toEqual([[], []]);
  });

  test('without variables writes a set without an environment', async () => {
    const world = fakeWorld([secret]);
    await fetchSecrets(planWith({}), world);
    expect(world.written).toEqual([undefined]);
  });

  test('hands every secret over exactly, whatever is in it', async () => {
    await fc.assert(
      fc.asyncProperty(variableText, variableText, variableName, async (hidden, around, name) => {
        const world = fakeWorld([() => ({ ok: true, value: hidden })]);
        await fetchSecrets(planWith({ [name]: `-${literally(around)}-{{ op://v/i/f }}` }), world);
        expect(parseEnvironmentFile(world.written[0] ?? '')?.get(name)).toBe(`-${around}-${hidden}`);
        expect(world.lines.join()).toBe('info: try 1 of 12: fetched 1 secret');
      }),
    );
  });
});

describe('before anything is written', () => {
  test.each([
    ['a NUL', 'a\0b', 'contains a NUL byte, which no environment variable can carry'],
    [
      'a noncharacter',
      '\uffff',
      'contains a Unicode noncharacter, which systemd does not accept in environment files',
    ],
    ['half a character', '\ud800', 'is not valid Unicode'],
    [
      'more than 128 KiB',
      'x'.repeat(131_072),
      'is longer than the 128 KiB that an environment variable can carry',
    ],
  ])('a secret with %s is refused by the name of its variable', async (_, value, message) => {
    const world = fakeWorld([(reference) => ({ ok: true, value: reference.endsWith('a') ? 'fine' : value })]);
    expect(await failure(world, planWith({ A: 'op://v/i/a', KEY: 'op://v/i/b' }))).toEqual({
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message: `the value of KEY ${message}`,
      hint: 'change the value in the vault',
    });
  });

  test('a value that is too long only as a whole is refused too', async () => {
    const world = fakeWorld([() => ({ ok: true, value: 'x'.repeat(70_000) })]);
    const twice = planWith({ KEY: '{{ op://v/i/a }}{{ op://v/i/b }}' });
    expect((await failure(world, twice)).message).toBe(
      'the value of KEY is longer than the 128 KiB that an environment variable can carry',
    );
  });

  test('a value that the generator would not have let pass is refused', async () => {
    const world = fakeWorld([secret]);
    expect(await failure(world, planWith({ A: 'op://v' }))).toMatchObject({ exitCode: exitCodes.dataError });
    expect(world.tries).toEqual([]);
  });
});
