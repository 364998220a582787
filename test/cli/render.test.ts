import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generate } from '../../generators/unit-secrets-generator.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { paths } from '../../src/unit/paths.ts';
import { type Outcome, unitSecrets } from '../support/command.ts';
import { manifestPath } from '../support/manifests.ts';
import { modeOf, temporaryTree } from '../support/temporary.ts';

/** A machine whose units are generated, with the directories that systemd would make for `app`. */
async function machine(app: object, templates: Readonly<Record<string, string>> = {}): Promise<string> {
  const root = temporaryTree({ ...templates, [manifestPath]: manifestOf(app) });
  await generateIn(root);
  for (const name of ['unit-secrets/secrets/app', 'unit-secrets/config/app', 'run-app/config'])
    mkdirSync(join(root, 'run', name), { recursive: true });
  return root;
}

const manifestOf = (app: object): string => JSON.stringify({ version: 1, services: { app } });

async function generateIn(root: string): Promise<void> {
  rmSync(join(root, paths.generated), { recursive: true, force: true });
  await generate(join(root, paths.generated), { root, executable: '/usr/bin/unit-secrets' });
}

const run = (root: string, command: 'fetch' | 'render'): Outcome =>
  unitSecrets([command, 'app', '--root', root]);

function expectDone(root: string, ...commands: readonly ('fetch' | 'render')[]): void {
  for (const command of commands) expect(run(root, command)).toMatchObject({ exitCode: exitCodes.ok });
}

