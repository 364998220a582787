import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isRootsAlone } from '../../src/effects/roots-alone.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(homedir(), 'unit-secrets-test-'));
  for (const name of ['own', 'theirs', 'open', 'group']) mkdirSync(join(root, name));
  chownSync(join(root, 'theirs'), 65533, 65533);
  chmodSync(join(root, 'open'), 0o777);
  chownSync(join(root, 'group'), 0, 65533);
  chmodSync(join(root, 'group'), 0o775);
  mkdirSync(join(root, 'theirs/file'));
  chownSync(join(root, 'theirs/file'), 0, 0);
  mkdirSync(join(root, 'own/file'));
  symlinkSync('../own/file', join(root, 'own/relative'));
  symlinkSync(join(root, 'own/file'), join(root, 'own/absolute'));
  symlinkSync('../theirs/file', join(root, 'own/to-theirs'));
  symlinkSync(join(root, 'own/file'), join(root, 'theirs/to-own'));
  symlinkSync('loop', join(root, 'own/loop'));
});
afterAll(() => rmSync(root, { recursive: true }));

// who is root is what this is about
test.runIf(process.getuid?.() === 0).each([
  ['own/file', true],
  ['own/relative', true],
  ['own/absolute', true],
  ['own/./../own//file', true],
  ['theirs/file', false],
  ['own/to-theirs', false],
  ['own/to-theirs/../../own/file', false],
  ['theirs/to-own', false],
  ['theirs/../own/file', false],
  ['open', false],
  ['group', false],
  ['own/loop', false],
  ['own/missing', false],
])('%s is where nobody but root can put something: %s', (path, expected) => {
  expect(isRootsAlone(join(root, '.').concat('/', path))).toBe(expected);
});
