import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runningFetchers } from '../../src/effects/running-fetchers.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'unit-secrets-fetchers-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** A control group with something in it or not, and a unit that has been generated for it or not. */
function service(path: string, { populated = true, generated = true } = {}): void {
  const group = join(root, 'sys/fs/cgroup/system.slice', path);
  mkdirSync(group, { recursive: true });
  writeFileSync(join(group, 'cgroup.events'), `populated ${populated ? 1 : 0}\nfrozen 0\n`);
  const units = join(root, 'run/systemd/generator');
  mkdirSync(units, { recursive: true });
  if (generated) writeFileSync(join(units, path.slice(path.lastIndexOf('/') + 1)), '');
}

test('finds services whose fetch runs, instances too', () => {
  service('app-secrets.service');
  service('my-secrets-secrets.service');
  service('system-backup\\x2dsecrets.slice/backup-secrets@nas-secrets.service');
  service('system-ssh\\x2dkey\\x2dsetup\\x2dsecrets.slice/ssh-key-setup-secrets@ann.service');
  expect([...runningFetchers(root)].sort()).toEqual([
    'app.service',
    'backup@nas-secrets.service',
    'my-secrets.service',
    'ssh-key-setup@ann.service',
  ]);
});

test('but not those that have ended, nor what is not ours', () => {
  service('ended-secrets.service', { populated: false });
  service('foreign-secrets.service', { generated: false });
  service('app-config.service');
  service('app.service');
  expect(runningFetchers(root)).toEqual([]);
});

test('none, where there are no such control groups', () => {
  expect(runningFetchers(root)).toEqual([]);
});
