import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { commitOf, commitTimeOf } from '../../scripts/lib/commit.ts';
import { temporaryDirectory } from '../support/temporary.ts';

afterEach(() => vi.unstubAllEnvs());

/** A repository with a source and a document, committed. */
function checkout(): { readonly directory: string; readonly head: string } {
  const directory = temporaryDirectory();
  const git = (...args: readonly string[]): string =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
      cwd: directory,
      encoding: 'utf8',
      env: { ...process.env, GIT_COMMITTER_DATE: '1700000000 +0000' },
    });
  mkdirSync(join(directory, 'src'));
  writeFileSync(join(directory, 'src/main.ts'), '1');
  writeFileSync(join(directory, 'README.md'), '1');
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '--message=first');
  return { directory, head: git('rev-parse', 'HEAD').slice(0, 12) };
}

test('the commit of a build is that of its checkout', () => {
  const { directory, head } = checkout();
  expect(commitOf(directory)).toBe(head);
  expect(commitTimeOf(directory)).toBe(1_700_000_000);
});

test('a changed or new source is told, a changed document is not', () => {
  const { directory, head } = checkout();
  writeFileSync(join(directory, 'README.md'), '2');
  expect(commitOf(directory)).toBe(head);
  writeFileSync(join(directory, 'src/new.ts'), '1');
  expect(commitOf(directory)).toBe(`${head}-modified`);
});

test('without git there is none, even inside of another repository', () => {
  const { directory } = checkout();
  expect(commitOf(join(directory, 'src'))).toBe('');
  expect(commitTimeOf(join(directory, 'src'))).toBeUndefined();
});

test.each([
  ['0123456789abcdef0123456789abcdef01234567', '0123456789ab'],
  ['0123456789ab-modified', '0123456789ab-modified'],
  ['', ''],
])('UNIT_SECRETS_COMMIT=%s says it', (given, commit) => {
  vi.stubEnv('UNIT_SECRETS_COMMIT', given);
  expect(commitOf(temporaryDirectory())).toBe(commit);
});

test('UNIT_SECRETS_COMMIT that is no commit is refused', () => {
  vi.stubEnv('UNIT_SECRETS_COMMIT', 'main');
  expect(() => commitOf(temporaryDirectory())).toThrow("must be a git commit, not 'main'");
});
