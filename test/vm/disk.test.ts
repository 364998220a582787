import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/temporary.ts';
import { changeDisk, fileDisk, textDisk, textsIn } from './disk.ts';

const debugfs = (disk: string, command: string): string =>
  execFileSync('debugfs', ['-R', command, disk], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

test('a disk with files is changed without a mount', async () => {
  const disk = join(temporaryDirectory(), 'disk');
  await fileDisk(disk, 'config', { '/a': 'one', '/b': 'two' });
  await changeDisk(disk, { write: { '/a': 'three' }, remove: ['/b', '/never'], link: { '/c': 'a' } });
  expect(debugfs(disk, 'cat /a')).toBe('three');
  expect(debugfs(disk, 'stat /a')).toMatch(/Mode: +0600 /);
  expect(debugfs(disk, 'ls -p /')).not.toContain('/b/');
  expect(debugfs(disk, 'stat /c')).toContain('Fast link dest: "a"');
});

test('a change that cannot be made is an error', async () => {
  const disk = join(temporaryDirectory(), 'disk');
  await fileDisk(disk, 'config', {});
  await expect(changeDisk(disk, { write: { '/no/such/directory': 'x' } })).rejects.toThrow(
    /cannot change .*disk/,
  );
});

test('a text is found though its file was removed, and only what is there', async () => {
  const disk = join(temporaryDirectory(), 'disk');
  await fileDisk(disk, 'config', { '/a': 's3nt1nel' });
  await changeDisk(disk, { remove: ['/a'] });
  expect(await textsIn(disk, ['s3nt1nel', 'other'])).toEqual(['s3nt1nel']);
});

test('a text alone fills whole blocks', async () => {
  const path = join(temporaryDirectory(), 'text');
  await textDisk(path, 'label välue\n');
  const content = readFileSync(path);
  expect(content.length % 4096).toBe(0);
  expect(content.toString().trimEnd()).toBe('label välue');
});
