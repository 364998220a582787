import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { generate, plan } from '../../generators/unit-secrets-generator.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { manifestPath } from '../support/manifests.ts';
import { temporaryDirectory, temporaryTree } from '../support/temporary.ts';

const executable = '/usr/bin/unit-secrets';
const entry = { environment: { A: 'op://v/i/f' } };

function manifestOf(...names: readonly string[]): string {
  return JSON.stringify({ version: 1, services: Object.fromEntries(names.map((name) => [name, entry])) });
}

/** Runs the generator on a root and tells what it wrote. */
async function run(root: string): Promise<{ exitCode: number; paths: string[]; output: string }> {
  const output = join(temporaryDirectory(), 'normal');
  const exitCode = await generate(output, { root, executable });
  const paths = existsSync(output)
    ? readdirSync(output, { recursive: true, withFileTypes: true })
        .filter((found) => !found.isDirectory())
        .map(({ parentPath, name }) => join(parentPath, name).slice(output.length + 1))
        .sort()
    : [];
  return { exitCode, paths, output };
}

afterEach(() => {
  vi.unstubAllEnvs();
});

test.each([
  ['without a manifest', {}],
  ['with an empty memory', { '/run/unit-secrets/secrets/': '' }],
])('a machine %s is given nothing', async (_, tree) => {
  expect(await run(temporaryTree(tree))).toMatchObject({ exitCode: exitCodes.ok, paths: [] });
});

const general = ['run-unit\\x2dsecrets.mount', 'unit-secrets-token.service', 'unit-secrets-wanted@.target'];

test('a manifest that names no service has what opens and wipes the token', async () => {
  expect(await run(temporaryTree({ [manifestPath]: '{"version":1}' }))).toMatchObject({
    exitCode: exitCodes.ok,
    paths: general,
  });
});

test('where the manifest is gone, an opened token is wiped', async () => {
  const { exitCode, paths, output } = await run(
    temporaryTree({ '/run/unit-secrets/token/1password-token': 'ops_x' }),
  );
  expect([exitCode, paths]).toEqual([exitCodes.ok, general]);
  const unit = readFileSync(join(output, 'unit-secrets-token.service'), 'utf8');
  expect(unit).toContain('\nStopWhenUnneeded=yes\n');
});

test('in the initrd nothing is written, whatever is there', async () => {
  vi.stubEnv('SYSTEMD_IN_INITRD', '1');
  expect(await run(temporaryTree({ [manifestPath]: manifestOf('app') }))).toMatchObject({
    exitCode: 0,
    paths: [],
  });
  vi.stubEnv('SYSTEMD_IN_INITRD', '0');
  expect((await run(temporaryTree({ [manifestPath]: manifestOf('app') }))).paths).toHaveLength(6);
});

test.each([1, 1000])('%d services have three files each, beside those for all', async (count) => {
  const names = Array.from({ length: count }, (_, index) => `app${index}@x`);
  const { exitCode, paths } = await run(temporaryTree({ [manifestPath]: manifestOf(...names) }));
  expect(exitCode).toBe(exitCodes.ok);
  expect(paths).toEqual(
    [
      ...names.flatMap((_, index) => [
        `app${index}@x.service.d/50-unit-secrets.conf`,
        `app${index}-secrets@x.service`,
        `app${index}-retry@x.timer`,
      ]),
      'run-unit\\x2dsecrets.mount',
      'unit-secrets-token.service',
      'unit-secrets-wanted@.target',
    ].sort(),
  );
});

describe('an error in the manifest', () => {
  test('ends with 1, and all that can be written is', async () => {
    const text = JSON.stringify({ version: 1, services: { good: entry, bad: {} } });
    const { exitCode, paths } = await run(temporaryTree({ [manifestPath]: text }));
    expect(exitCode).toBe(exitCodes.problems);
    expect(paths).toEqual([
      'bad-secrets.service',
      'bad.service.d/50-unit-secrets.conf',
      'good-retry.timer',
      'good-secrets.service',
      'good.service.d/50-unit-secrets.conf',
      'run-unit\\x2dsecrets.mount',
      'unit-secrets-token.service',
      'unit-secrets-wanted@.target',
    ]);
  });

  test.each([
    ['cut off', manifestOf('seen').slice(0, -3)],
    ['nested without end', `{"services":{"seen":{"a":${'['.repeat(100_000)}`],
    ['with another member in the place of services', manifestOf('seen').replace('"services"', '"units"')],
    ['with services given twice', manifestOf('other').replace(/\}$/, ',"services":{"seen":{}}}')],
  ])('keeps down what can be seen, is running or was noted: %s', async (_, text) => {
    const { exitCode, paths } = await run(
      temporaryTree({
        [manifestPath]: text,
        '/run/unit-secrets/secrets/running/': '',
        '/run/unit-secrets/secrets/a-file': '',
        '/var/lib/unit-secrets/services': 'noted.service\n\n',
        '/run/unit-secrets/queue/fetched@a,b.service.state': '{}',
        '/run/unit-secrets/queue/ssh-key-setup@ada.service.state': '{}',
        '/run/unit-secrets/queue/lock': '',
      }),
    );
    expect(exitCode).toBe(exitCodes.problems);
    for (const name of ['seen', 'running', 'noted', 'fetched@a:b'])
      expect(paths).toContain(`${name}.service.d/50-unit-secrets.conf`);
    expect(paths.join()).not.toMatch(/a-file|retry|lock|ada/);
    expect(paths).toContain('multi-user.target.wants/unit-secrets-manifest.service');
  });

  test('is a dangling link too, even if nothing else is known', async () => {
    const root = temporaryTree({ '/etc/unit-secrets/': '' });
    symlinkSync('nowhere', join(root, manifestPath));
    expect(await run(root)).toMatchObject({
      exitCode: exitCodes.problems,
      paths: [
        'multi-user.target.wants/unit-secrets-manifest.service',
        'run-unit\\x2dsecrets.mount',
        'unit-secrets-manifest.service',
        'unit-secrets-token.service',
        'unit-secrets-wanted@.target',
      ],
    });
  });
});

