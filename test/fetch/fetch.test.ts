import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import type { Failure } from '../../src/domain/failure.ts';
import { fetchSecrets as fetchWith } from '../../src/fetch/fetch.ts';
import { obtain } from '../../src/fetch/obtain.ts';
import type { FetchPlan } from '../../src/fetch/read-plan.ts';
import { parseRenderValues } from '../../src/fetch/render-values.ts';
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
    obtain: (references) => {
      const request = { ...of, references, unitDigest: 'digest', force: false };
      return obtain(request, world.of(request));
    },
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
        { name: 'repo.key', value: 'op://v/i/c', mode: 0o440, credential: false },
        { name: 'empty', value: '', mode: 0o400, credential: false },
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
      {
        credentials: [['c', 'op://v/i/c']],
        files: [{ name: 'f', value: 'op://v/i/f', mode: 0o400, credential: false }],
      },
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
    const file = planWith(
      {},
      { files: [{ name: 'repo.key', value: 'op://v/i/f', mode: 0o400, credential: false }] },
    );
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
      'all credentials together have 1048577 bytes, more than the 1 MiB that systemd takes for one service: "a" has 1048576',
    );
  });

  test('files that are credentials, too, count with them, those that are none do not', async () => {
    const half = 'x'.repeat(600_000);
    const fetchWithFile = async (credential: boolean): Promise<FakeWorld> => {
      const world = fakeWorld([() => ({ ok: true, value: half })]);
      const files = [{ name: 'big.key', value: 'op://v/i/f', mode: 0o400, credential }];
      await fetchSecrets(planWith({}, { credentials: [['a', 'op://v/i/c']], files }), world);
      return world;
    };
    expect((await fetchWithFile(false)).written).toHaveLength(1);
    await expect(fetchWithFile(true)).rejects.toThrow(
      'all credentials together have 1200008 bytes, more than the 1 MiB that systemd takes for one service: "a" has 600000, "big.key" has 600000',
    );
  });

  test('of many that are too long the longest are named', async () => {
    const world = fakeWorld([() => ({ ok: true, value: 'x'.repeat(200_000) })]);
    const credentials = Array.from({ length: 7 }, (_, index) => [`c${index}`, 'op://v/i/c'] as const);
    const { message } = await failure(world, planWith({}, { credentials }));
    expect(message).toMatch(/: "c0" has 200000, .*"c4" has 200000, and 2 more$/);
    expect(world.written).toEqual([]);
  });
});

describe('configs', () => {
  const config = {
    name: 'app.yaml',
    template: '/t.yaml',
    format: 'yaml',
    values: [],
    mode: 0o640,
    credential: false,
  } as const;
  const withConfig = (environment: Readonly<Record<string, string>>, more: object = {}): FetchPlan =>
    planWith(environment, { configs: [{ ...config, ...more }] });

  test('hand over exactly what their templates use: names and references', async () => {
    const world = fakeWorld([secret], {
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
      'x: 1\ny: ${TOKN}\n',
      '/t.yaml:2:4: "TOKN" is declared neither in the service\'s environment nor in the values of this config (did you mean "TOKEN"?)',
    ],
    [
      'a bad reference',
      'x: {{ op://v/i }}',
      '/t.yaml:1:4: between "{{" and "}}": a secret reference has three or four parts, op://vault/item/[section/]field, this one has 2: the field is missing; write {{ "{{" }} for two braces',
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
        const world = fakeWorld([() => ({ ok: true, value: text })], { templates: { '/t.yaml': '${A}' } });
        await fetchSecrets(withConfig({ A: 'op://v/i/a' }), world);
        const values = parseRenderValues(world.written[0]?.renderValues ?? '');
        expect(values.get('app.yaml')?.names).toEqual(new Map([['A', text]]));
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
