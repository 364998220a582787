import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeFiles } from '../../src/effects/unit-writer.ts';
import { modeOf, temporaryDirectory, withUmask } from '../support/temporary.ts';

const files = [
  { path: 'app.service.d/50-unit-secrets.conf', content: '[Unit]\n' },
  { path: 'my\\x20app-secrets.service', content: '# é🔑\n' },
];
const links = [{ path: 'multi-user.target.wants/a.service', target: '../a.service' }];
const all = [
  'app.service.d',
  'app.service.d/50-unit-secrets.conf',
  'multi-user.target.wants',
  'multi-user.target.wants/a.service',
  'my\\x20app-secrets.service',
];

function entries(directory: string): string[] {
  return readdirSync(directory, { recursive: true }).map(String).sort();
}

function expectAll(directory: string): void {
  expect(entries(directory)).toEqual(all);
  for (const { path, content } of files) expect(readFileSync(join(directory, path), 'utf8')).toBe(content);
  expect(readlinkSync(join(directory, 'multi-user.target.wants/a.service'))).toBe('../a.service');
}

test('files and links are written, with the directories between', () => {
  const directory = join(temporaryDirectory(), 'not/yet/there');
  writeFiles(directory, files, links);
  expectAll(directory);
});

test('what is there already is replaced', () => {
  const directory = temporaryDirectory();
  writeFiles(
    directory,
    files.map(({ path }) => ({ path, content: 'old' })),
    links,
  );
  writeFiles(directory, files, links);
  expectAll(directory);
});

test('a link in the place of a file is replaced, not followed', () => {
  const directory = temporaryDirectory();
  const target = join(directory, 'elsewhere');
  writeFileSync(target, 'mine');
  symlinkSync(target, join(directory, 'a.service'));
  writeFiles(directory, [{ path: 'a.service', content: 'new' }], []);
  expect(lstatSync(join(directory, 'a.service')).isFile()).toBe(true);
  expect(readFileSync(target, 'utf8')).toBe('mine');
});

describe('what a killed run left', () => {
  test.each([
    ['a file', (path: string) => writeFileSync(path, 'half')],
    ['a link', (path: string) => symlinkSync('nowhere', path)],
  ])('is swept: %s', (_, leave) => {
    const directory = temporaryDirectory();
    for (const parent of ['.', 'app.service.d', 'multi-user.target.wants']) {
      mkdirSync(join(directory, parent), { recursive: true });
      leave(join(directory, parent, '.unit-secrets.tmp'));
    }
    writeFiles(directory, files, links);
    expectAll(directory);
  });
});

test.each([
  [0o000, '0644'],
  [0o022, '0644'],
  [0o077, '0600'],
])('with umask %o files have the mode %s', (umask, mode) => {
  const directory = temporaryDirectory();
  withUmask(umask, () => writeFiles(directory, files, []));
  for (const { path } of files) expect(modeOf(join(directory, path))).toBe(mode);
});

test('what cannot be written is told with its path, and keeps nothing else from being written', () => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'app.service.d'), 'a file where a directory is needed');
  const failures = writeFiles(directory, [...files, { path: 'other.service', content: 'x' }], []);
  expect(failures.length).toBeGreaterThan(0);
  for (const failure of failures) expect(failure).toContain('app.service.d/');
  expect(entries(directory)).toContain('other.service');
  expect(entries(directory).filter((name) => name.startsWith('.'))).toEqual([]);
});
