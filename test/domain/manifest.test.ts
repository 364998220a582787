import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/domain/json-text.ts';
import { formatProblem } from '../../src/domain/problem.ts';
import { appWith, manifest, manifestPath, read, value } from '../support/manifests.ts';

const identities = ['/etc/ssh/ssh_host_ed25519_key', '/etc/ssh/ssh_host_rsa_key'];

test('what a manifest does not say has the documented defaults', () => {
  expect(read({ version: 1 })).toEqual({
    provider: { type: '1password' },
    token: { kind: 'age', path: '/etc/unit-secrets/1password-token.age', identities },
    fetch: { tries: 12, timeout: 240, retryEvery: 60 },
    services: [],
    broken: [],
    general: [],
    problems: [],
  });
});

test.each([
  [{ token: { age: '/a' } }, { token: { kind: 'age', path: '/a', identities } }],
  [{ token: { age: '/a', identity: '/b' } }, { token: { kind: 'age', path: '/a', identities: ['/b'] } }],
  [
    { token: { age: '/a', identity: ['/b', '/c'] } },
    { token: { kind: 'age', path: '/a', identities: ['/b', '/c'] } },
  ],
  [{ token: { file: '/run/agenix/t' } }, { token: { kind: 'file', path: '/run/agenix/t' } }],
  [
    { provider: { type: 'age-vault' } },
    { provider: { type: 'age-vault', path: '/etc/unit-secrets/vault.age', identities } },
  ],
  [
    { provider: { type: 'age-vault', path: '/v', identity: '/b' } },
    { provider: { type: 'age-vault', path: '/v', identities: ['/b'] } },
  ],
  [
    { fetch: { tries: 100, timeout: '1.5h', retryEvery: '1' } },
    { fetch: { tries: 100, timeout: 5400, retryEvery: 1 } },
  ],
])('%j is read', (members, expected) => {
  const result = read({ version: 1, ...members } as Json);
  expect(result.problems).toEqual([]);
  expect(result).toMatchObject(expected);
});

test('services come in the order of the manifest, values as they are written', () => {
  const { services } = read({
    version: 1,
    services: {
      'b@1.service': { environment: { Z: 'op://v/i/f', A: '{{ "{{" }}', __proto__x: '' } },
      a: { environment: {} },
    },
  });
  expect(services).toEqual([
    {
      name: { name: 'b@1', base: 'b', instance: '1' },
      environment: [
        ['Z', 'op://v/i/f'],
        ['A', '{{ "{{" }}'],
        ['__proto__x', ''],
      ],
    },
    { name: { name: 'a', base: 'a' }, environment: [] },
  ]);
});

test('a variable may be called __proto__', () => {
  const value = JSON.parse(
    '{"version":1,"services":{"__proto__":{"environment":{"__proto__":"x"}}}}',
  ) as Json;
  expect(read(value).services).toEqual([
    { name: { name: '__proto__', base: '__proto__' }, environment: [['__proto__', 'x']] },
  ]);
});

describe('an error', () => {
  const good = { environment: { A: 'x' } };

  test('in an entry costs only that service', () => {
    const result = read({
      version: 1,
      services: {
        a: good,
        b: { environment: { A: 1 } },
        'c d': good,
        e: good,
        f: { environment: { 'A-B': 'x' } },
      },
    });
    expect(result.services.map(({ name }) => name.name)).toEqual(['a', 'e']);
    expect(result.broken.map(({ name }) => name.name)).toEqual(['b', 'f']);
    expect(result.general).toEqual([]);
    expect(result.problems.map(({ service }) => service)).toEqual(['b', 'c d', 'f']);
  });

  test('outside of all entries concerns all', () => {
    const result = read({ version: 1, fetch: { tries: 0 }, services: { a: good } });
    expect(result.general.map(({ path }) => path)).toEqual([['fetch', 'tries']]);
  });

  test.each([
    ['the first', { a: { environment: { A: 1 } }, 'a.service': good }, 2],
    ['the second', { a: good, 'a.service': { environment: { A: 1 } } }, 2],
    ['neither', { a: good, 'a.service': good }, 1],
  ])('of two entries for one unit keeps it down, with errors in %s', (_, services, count) => {
    const result = read({ version: 1, services } as Json);
    expect(result.services).toEqual([]);
    expect(result.broken).toMatchObject([{ name: { name: 'a' } }]);
    expect(result.broken[0]?.problems).toHaveLength(count);
  });

  test('in an entry for a unit that is generated leaves the generating one alone', () => {
    const result = read({ version: 1, services: { 'a-secrets': { environment: { A: 1 } }, a: good } });
    expect(result.services.map(({ name }) => name.name)).toEqual(['a']);
    expect(result.broken).toEqual([]);
    expect(result.general).toEqual([]);
    expect(result.problems).toHaveLength(2);
  });
});

test('every service without problems is kept, whatever the manifest', () => {
  fc.assert(
    fc.property(manifest, (whole) => {
      const { services } = read(whole);
      const given = (whole as { services?: Record<string, unknown> }).services ?? {};
      expect(services.map(({ name }) => name.name)).toEqual(
        Object.keys(given).map((key) => key.replace(/\.service$/, '')),
      );
    }),
  );
});

test('no value that is not a name or a reference is ever told', () => {
  const secret = 'Hunter2Hunter2';
  const planted = fc.oneof(
    fc.constantFrom(
      secret,
      [secret],
      { [`x`]: secret },
      `${secret}\0`,
      `\ufffe${secret}`,
      `{{ ${secret}`,
      `{{ ${secret} }}`,
      `op://a/b/c?${secret}`,
      `op://${secret}`,
      `op://${secret}/(`,
      `${secret}{{ op://a }}`,
    ),
    value.map((text) => `${text}${secret}{{`),
  );
  const places: ((value: Json) => Json)[] = [
    (bad) => appWith({ A: bad }),
    (bad) => appWith(bad),
    (bad) => ({ version: 1, services: { a: bad } }),
    (bad) => ({ version: 1, services: bad }),
    (bad) => ({ version: bad, $schema: [bad] }),
    (bad) => ({ version: 1, token: bad }),
    (bad) => ({ version: 1, token: { age: bad, file: bad, identity: [bad] } }),
    (bad) => ({ version: 1, token: { file: bad } }),
    (bad) => ({ version: 1, provider: bad }),
    (bad) => ({ version: 1, provider: { type: 'age-vault', path: bad, identity: bad } }),
    (bad) => ({ version: 1, fetch: { tries: bad, timeout: bad, retryEvery: bad } }),
  ];
  fc.assert(
    fc.property(planted, fc.constantFrom(...places), (bad, place) => {
      for (const problem of read(place(bad as Json)).problems)
        expect(formatProblem(problem)).not.toContain(secret);
    }),
  );
});

test('reading needs no positions, and messages are then without one', () => {
  expect(read([]).problems.map(formatProblem)).toEqual([
    `${manifestPath}: $: the manifest must be an object, this is an array`,
  ]);
});

test('a name that is refused as generated has no generated names of its own', () => {
  const names = ['app-secrets-secrets', 'app-secrets', 'app'];
  const entries = Object.fromEntries(names.map((name) => [name, { environment: {} }]));
  const { services: kept, problems } = read({ version: 1, services: entries });
  expect(kept.map(({ name }) => name.name)).toEqual(['app-secrets-secrets', 'app']);
  expect(problems.map(({ service }) => service)).toEqual(['app-secrets']);
});
