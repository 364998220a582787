import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import type { Failure } from '../../src/domain/failure.ts';
import { fetchSecrets as fetchWith } from '../../src/fetch/fetch.ts';
import { backoff, obtain } from '../../src/fetch/obtain.ts';
import type { FetchPlan } from '../../src/fetch/read-plan.ts';
import { parseRenderValues } from '../../src/fetch/render-values.ts';
import { parseEnvironmentFile } from '../support/environment-file.ts';
import { type Answer, type FakeWorld, fakeWorld } from '../support/fake-world.ts';
import { literally, variableName, variableText } from '../support/manifests.ts';

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

function planWith(environment: Readonly<Record<string, string>>, more: Partial<FetchPlan> = {}): FetchPlan {
  return {
    service: 'app.service',
    tries: 12,
    timeout: 240,
    environment: Object.entries(environment),
    credentials: [],
    files: [],
    configs: [],
    grouped: false,
    runtimeDirectory: undefined,
    ...more,
  };
}

const plan = planWith({ A: 'op://v/i/a' });

function fetchSecrets(of: FetchPlan, world: FakeWorld): Promise<void> {
  return fetchWith(of, {
    obtain: (references) => obtain({ ...of, references, unitDigest: 'digest', force: false }, world),
    readTemplate: world.readTemplate,
    write: world.write,
  });
}

/** The text of `env` in each set that was written. */
const environments = (world: FakeWorld): (string | undefined)[] =>
  world.written.map(({ environment }) => environment);

/** Fetches, expecting it to fail. */
async function failure(world: FakeWorld, of: FetchPlan = plan): Promise<Failure> {
  const error: unknown = await fetchSecrets(of, world).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'FailureError' });
  expect(world.written).toEqual([]);
  expect(world.holders).toBe(0);
  return (error as { failure: Failure }).failure;
}

