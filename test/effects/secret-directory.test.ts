import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { remove, writeNew, writeSecrets } from '../../src/effects/secret-directory.ts';
import { modeOf, temporaryDirectory, temporaryTree, withUmask } from '../support/temporary.ts';

function files(directory: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(directory)
      .sort()
      .map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
  );
}

test('a set is the environment and a marker that says it is complete', () => {
  const directory = temporaryDirectory();
  writeSecrets(directory, 'A="é"\n', '.ok-1');
  expect(files(directory)).toEqual({ '.ok-1': '', env: 'A="é"\n' });
});

test('a new set takes the place of the old one, its marker too', () => {
  const directory = temporaryDirectory();
  writeSecrets(directory, 'A="1"\n', '.ok-1');
  writeSecrets(directory, 'A="2"\n', '.ok-2');
  expect(files(directory)).toEqual({ '.ok-2': '', env: 'A="2"\n' });
  writeSecrets(directory, 'A="3"\n', '.ok-2');
  expect(files(directory)).toEqual({ '.ok-2': '', env: 'A="3"\n' });
});

test('a set without an environment removes that of the old one', () => {
  const directory = temporaryDirectory();
  writeSecrets(directory, 'A="1"\n', '.ok-1');
  writeSecrets(directory, undefined, '.ok-2');
  expect(files(directory)).toEqual({ '.ok-2': '' });
});

test.each([undefined, 'A="2"\n'])('what a killed run left is swept (environment %j)', (environment) => {
  const directory = temporaryTree({
    '.new-env': 'A="half',
    '.new-marker': '',
    '.ok-0': '',
    'files/key': 'x',
  });
  writeSecrets(directory, environment, '.ok-1');
  expect(readdirSync(directory).sort()).toEqual([
    '.ok-1',
    ...(environment === undefined ? [] : ['env']),
    'files',
  ]);
});

test.each([0o000, 0o022, 0o077])('with umask %o only root can read it, from birth', (umask) => {
  const directory = temporaryDirectory();
  withUmask(umask, () => writeSecrets(directory, 'A="1"\n', '.ok-1'));
  expect([modeOf(join(directory, 'env')), modeOf(join(directory, '.ok-1'))]).toEqual(['0600', '0600']);
});

describe('a set that cannot be written leaves the old one as it was', () => {
  test.each(['.new-env', '.new-marker'])('because of %s', (obstacle) => {
    const directory = temporaryDirectory();
    writeSecrets(directory, 'A="1"\n', '.ok-1');
    mkdirSync(join(directory, obstacle));
    expect(() => writeSecrets(directory, 'A="2"\n', '.ok-2')).toThrow();
    expect(readFileSync(join(directory, 'env'), 'utf8')).toBe('A="1"\n');
    expect(readdirSync(directory)).toContain('.ok-1');
    expect(readdirSync(directory)).not.toContain('.ok-2');
  });
});

describe('a new file', () => {
  test('does not follow a link that was put in its place', () => {
    const directory = temporaryTree({ mine: 'mine' });
    const path = join(directory, 'new');
    symlinkSync(join(directory, 'mine'), path);
    writeNew(path, 'secret', 0o400);
    expect(files(directory)).toEqual({ mine: 'mine', new: 'secret' });
    expect(modeOf(path)).toBe('0400');
  });

  test('does not take over the mode or the readers of one that was there', () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'new');
    writeFileSync(path, 'old', { mode: 0o644 });
    renameSync(path, join(directory, 'held'));
    writeFileSync(path, 'old', { mode: 0o644 });
    writeNew(path, Buffer.alloc(1_000_000, 'x'), 0o600);
    expect(modeOf(path)).toBe('0600');
    expect(readFileSync(path)).toHaveLength(1_000_000);
  });
});

test('removing what is not there is no error, and what cannot be removed is one', () => {
  const directory = temporaryDirectory();
  expect(() => remove(join(directory, 'nothing'))).not.toThrow();
  expect(() => remove(directory)).toThrow();
});
