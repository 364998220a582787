import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/domain/json-text.ts';
import { formatProblem } from '../../src/domain/problem.ts';
import { appWith, manifest, manifestPath, read, value } from '../support/manifests.ts';

/** What a service has without being given it. */
const without = {
  file: manifestPath,
  environment: [],
  credentials: [],
  files: [],
  configs: [],
  inline: false,
};

const identities = ['/etc/ssh/ssh_host_ed25519_key', '/etc/ssh/ssh_host_rsa_key'];

test('what a manifest does not say has the documented defaults', () => {
  expect(read({ version: 1 })).toEqual({
    provider: { type: '1password' },
    token: { kind: 'age', path: '/etc/unit-secrets/1password-token.age', identities },
    fetch: { tries: 12, timeout: 240, retryEvery: 60 },
    services: [],
    sshKeys: [],
    broken: [],
    refused: [],
    displaced: [],
    general: [],
    partial: [],
    problems: [],
    doubts: [],
    legible: [],
  });
});

test.each([
  [{ token: { age: '/a' } }, { token: { kind: 'age', path: '/a', identities } }],
  [{ token: { age: '/a', identity: '/b' } }, { token: { kind: 'age', path: '/a', identities: ['/b'] } }],
  [
    { token: { age: '/a', identity: ['/b', '/c'] } },
    { token: { kind: 'age', path: '/a', identities: ['/b', '/c'] } },
  ],
  [{ token: { credential: '1password-token' } }, { token: { kind: 'credential', id: '1password-token' } }],
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
      ...without,
      name: { name: 'b@1', base: 'b', instance: '1' },
      environment: [
        ['Z', 'op://v/i/f'],
        ['A', '{{ "{{" }}'],
        ['__proto__x', ''],
      ],
    },
    { ...without, name: { name: 'a', base: 'a' } },
  ]);
});

const entry = (members: Json): Json => ({ version: 1, services: { app: members } });

describe('a service is given', () => {
  test('credentials by their IDs', () => {
    const [app] = read(entry({ credentials: { 'tls.key': 'op://v/i/f', B_: '' } })).services;
    expect(app).toMatchObject({
      credentials: [
        ['tls.key', 'op://v/i/f'],
        ['B_', ''],
      ],
    });
  });

  test.each([
    [undefined, 0o400],
    ['backup', 0o440],
  ])('files, of the group %s, with the mode %o unless they say another', (group, mode) => {
    const files = {
      plain: 'x',
      'repo.key': { value: 'op://v/i/f' },
      own: { value: 'x', mode: '0600', credential: true },
      short: { value: 'x', mode: '640', credential: false },
    };
    const [app] = read(entry(group === undefined ? { files } : { files, group })).services;
    expect(app?.files).toEqual([
      { name: 'plain', value: 'x', mode, credential: false },
      { name: 'repo.key', value: 'op://v/i/f', mode, credential: false },
      { name: 'own', value: 'x', mode: 0o600, credential: true },
      { name: 'short', value: 'x', mode: 0o640, credential: false },
    ]);
    expect(app?.group).toBe(group);
  });

  test('configs, whose format the extension of the template tells', () => {
    const configs = {
      'config.yaml': { template: '/t/litellm.yaml' },
      a: { template: '/t/a.json', format: 'text', mode: '0400', credential: true, values: { PORT: '80' } },
      b: { template: '/t/b.conf' },
    };
    const [app] = read(entry({ configs })).services;
    const defaults = { values: [], mode: 0o640, credential: false, formatGiven: false };
    expect(app?.configs).toEqual([
      { ...defaults, name: 'config.yaml', template: '/t/litellm.yaml', format: 'yaml' },
      {
        name: 'a',
        template: '/t/a.json',
        format: 'text',
        formatGiven: true,
        values: [['PORT', '80']],
        mode: 0o400,
        credential: true,
      },
      { ...defaults, name: 'b', template: '/t/b.conf', format: 'text' },
    ]);
  });

  test('a directory below /run, and fetches itself if it says so', () => {
    const { services } = read({
      version: 1,
      services: {
        a: { environment: {}, runtimeDirectory: 'litellm' },
        b: { files: {}, dynamicUser: 'inline' },
      },
    });
    expect(services).toMatchObject([{ runtimeDirectory: 'litellm', inline: false }, { inline: true }]);
    expect(services[1]).not.toHaveProperty('runtimeDirectory');
  });

  test.each([
    'systemd',
    'dbus',
    'credentials',
    'user',
    'lock',
    'log',
    'udev',
    'private',
    'sshd',
    'unit-secrets',
  ])('but not /run/%s, which the system uses', (runtimeDirectory) => {
    expect(read(entry({ files: {}, runtimeDirectory })).services).toEqual([]);
  });

  test('a credential of one name only once, but a file and a credential may share one', () => {
    const shared = { credentials: { k: 'x' }, files: { k: 'y' }, configs: { k: { template: '/k' } } };
    expect(read(entry(shared)).problems).toEqual([]);
  });

  test('the directory that another has only where the other has none', () => {
    const { services, broken } = read({
      version: 1,
      services: {
        a: { files: {}, runtimeDirectory: 'x' },
        b: { files: {}, runtimeDirectory: 'x' },
        c: { files: {}, runtimeDirectory: 'y' },
      },
    });
    expect(services.map(({ name }) => name.name)).toEqual(['a', 'c']);
    expect(broken.map(({ name }) => name.name)).toEqual(['b']);
  });
});