describe('a fetch', () => {
  test('writes all variables at once, with the secrets in their places', async () => {
    const world = fakeWorld([secret]);
    await fetchSecrets(
      planWith({ B: 'x{{ op://v/i/b }}y{{ op://v/i/a }}', A: 'op://v/i/a', C: 'plain', D: '' }),
      world,
    );
    expect(environments(world)).toEqual([
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
    expect(environments(world)).toEqual(['A="plain"\n']);
    expect([world.tries, world.lines]).toEqual([[], []]);
  });

  test('without variables writes a set without an environment', async () => {
    const world = fakeWorld([secret]);
    await fetchSecrets(planWith({}), world);
    expect(world.written).toEqual([
      { environment: undefined, credentials: [], files: [], renderValues: undefined },
    ]);
  });

  test('hands every secret over exactly, whatever is in it', async () => {
    await fc.assert(
      fc.asyncProperty(variableText, variableText, variableName, async (hidden, around, name) => {
        const world = fakeWorld([() => ({ ok: true, value: hidden })]);
        await fetchSecrets(planWith({ [name]: `-${literally(around)}-{{ op://v/i/f }}` }), world);
        expect(parseEnvironmentFile(environments(world)[0] ?? '')?.get(name)).toBe(`-${around}-${hidden}`);
        expect(world.lines.join()).toBe('info: try 1 of 12: fetched 1 secret');
      }),
    );
  });
});

describe('credentials and files', () => {
  const everything = planWith(
    { A: 'op://v/i/a' },
    {
      credentials: [
        ['tls.key', '{{ op://v/i/a }}-{{ op://v/i/b }}'],
        ['plain', 'x'],
      ],
      files: [
        { name: 'repo.key', value: 'op://v/i/c', mode: 0o440 },
        { name: 'empty', value: '', mode: 0o400 },
      ],
    },
  );

  test('are in the same set as the environment, from one call', async () => {
    const world = fakeWorld([secret]);
    await fetchSecrets(everything, world);
    expect(world.asked).toEqual([['op://v/i/a', 'op://v/i/b', 'op://v/i/c']]);
    expect(world.written).toEqual([
      {
        environment: 'A="secret of op://v/i/a"\n',
        credentials: [
          ['tls.key', 'secret of op://v/i/a-secret of op://v/i/b'],
          ['plain', 'x'],
        ],
        files: [
          { name: 'repo.key', content: 'secret of op://v/i/c', mode: 0o440 },
          { name: 'empty', content: '', mode: 0o400 },
        ],
        renderValues: undefined,
      },
    ]);
  });

  test('take what no environment variable can carry', async () => {
    const odd = `\uffff${'é'.repeat(100_000)}`;
    const world = fakeWorld([() => ({ ok: true, value: odd })]);
    const plans = planWith(
      {},
      { credentials: [['c', 'op://v/i/c']], files: [{ name: 'f', value: 'op://v/i/f', mode: 0o400 }] },
    );
    await fetchSecrets(plans, world);
    expect(world.written[0]?.credentials).toEqual([['c', odd]]);
    expect(world.written[0]?.files[0]?.content).toBe(odd);
  });

  test.each([
    ['a NUL', 'a\0b', 'contains a NUL byte'],
    ['half a character', '\udc00', 'is not valid Unicode'],
  ])('with %s are refused by their names', async (_, value, message) => {
    const world = (): FakeWorld => fakeWorld([() => ({ ok: true, value })]);
    const credential = planWith({}, { credentials: [['tls.key', 'op://v/i/c']] });
    const file = planWith({}, { files: [{ name: 'repo.key', value: 'op://v/i/f', mode: 0o400 }] });
    expect((await failure(world(), credential)).message).toBe(`the value of "tls.key" ${message}`);
    expect(await failure(world(), file)).toEqual({
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message: `the value of "repo.key" ${message}`,
      hint: 'change the value in the vault',
    });
  });

  test.each([
    [1_048_575, true],
    [1_048_576, false],
  ])('as credentials may have a MiB together with their names: %d bytes and one', async (length, fits) => {
    const world = fakeWorld([() => ({ ok: true, value: 'x'.repeat(length) })]);
    const one = planWith({}, { credentials: [['a', 'op://v/i/c']] });
    if (fits) {
      await fetchSecrets(one, world);
      expect(world.written).toHaveLength(1);
      return;
    }
    expect((await failure(world, one)).message).toBe(
      'the credentials are longer than the 1 MiB that systemd takes for one service, the longest is "a"',
    );
  });
});

describe('configs', () => {
  const config = { name: 'app.yaml', template: '/t.yaml', format: 'yaml', values: [], mode: 0o640 } as const;
  const withConfig = (environment: Readonly<Record<string, string>>, more: object = {}): FetchPlan =>
    planWith(environment, { configs: [{ ...config, ...more }] });

  test('hand over exactly what their templates use: names and references', async () => {
    const world = fakeWorld([secret], {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a template
      templates: { '/t.yaml': 'a: ${A}\nb: "{{ op://v/i/b }}"\nc: ${OWN:number} ${A}\n' },
    });
    await fetchSecrets(
      withConfig({ A: 'op://v/i/a', UNUSED: 'op://v/i/u' }, { values: [['OWN', 'x{{ op://v/i/o }}']] }),
      world,
    );
    const values = parseRenderValues(world.written[0]?.renderValues ?? '');
    expect(values).toEqual(
      new Map([
        [
          'app.yaml',
          {
            names: new Map([
              ['A', 'secret of op://v/i/a'],
              ['OWN', 'xsecret of op://v/i/o'],
            ]),
            references: new Map([['op://v/i/b', 'secret of op://v/i/b']]),
          },
        ],
      ]),
    );
    expect(world.asked).toEqual([['op://v/i/a', 'op://v/i/u', 'op://v/i/o', 'op://v/i/b']]);
    expect(environments(world)[0]).not.toContain('OWN');
  });

  test('keep the values of one from the template of another', async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a template
    const world = fakeWorld([secret], { templates: { '/t.yaml': '${OWN}' } });
    const two = planWith(
      {},
      {
        configs: [
          { ...config, values: [['OWN', 'op://v/i/a']] },
          { ...config, name: 'other.yaml' },
        ],
      },
    );
    expect((await failure(world, two)).message).toContain('/t.yaml:1:1: "OWN" is declared neither');
    expect(world.asked).toEqual([]);
  });

  test.each([
    [
      'a name that nobody declares',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a template
      'x: 1\ny: ${TOKN}\n',
      '/t.yaml:2:4: "TOKN" is declared neither in the service\'s environment nor in the values of this config (did you mean "TOKEN"?)',
    ],
    [
      'a bad reference',
      'x: {{ op://v/i }}',
      '/t.yaml:1:4: between "{{" and "}}": a secret reference has three or four parts, op://vault/item/[section/]field, this one has 2; write {{ "{{" }} for two braces',
    ],
  ])('with %s ask nobody, and name the place', async (_, text, message) => {
    const world = fakeWorld([secret], { templates: { '/t.yaml': text } });
    expect(await failure(world, withConfig({ TOKEN: 'op://v/i/t' }))).toEqual({
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message,
    });
    expect(world.asked).toEqual([]);
  });

  test('whose template is missing ask nobody', async () => {
    const world = fakeWorld([secret]);
    expect((await failure(world, withConfig({ A: 'op://v/i/a' }))).message).toBe('/t.yaml: missing');
    expect(world.asked).toEqual([]);
  });

  test('take a value from the environment as it is, and what a value contains is no placeholder', async () => {
    await fc.assert(
      fc.asyncProperty(variableText, async (text) => {
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a template
        const world = fakeWorld([() => ({ ok: true, value: text })], { templates: { '/t.yaml': '${A}' } });
        await fetchSecrets(withConfig({ A: 'op://v/i/a' }), world);
        const values = parseRenderValues(world.written[0]?.renderValues ?? '');
        expect(values.get('app.yaml')?.names).toEqual(new Map([['A', text]]));
      }),
    );
  });
});

describe('what may pass is tried again', () => {
  test.each([
    ['the service is down', down],
    ['it limits the rate', limited],
    ['one reference is not answered this time', failing(down)],
    ['the provider leaves a reference out', () => undefined],
  ])('when %s', async (_, answer) => {
    const world = fakeWorld([answer, answer, secret]);
    await fetchSecrets(plan, world);
    expect(world.tries).toEqual([0, 250, 750]);
    expect(world.written).toHaveLength(1);
  });

  test('and each try is a line in the log, with the reason and the time of the next', async () => {
    const world = fakeWorld([down, limited, secret]);
    await fetchSecrets(plan, world);
    expect(world.lines).toEqual([
      'warning: try 1 of 12: transient: 1Password could not be reached, next in 0.3 s',
      'warning: try 2 of 12: rate-limited: 1Password limits the rate of requests, next in 0.5 s',
      'info: try 3 of 12: fetched 1 secret',
    ]);
  });

  test('until the tries are used up; the last failure is the outcome', async () => {
    const world = fakeWorld([down, down, limited]);
    expect(await failure(world, { ...plan, tries: 3 })).toEqual(limited);
    expect(world.tries).toHaveLength(3);
    expect(world.lines.at(-1)).toBe(
      'warning: try 3 of 3: rate-limited: 1Password limits the rate of requests',
    );
  });

  test('until the time is used up, without a wait at the end', async () => {
    const world = fakeWorld([down], { duration: 10_000, random: () => 0.999 });
    expect(await failure(world, { ...plan, tries: 100, timeout: 60 })).toEqual(down);
    expect(world.now() - 1_000_000).toBeLessThanOrEqual(60_000);
    expect(world.tries.length).toBeGreaterThan(3);
    for (const [index, remaining] of world.remaining.entries())
      expect(remaining).toBe(60_000 - (world.tries[index] ?? 0));
  });

  test('while others fetch in the meantime', async () => {
    const world = fakeWorld([down, secret], { busy: 1000 });
    await fetchSecrets(plan, world);
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
    const references = planWith({ A: 'op://v/i/a', B: 'op://v/i/b', C: 'op://v/i/c', D: 'op://v/i/d' });
    expect(await failure(world, references)).toEqual({
      ...missing,
      message: '"op://v/i/c": no such field; "op://v/i/d": no such field',
    });
    expect(world.tries).toHaveLength(1);
  });

  test('when the token has not been opened, which the next start of the unit may help', async () => {
    const unopened: Failure = { ...down, message: 'the service account token has not been opened' };
    const world = fakeWorld([secret], { openFailure: unopened });
    expect(await failure(world)).toEqual(unopened);
    expect(world.remaining).toHaveLength(1);
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
    expect(await failure(world, { ...plan, timeout: 50 })).toEqual(down);
    expect(world.tries).toEqual([30_000]);
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

test('an error that nobody expects is not taken for a failure, and the lock is given back', async () => {
  const world = fakeWorld([
    () => {
      throw new TypeError('a bug');
    },
  ]);
  await expect(fetchSecrets(plan, world)).rejects.toThrow(TypeError);
  expect([world.written, world.tries.length, world.holders]).toEqual([[], 1, 0]);
});

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
