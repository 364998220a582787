import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startedFetchers } from '../../src/effects/started-fetchers.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'unit-secrets-fetchers-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** A control group with something in it or not, and a unit that has been generated for it or not. */
function service(
  path: string,
  {
    populated = true,
    generated = true,
    unit = '[Service]\n\n[X-Secrets]\nService="x.service"\n',
    age = 1,
  } = {},
): void {
  const group = join(root, 'sys/fs/cgroup/system.slice', path);
  mkdirSync(group, { recursive: true });
  writeFileSync(join(group, 'cgroup.events'), `populated ${populated ? 1 : 0}\nfrozen 0\n`);
  const units = join(root, 'run/systemd/generator');
  mkdirSync(units, { recursive: true });
  if (generated) writeFileSync(join(units, path.slice(path.lastIndexOf('/') + 1)), unit);
  const made = Date.now() / 1000 - age;
  utimesSync(group, made, made);
}

test('finds services whose fetch runs, instances too', () => {
  service('app-secrets.service');
  service('my-secrets-secrets.service');
  service('system-backup\\x2dsecrets.slice/backup-secrets@nas-secrets.service');
  service('system-ssh\\x2dkey\\x2dsetup\\x2dsecrets.slice/ssh-key-setup-secrets@ann.service');
  expect([...startedFetchers(root)].sort()).toEqual([
    'app.service',
    'backup@nas-secrets.service',
    'my-secrets.service',
    'ssh-key-setup@ann.service',
  ]);
});

test('but not those that have ended, nor what is not ours', () => {
  service('ended-secrets.service', { populated: false });
  service('elsewhere-secrets.service', { generated: false });
  service('foreign-secrets.service', { unit: '[Service]\nExecStart=/bin/sleep infinity\n' });
  service('broken-secrets.service', { unit: '\n[X-Secrets]\nError="wrong"\n' });
  service('app-config.service');
  service('app.service');
  expect(startedFetchers(root)).toEqual([]);
});

test('nor those that were started long ago, or will have been', () => {
  service('stuck-secrets.service', { age: 11 });
  service('future-secrets.service', { age: -11 });
  service('app-secrets.service', { age: 9 });
  expect(startedFetchers(root)).toEqual(['app.service']);
});

test('none, where there are no such control groups', () => {
  expect(startedFetchers(root)).toEqual([]);
});
