import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { runModule, unitSecrets } from '../support/command.ts';
import { temporaryTree } from '../support/temporary.ts';

const manifestJson = '/etc/unit-secrets/manifest.json';
const generated = '/run/systemd/generator';
const manifest = (services: object): string => JSON.stringify({ version: 1, services });
const app = { environment: { KEY: 'op://Home/App/key' } };

/** A machine that has loaded a manifest. */
function machineWith(services: object): string {
  const root = temporaryTree({
    [manifestJson]: manifest(services),
    '/proc/sys/kernel/osrelease': '6.12.0\n',
    '/proc/self/uid_map': '0 0 4294967295\n',
  });
  mkdirSync(join(root, generated), { recursive: true });
  expect(unitSecrets(['generate', '--root', root, '--output', join(root, generated)]).exitCode).toBe(0);
  return root;
}

const edit = (root: string, services: object): void =>
  writeFileSync(join(root, manifestJson), manifest(services));
const plan = (root: string, ...args: readonly string[]) => unitSecrets(['plan', '--root', root, ...args]);

test('without a change there is nothing to show, and the exit code is 0', () => {
  const root = machineWith({ app });
  writeFileSync(join(root, generated, 'other.service'), 'of another generator\n');
  expect(plan(root)).toEqual({
    exitCode: exitCodes.ok,
    stdout: 'no change: the units that are loaded are those of the manifest\n',
    stderr: '',
  });
});

test('a change is a unified diff and what it means for the service, and the exit code is 2', () => {
  const root = machineWith({ app, old: app });
  edit(root, { app: { environment: { KEY: 'op://Home/App/other' } }, new: app });
  const { exitCode, stdout, stderr } = plan(root);
  expect({ exitCode, stderr }).toEqual({ exitCode: exitCodes.changes, stderr: '' });
  expect(stdout).toContain('--- a/app-secrets.service\n+++ b/app-secrets.service\n@@ ');
  expect(stdout).toContain('-Environment="KEY=op://Home/App/key"\n+Environment="KEY=op://Home/App/other"\n');
  expect(stdout).toContain('--- /dev/null\n+++ b/new-secrets.service\n');
  expect(stdout).toContain('--- a/old-secrets.service\n+++ /dev/null\n');
  expect(stdout.split('\n').slice(-5)).toEqual([
    'app.service is given something else: it is fetched at its next start (unit-secrets apply does that now, and restarts it if it runs)',
    'new.service is given its secrets from its next start on',
    'old.service has left the manifest: its secrets are wiped at once, the service keeps running',
    expect.stringMatching(/^\d+ files: 3 added, \d+ changed, 3 removed$/),
    '',
  ]);
});

test('what is wiped when an entry is removed, and what stays, is told', () => {
  const inline = { ...app, dynamicUser: 'inline' };
  const root = machineWith({ app, inline });
  edit(root, { app });
  const kept =
    'inline.service has left the manifest: it keeps the secrets and the token that it has, which are wiped when it stops\n';
  const opened =
    '/run/unit-secrets/token/1password-token stays in memory, as the unit that would wipe it goes: rm it, or reboot\n';
  expect(plan(root).stdout).toContain(kept);
  expect(plan(root).stdout).not.toContain(opened);
  edit(root, {});
  expect(plan(root).stdout).toContain(kept);
  expect(plan(root).stdout).toContain(opened);
});

test('the diff can be applied by patch(1)', () => {
  const root = machineWith({ app });
  edit(root, { app: { environment: { KEY: 'op://Home/App/other', MORE: '%"\\' } } });
  const { stdout } = plan(root, '--json');
  const { units } = JSON.parse(stdout) as { units: { path: string; diff: string }[] };
  const input = units.map(({ diff }) => diff).join('');
  const { status, stdout: said } = spawnSync('patch', ['-p1'], {
    cwd: join(root, generated),
    input,
    encoding: 'utf8',
  });
  expect(said).toContain('patching file');
  expect(status).toBe(0);
  expect(readFileSync(join(root, generated, 'app-secrets.service'), 'utf8')).toContain('App/other');
  expect(plan(root).exitCode).toBe(exitCodes.ok);
});