/** What a directory below /run holds, the marker as `.ok`. */
function held(root: string, directory: string): Record<string, string> {
  const found = readdirSync(join(root, 'run', directory), { withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    found.map(({ name }) => [
      name.replace(/^\.ok-.*/, '.ok'),
      readFileSync(join(root, 'run', directory, name), 'utf8'),
    ]),
  );
}

/** The markers that the service asserts. */
function asserted(root: string): string[] {
  const dropIn = readFileSync(join(root, paths.generated, 'app.service.d/50-unit-secrets.conf'), 'utf8');
  return [...dropIn.matchAll(/^AssertPathExists=(.*)$/gm)].map(([, path = '']) => path);
}

const holds = (root: string): boolean[] => asserted(root).map((path) => existsSync(join(root, path)));

const configs = { 'app.yaml': { template: '/t.yaml' } };
const environment = { KEY: 'a: "b" # c' };

test('what is rendered as a credential counts with the others, and nothing is installed that systemd would not take', async () => {
  const root = await machine(
    {
      environment,
      credentials: { 'tls.key': 'x'.repeat(600_000) },
      configs: { 'app.yaml': { template: '/t.yaml', credential: true }, 'own.yaml': { template: '/t.yaml' } },
    },
    { '/t.yaml': `a: ${'y'.repeat(400_000)}\n` },
  );
  expectDone(root, 'fetch', 'render');
  const before = held(root, 'unit-secrets/config/app');
  writeFileSync(join(root, 't.yaml'), `a: ${'y'.repeat(600_000)}\n`);
  expect(run(root, 'render')).toMatchObject({
    exitCode: exitCodes.dataError,
    stderr:
      'all credentials together have 1200019 bytes, more than the 1 MiB that systemd takes for one service: "app.yaml" has 600004, "tls.key" has 600000 (shorten them, or give the service files without "credential", which have no such limit)\n',
  });
  expect(held(root, 'unit-secrets/config/app')).toEqual(before);
});

describe('render', () => {
  test('puts the values into the templates, escaped for their places, with marker and mode', async () => {
    const root = await machine(
      {
        environment,
        configs: {
          ...configs,
          plain: { template: '/t.txt', mode: '0400', values: { OWN: 'x' } },
          'as.json': { template: '/t.txt', format: 'json', values: { OWN: '"' } },
        },
      },
      { '/t.yaml': 'key: ${KEY}\n', '/t.txt': '"${OWN}"' },
    );
    expect(holds(root)).toEqual([false, false]);
    expectDone(root, 'fetch');
    expect(holds(root)).toEqual([true, false]);
    expectDone(root, 'render');
    expect(holds(root)).toEqual([true, true]);
    expect(held(root, 'unit-secrets/config/app')).toEqual({
      '.ok': '',
      'app.yaml': 'key: "a: \\"b\\" # c"\n',
      plain: '"x"',
      'as.json': '"\\""',
    });
    const modes = ['app.yaml', 'plain'].map((name) => modeOf(join(root, paths.config, 'app', name)));
    expect(modes).toEqual(['0640', '0400']);
    // what is only for templates is in no environment, and root's alone
    expect(readFileSync(join(root, paths.secrets, 'app/env'), 'utf8')).not.toContain('OWN');
    expect(modeOf(join(root, paths.secrets, 'app/.values.json'))).toBe('0400');
  });

  test('into the directory of the service’s name, where it has one; the marker stays', async () => {
    const app = { environment, files: { key: 'k' }, configs, runtimeDirectory: 'run-app' };
    const root = await machine(app, { '/t.yaml': 'key: ${KEY}\n' });
    expectDone(root, 'fetch', 'render');
    expect(holds(root)).toEqual([true, true]);
    expect(Object.keys(held(root, 'run-app/config'))).toEqual(['app.yaml']);
    expect(Object.keys(held(root, 'run-app'))).toEqual(['env']);
    expect(held(root, 'run-app/files')).toEqual({ key: 'k' });
    expect(held(root, 'unit-secrets/config/app')).toEqual({ '.ok': '' });
    expect(held(root, 'unit-secrets/secrets/app')).toMatchObject({
      '.ok': '',
      '.runtime-directories': 'run-app\n',
    });
    expect(held(root, 'unit-secrets/secrets/app')).not.toHaveProperty('env');
  });

  test('removes what an earlier edition rendered', async () => {
    const root = await machine(
      { environment, configs: { ...configs, old: { template: '/t.yaml' } } },
      { '/t.yaml': 'key: ${KEY}\n' },
    );
    expectDone(root, 'fetch', 'render');
    writeFileSync(join(root, manifestPath), manifestOf({ environment, configs }));
    await generateIn(root);
    expect(holds(root)).toEqual([false, false]);
    expectDone(root, 'fetch', 'render');
    expect(Object.keys(held(root, 'unit-secrets/config/app')).sort()).toEqual(['.ok', 'app.yaml']);
  });

  test('installs nothing if one of the templates cannot be rendered, and names the place', async () => {
    const root = await machine(
      { environment, configs: { ...configs, 'b.json': { template: '/b.json' } } },
      { '/t.yaml': 'key: ${KEY}\n', '/b.json': '{\n  "n": ${KEY:number}\n}' },
    );
    expectDone(root, 'fetch');
    expect(run(root, 'render')).toEqual({
      exitCode: exitCodes.dataError,
      stdout: '',
      stderr: expect.stringMatching(/^\/b\.json:2:8: the value of KEY is not a /),
    });
    expect(held(root, 'unit-secrets/config/app')).toEqual({});
    expect(holds(root)).toEqual([true, false]);
  });

  test('without fetched values says which unit fetches them', async () => {
    const root = await machine({ environment, configs }, { '/t.yaml': 'x' });
    expect(run(root, 'render')).toMatchObject({
      exitCode: exitCodes.temporaryFailure,
      stderr: expect.stringMatching(
        /^the values for the templates are not in .*\/run\/unit-secrets\/secrets\/app \(ENOENT\) \(systemctl reload-or-restart app-secrets\.service fetches them\)\n$/,
      ),
    });
  });

  test('with a template that has changed since the fetch asks for another one', async () => {
    const root = await machine(
      { environment: { ...environment, MORE: 'm' }, configs },
      { '/t.yaml': 'a: ${KEY}\n' },
    );
    expectDone(root, 'fetch', 'render');
    writeFileSync(join(root, 't.yaml'), 'a: ${KEY}\nb: ${MORE}\n');
    expect(run(root, 'render')).toMatchObject({
      exitCode: exitCodes.dataError,
      stderr:
        '/t.yaml: "MORE" came into the template after its values were fetched (systemctl reload app-secrets.service fetches and renders anew)\n',
    });
    expect(held(root, 'unit-secrets/config/app')).toMatchObject({ 'app.yaml': 'a: "a: \\"b\\" # c"\n' });
    expectDone(root, 'fetch', 'render');
    expect(held(root, 'unit-secrets/config/app')).toMatchObject({
      'app.yaml': expect.stringContaining('b: m'),
    });
  });
});

describe('a fetch for templates', () => {
  test.each([
    [
      'is missing',
      undefined,
      exitCodes.noInput,
      /\/t\.yaml: the template does not exist \(the manifest names it under "configs"\)/,
    ],
    [
      'has an undeclared name',
      'a: 1\nb: ${NOBODY}\n',
      exitCodes.dataError,
      /^\/t\.yaml:2:4: "NOBODY" is declared neither/,
    ],
  ])('fails before anything is written when one %s', async (_, text, exitCode, message) => {
    const root = await machine({ environment, configs }, text === undefined ? {} : { '/t.yaml': text });
    expect(run(root, 'fetch')).toMatchObject({ exitCode, stderr: expect.stringMatching(message) });
    expect(held(root, 'unit-secrets/secrets/app')).toEqual({});
  });
});