test('what has left the manifest, or the manifest with it, is wiped', async () => {
  const directory = { '/run/unit-secrets/secrets/gone/': '' };
  for (const tree of [directory, { ...directory, [manifestPath]: '{"version":1}' }]) {
    const { exitCode, paths } = await run(temporaryTree(tree));
    expect(exitCode).toBe(exitCodes.ok);
    expect(paths).toEqual([
      'gone-secrets.service',
      'run-unit\\x2dsecrets.mount',
      'unit-secrets-token.service',
      'unit-secrets-wanted@.target',
    ]);
  }
});

test('what a record names is wiped only if it can be a directory of a service', async () => {
  const { output } = await run(
    temporaryTree({
      '/run/unit-secrets/secrets/gone/.runtime-directories':
        'app\nsystemd\n..\na b\n/etc\n%n\nunit-secrets\n',
    }),
  );
  const unit = readFileSync(join(output, 'gone-secrets.service'), 'utf8');
  expect(unit).toContain('\nRuntimeDirectory=unit-secrets/secrets/gone app\n');
});

describe('a directory that cannot be written to ends with 73', () => {
  test.each([
    ['because a file is in its way', 'file/normal'],
    ['because a file is where a drop-in’s directory must be', 'half'],
  ])('%s', async (_, target) => {
    const directory = temporaryTree({ file: '', 'half/app.service.d': '' });
    const root = temporaryTree({ [manifestPath]: manifestOf('app') });
    expect(await generate(join(directory, target), { root, executable })).toBe(exitCodes.cannotCreate);
  });

  test('because it is read-only', async () => {
    const root = temporaryTree({ [manifestPath]: manifestOf('app') });
    // for root too, which no mode holds back
    expect(await generate('/sys/kernel', { root, executable })).toBe(exitCodes.cannotCreate);
  });
});

describe('the memory', () => {
  const mountOf = async (release: string, map: string): Promise<string> => {
    const root = temporaryTree({
      [manifestPath]: manifestOf('app'),
      '/proc/sys/kernel/osrelease': `${release}\n`,
      '/proc/self/uid_map': map,
    });
    const { output } = await run(root);
    return /^Type=(.*)$/m.exec(readFileSync(join(output, 'run-unit\\x2dsecrets.mount'), 'utf8'))?.[1] ?? '';
  };
  const identity = '         0          0 4294967295\n';

  test.each([
    ['6.4.0', identity, 'tmpfs'],
    ['6.12.48+deb13-amd64', identity, 'tmpfs'],
    ['10.0', identity, 'tmpfs'],
    ['6.3.13', identity, 'ramfs'],
    ['5.15.0-91-generic', identity, 'ramfs'],
    ['unknown', identity, 'ramfs'],
    ['6.12.0', '         0     100000      65536\n', 'ramfs'],
    ['6.12.0', '', 'ramfs'],
  ])('of Linux %s with the user map %j is a %s', async (release, map, type) => {
    expect(await mountOf(release, map)).toBe(type);
  });
});

test('the plan depends on nothing but what it reads', async () => {
  const tree = {
    [manifestPath]: manifestOf('b', 'a'),
    '/run/unit-secrets/secrets/z/': '',
    '/run/unit-secrets/secrets/y/': '',
  };
  const one = temporaryTree(tree);
  const other = temporaryTree(tree);
  mkdirSync(join(other, 'etc/more'));
  writeFileSync(join(other, 'etc/unit-secrets/notes.txt'), 'x');
  chmodSync(join(other, manifestPath), 0o600);
  expect(await plan({ root: other, executable })).toEqual(await plan({ root: one, executable }));
});