test('a broken entry is told, and what it costs', () => {
  const root = machineWith({ app });
  edit(root, { app: { environment: { KEY: 'op://' } } });
  const { exitCode, stdout, stderr } = plan(root);
  expect(exitCode).toBe(exitCodes.changes);
  expect(stderr).toContain('$.services.app.environment.KEY');
  expect(stdout).toContain(
    'app.service is kept down, as its entry has an error; if it is running, it keeps running\n',
  );
});

test('no colours where there is no terminal', () => {
  expect(plan(machineWith({ app })).stdout).not.toContain('\u001b');
});

describe('without a manifest', () => {
  const none = (root: string): string =>
    `there is no manifest: neither ${root}/etc/unit-secrets/manifest.json nor ${root}/etc/unit-secrets/manifest.d exists`;

  test('there is nothing to plan, and the exit code is 66, as that of check', () => {
    expect(plan('/nonexistent')).toEqual({
      exitCode: exitCodes.noInput,
      stdout: '',
      stderr: `${none('/nonexistent')} (write one: man unit-secrets.manifest)\n`,
    });
  });

  test('where there was one, it is said that all services are taken for removed', () => {
    const root = machineWith({ app });
    rmSync(join(root, manifestJson));
    const { exitCode, stdout, stderr } = plan(root);
    expect({ exitCode, stderr }).toEqual({
      exitCode: exitCodes.changes,
      stderr: `${none(root)}: every service is taken for removed\n`,
    });
    expect(stdout).toContain('app.service has left the manifest');
  });
});

test('who may not read the manifest is told so, and no plan', () => {
  const root = machineWith({ app });
  chmodSync(join(root, manifestJson), 0o600);
  for (let at = root; at !== '/tmp' && at !== '/'; at = dirname(at)) chmodSync(at, 0o755);
  // a plain user; this test runs as root, as all do that need other users
  const module = `
    process.setegid(65534); process.seteuid(65534);
    const { planCommand } = await import('SOURCE/cli/plan.ts');
    process.exitCode = await planCommand({ root: ${JSON.stringify(root)}, json: false });`;
  expect(runModule(module)).toEqual({
    exitCode: exitCodes.noPermission,
    stdout: '',
    stderr: `${manifestJson}: cannot be read: permission denied (run this as a user who may read it, as root for instance)\n`,
  });
});

/** What `daemon-reload` does while the secrets of these services are in memory. */
function reloadWith(root: string, ...directories: readonly string[]): void {
  for (const one of directories) mkdirSync(join(root, '/run/unit-secrets', one), { recursive: true });
  rmSync(join(root, generated), { recursive: true });
  mkdirSync(join(root, generated), { recursive: true });
  expect(unitSecrets(['generate', '--root', root, '--output', join(root, generated)]).exitCode).toBe(0);
}

test.each([
  ['one of two services', { app }],
  ['the only service', {}],
])('what wipes the secrets of a removed entry (%s) is no change, nor is that it goes', (_, services) => {
  const root = machineWith({ ...services, old: app, own: { ...app, dynamicUser: 'inline' } });
  edit(root, services);
  reloadWith(root, 'secrets/old', 'inline/own');
  expect(readFileSync(join(root, generated, 'old-secrets.service'), 'utf8')).toContain('Wipe the secrets of');
  const unchanged = { exitCode: exitCodes.ok, stdout: expect.stringMatching(/^no change/), stderr: '' };
  expect(plan(root)).toEqual(unchanged);
  rmSync(join(root, '/run/unit-secrets/secrets'), { recursive: true });
  expect(plan(root)).toEqual(unchanged);
});

interface PlanAsJson {
  readonly units: readonly { readonly path: string; readonly transient?: true; readonly purpose?: string }[];
}

/** Checks that a plan is what `daemon-reload` does then, patch(1) being the judge, and that none is left after it. */
function expectToBeTrue(root: string, ...directories: readonly string[]): PlanAsJson['units'] {
  const { exitCode, stdout } = plan(root, '--json');
  expect(exitCode).toBe(exitCodes.changes);
  const { units } = JSON.parse(stdout) as { units: (PlanAsJson['units'][number] & { diff: string })[] };
  const patched = temporaryTree({});
  cpSync(join(root, generated), patched, { recursive: true, verbatimSymlinks: true });
  const input = units.map(({ diff }) => diff).join('');
  // links are told as text
  for (const { path } of units) if (isLink(join(patched, path))) rmSync(join(patched, path));
  expect(spawnSync('patch', ['-p1', '-E'], { cwd: patched, input, encoding: 'utf8' }).status).toBe(0);
  reloadWith(root, ...directories);
  expect(filesOf(patched)).toEqual(filesOf(join(root, generated)));
  expect(plan(root)).toMatchObject({ exitCode: exitCodes.ok, stdout: expect.stringMatching(/^no change/) });
  return units;
}