describe('the SSH keys of a user', () => {
  test('are read with their unit, escaped as systemd-escape does', () => {
    const { sshKeys, problems } = read({
      version: 1,
      sshKeys: {
        'javier.sc': {
          privateKey: 'op://v/i/k?ssh-format=openssh',
          publicKey: 'op://v/i/p',
          authorize: true,
        },
        'my-user': { publicKey: 'ssh-ed25519 AAAA', authorize: true },
        root: { privateKey: 'op://v/i/k', file: 'id_work' },
      },
    });
    expect(problems).toEqual([]);
    expect(sshKeys).toEqual([
      {
        user: 'javier.sc',
        name: { name: 'ssh-key-setup@javier.sc', base: 'ssh-key-setup', instance: 'javier.sc' },
        file: manifestPath,
        privateKey: 'op://v/i/k?ssh-format=openssh',
        publicKey: 'op://v/i/p',
        authorize: true,
      },
      {
        user: 'my-user',
        name: {
          name: 'ssh-key-setup@my\\x2duser',
          base: 'ssh-key-setup',
          instance: 'my\\x2duser',
        },
        file: manifestPath,
        publicKey: 'ssh-ed25519 AAAA',
        authorize: true,
      },
      {
        user: 'root',
        name: { name: 'ssh-key-setup@root', base: 'ssh-key-setup', instance: 'root' },
        file: manifestPath,
        privateKey: 'op://v/i/k',
        authorize: false,
        keyFile: 'id_work',
      },
    ]);
  });

  test('with an error cost only that user', () => {
    const { sshKeys, services, broken, general } = read({
      version: 1,
      services: { app: { environment: {} } },
      sshKeys: { a: { privateKey: 'x' }, b: { privateKey: 1 }, 'c d': { privateKey: 'x' } },
    });
    expect(sshKeys.map(({ user }) => user)).toEqual(['a']);
    expect(broken).toMatchObject([{ user: 'b', name: { name: 'ssh-key-setup@b' } }]);
    expect([services.length, general.length]).toEqual([1, 0]);
  });

  test('a service that would take their units is refused, and they are not', () => {
    const names = ['ssh-key-setup@a', 'ssh-key-setup-secrets@a'];
    const { sshKeys, services, broken, problems } = read({
      version: 1,
      services: Object.fromEntries([...names, 'ssh-key-setup@b'].map((name) => [name, { environment: {} }])),
      sshKeys: { a: { privateKey: 'x' } },
    });
    expect(sshKeys).toHaveLength(1);
    expect(services.map(({ name }) => name.name)).toEqual(['ssh-key-setup@b']);
    expect(broken).toEqual([]);
    expect(problems.map(({ service }) => service)).toEqual(names);
  });
});

test('a variable may be called __proto__', () => {
  const value = JSON.parse(
    '{"version":1,"services":{"__proto__":{"environment":{"__proto__":"x"}}}}',
  ) as Json;
  expect(read(value).services).toEqual([
    { ...without, name: { name: '__proto__', base: '__proto__' }, environment: [['__proto__', 'x']] },
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
    (bad) => ({ version: 1, token: { credential: bad } }),
    (bad) => entry({ credentials: { a: bad }, files: { a: bad, b: { value: bad, credential: bad } } }),
    (bad) => entry({ configs: { a: bad, b: { template: '/t', values: { A: bad }, credential: bad } } }),
    (bad) => entry({ credentials: bad, files: bad, configs: bad }),
    (bad) => ({ version: 1, sshKeys: { a: bad, b: { privateKey: bad, publicKey: bad, authorize: bad } } }),
    (bad) => ({ version: 1, sshKeys: bad }),
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
