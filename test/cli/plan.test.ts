import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { unitSecrets } from '../support/command.ts';
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

test('the diff can be applied by patch(1)', async () => {
  const root = machineWith({ app });
  edit(root, { app: { environment: { KEY: 'op://Home/App/other', MORE: '%"\\' } } });
  const { stdout } = plan(root, '--json');
  const { units } = JSON.parse(stdout) as { units: { path: string; diff: string }[] };
  const { spawnSync } = await import('node:child_process');
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