const isLink = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

function filesOf(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    files.map((file) => [file.slice(directory.length), readFileSync(file, 'utf8')] as const),
  );
}

test('what renews the set in memory is told with the change, and is none by itself', () => {
  const root = machineWith({ app });
  const dropIn = readFileSync(join(root, generated, 'app.service.d/50-unit-secrets.conf'), 'utf8');
  const [, marker = ''] = /^AssertPathExists=(.*)$/m.exec(dropIn) ?? [];
  mkdirSync(join(root, dirname(marker)), { recursive: true });
  writeFileSync(join(root, marker), '');
  edit(root, { app: { environment: { KEY: 'op://Home/App/other' } } });
  const { stdout } = plan(root);
  expect(stdout).toContain('+++ b/unit-secrets-renew@app.service\n');
  expect(stdout).toMatch(/^\+Requires=.* unit-secrets-renew@app\.service$/m);
  expect(stdout.split('\n').slice(-3)).toEqual([
    '3 files: 1 added, 2 changed, 0 removed',
    'of these only for a time, until a later daemon-reload: unit-secrets-renew@app.service (renew the secrets of app.service, whose entry was edited)',
    '',
  ]);
  expect(expectToBeTrue(root)).toContainEqual(
    expect.objectContaining({ path: 'unit-secrets-renew@app.service', change: 'added', transient: true }),
  );
});

test.each([
  ['one of two services', { app }],
  ['the only service', {}],
])('what wipes the secrets of a removed entry (%s) is told with its removal', (_, services) => {
  const root = machineWith({ ...services, old: app, own: { ...app, dynamicUser: 'inline' } });
  reloadWith(root, 'secrets/old', 'inline/own');
  edit(root, services);
  const { stdout } = plan(root);
  expect(stdout).toContain('--- a/old-secrets.service\n+++ b/old-secrets.service\n');
  expect(stdout).toContain('old.service has left the manifest: its secrets are wiped at once');
  expect(stdout).toContain(
    'old-secrets.service (wipe the secrets of old.service, for which the manifest has none any more)',
  );
  expect(stdout).toContain(
    'own.service.d/49-unit-secrets-wipe.conf (wipe what the service fetched by itself, when it stops)',
  );
  expectToBeTrue(root);
});

test('a name that was only seen in a file that was not JSON has not left the manifest', () => {
  const root = machineWith({ app });
  writeFileSync(
    join(root, manifestJson),
    manifest({ app, phantom: app }).replace('{"environment"', '{{"environment"'),
  );
  rmSync(join(root, generated), { recursive: true });
  mkdirSync(join(root, generated));
  unitSecrets(['generate', '--root', root, '--output', join(root, generated)]);
  expect(readFileSync(join(root, generated, 'phantom-secrets.service'), 'utf8')).toContain('kept down');
  edit(root, { app });
  const { stdout } = plan(root);
  expect(stdout).toContain('app.service can be started again, as its entry is right now\n');
  expect(stdout).toContain('phantom.service is no longer kept down: the manifest does not name it');
  expect(stdout).not.toContain('has left the manifest');
});

test('a template that was edited since it was rendered is a change', () => {
  const root = machineWith({ app: { ...app, configs: { 'a.yaml': { template: '/etc/a.yaml' } } } });
  const config = join(root, '/run/unit-secrets/config/app');
  mkdirSync(config, { recursive: true });
  for (const path of [join(root, '/etc/a.yaml'), join(config, 'a.yaml'), join(config, '.ok-1')])
    writeFileSync(path, '');
  expect(plan(root).exitCode).toBe(exitCodes.ok);
  utimesSync(join(config, '.ok-1'), 1, 1);
  const { exitCode, stdout } = plan(root);
  expect(stdout).toContain('app.service has files that were rendered earlier: /etc/a.yaml was edited since');
  expect(exitCode).toBe(exitCodes.changes);
  expect(JSON.parse(plan(root, '--json').stdout)).toMatchObject({
    units: [],
    templates: [{ service: 'app.service', edited: ['/etc/a.yaml'] }],
  });
});
