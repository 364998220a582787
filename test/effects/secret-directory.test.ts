import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type NewDirectory,
  type NewFile,
  remove,
  writeNew,
  writeSet,
} from '../../src/effects/secret-directory.ts';
import { modeOf, temporaryDirectory, temporaryTree, withUmask } from '../support/temporary.ts';

/** All files below a directory, by path. */
function files(directory: string): Record<string, string> {
  const found = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(
    (entry) => !entry.isDirectory(),
  );
  return Object.fromEntries(
    found
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
      .map((path) => [path.slice(directory.length + 1), readFileSync(path, 'utf8')]),
  );
}

const file = (path: string, content: string, mode = 0o600): NewFile => ({ path, content, mode });

/** What a service is given, all of it in one directory. */
function set(directory: string, ...wanted: readonly NewFile[]): NewDirectory {
  return {
    directory,
    files: wanted,
    managed: ['env', '.values.json'],
    subdirectories: { credentials: 0o700, files: 0o750 },
  };
}

function write(directory: string, digest: string, ...wanted: readonly NewFile[]): void {
  writeSet([set(directory, ...wanted)], { directory, name: `.ok-${digest}` });
}

describe('a set', () => {
  test('is files with their modes, and a marker that says it is complete', () => {
    const directory = temporaryDirectory();
    write(
      directory,
      '1',
      file('env', 'A="é"\n'),
      file('files/k', 'x', 0o440),
      file('credentials/c', '', 0o400),
    );
    expect(files(directory)).toEqual({ '.ok-1': '', 'credentials/c': '', env: 'A="é"\n', 'files/k': 'x' });
    expect(
      ['env', 'files/k', 'files', 'credentials/c', 'credentials'].map((path) =>
        modeOf(join(directory, path)),
      ),
    ).toEqual(['0600', '0440', '0750', '0400', '0700']);
  });

  test('takes the place of the old one, its marker too', () => {
    const directory = temporaryDirectory();
    write(directory, '1', file('env', '1'));
    write(directory, '2', file('env', '2'));
    expect(files(directory)).toEqual({ '.ok-2': '', env: '2' });
    write(directory, '2', file('env', '3'));
    expect(files(directory)).toEqual({ '.ok-2': '', env: '3' });
  });

  test('removes what only the old one had, and nothing that is not ours', () => {
    const directory = temporaryTree({ theirs: 'x', '.ok-0': '' });
    write(
      directory,
      '1',
      file('env', '1'),
      file('files/a', '1'),
      file('files/b', '1'),
      file('credentials/c', '1'),
    );
    write(directory, '2', file('files/b', '2'));
    expect(files(directory)).toEqual({ '.ok-2': '', 'files/b': '2', theirs: 'x' });
  });

  test('of nothing is a marker', () => {
    const directory = temporaryDirectory();
    write(directory, '1', file('env', '1'), file('files/a', '1'));
    write(directory, '2');
    expect(files(directory)).toEqual({ '.ok-2': '' });
  });

  test('may be in two directories, with the marker in a third', () => {
    const [state, run, marker] = [temporaryDirectory(), temporaryDirectory(), temporaryDirectory()];
    const write2 = (content: string): void =>
      writeSet([set(state, file('credentials/c', content)), set(run, file('env', content))], {
        directory: marker,
        name: `.ok-${content}`,
      });
    write2('1');
    write2('2');
    expect([files(state), files(run), files(marker)]).toEqual([
      { 'credentials/c': '2' },
      { env: '2' },
      { '.ok-2': '' },
    ]);
  });

  test('is all that is in a directory which is ours alone', () => {
    const directory = temporaryTree({ 'old.yaml': 'x' });
    const own = (wanted: readonly NewFile[]): NewDirectory => ({
      directory,
      files: wanted,
      managed: 'all',
      subdirectories: {},
    });
    writeSet([own([file('new.yaml', '1', 0o640), file('env', '')])], { directory, name: '.ok-1' });
    expect(files(directory)).toEqual({ '.ok-1': '', env: '', 'new.yaml': '1' });
    writeSet([own([])], { directory, name: '.ok-2' });
    expect(files(directory)).toEqual({ '.ok-2': '' });
  });

  test('changes no file that is as it must be, and gives one with another mode anew', () => {
    const directory = temporaryDirectory();
    write(directory, '1', file('env', 'x'), file('files/a', 'x'));
    const before = ['env', 'files/a'].map((path) => statSync(join(directory, path)).ino);
    write(directory, '2', file('env', 'x'), file('files/a', 'x', 0o440));
    const after = ['env', 'files/a'].map((path) => statSync(join(directory, path)).ino);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
    expect(modeOf(join(directory, 'files/a'))).toBe('0440');
  });

  test('gives a subdirectory the mode that it must have now', () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'files'), { mode: 0o700 });
    write(directory, '1', file('files/a', 'x'));
    expect(modeOf(join(directory, 'files'))).toBe('0750');
  });

  test('may have names as long as a file system takes', () => {
    const directory = temporaryDirectory();
    const name = `files/${'x'.repeat(255)}`;
    write(directory, '1', file(name, 'x'));
    expect(files(directory)).toEqual({ '.ok-1': '', [name]: 'x' });
  });

  test('sweeps what a killed run left', () => {
    const directory = temporaryTree({
      '.unit-secrets-new/0': 'half a sec',
      '.unit-secrets-new/marker': '',
      '.ok-0': '',
      'files/key': 'x',
    });
    write(directory, '1', file('env', 'x'));
    expect(files(directory)).toEqual({ '.ok-1': '', env: 'x' });
    expect(readdirSync(directory)).not.toContain('.unit-secrets-new');
  });
});

test.each([0o000, 0o022, 0o027, 0o077, 0o777])('with umask %o every mode is as asked', (umask) => {
  const directory = temporaryDirectory();
  withUmask(umask, () =>
    write(directory, '1', file('env', '1'), file('files/a', '1', 0o640), file('credentials/c', '1', 0o400)),
  );
  expect(
    ['env', 'files', 'files/a', 'credentials', 'credentials/c', '.ok-1'].map((path) =>
      modeOf(join(directory, path)),
    ),
  ).toEqual(['0600', '0750', '0640', '0700', '0400', '0600']);
});

test.each([0o000, 0o022, 0o077])(
  'with umask %o no file is ever wider than its mode: each is born with it, by the system calls',
  (umask) => {
    const directory = temporaryDirectory();
    const module = join(import.meta.dirname, '../../src/effects/secret-directory.ts');
    const trace = join(temporaryDirectory(), 'trace');
    const program = `
      process.umask(${umask});
      const { writeSet } = await import(${JSON.stringify(module)});
      writeSet([{ directory: ${JSON.stringify(directory)}, managed: [], subdirectories: { files: 0o750 },
        files: [{ path: 'env', content: 'SECRET', mode: 0o600 }, { path: 'files/k', content: 'SECRET', mode: 0o440 }] }],
        { directory: ${JSON.stringify(directory)}, name: '.ok-1' });`;
    execFileSync('strace', [
      '--follow-forks',
      `--output=${trace}`,
      '--trace=open,openat,creat,mkdir,mkdirat,chmod,fchmod,fchmodat,write,pwrite64,rename,renameat,renameat2,link,symlink',
      process.execPath,
      '--input-type=module',
      '--eval',
      program,
    ]);
    const calls = readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => line.includes(directory) || line.includes('SECRET') || line.includes('fchmod'));
    const born = calls.filter((line) => line.includes('O_CREAT'));
    expect(born.map((line) => /O_EXCL.*, (0\d+)\)/.exec(line)?.[1])).toEqual(['0600', '0440', '0600']);
    // where the umask took from a mode, it is given back before anything is in the file
    const order = calls.map((line) => /(fchmod|write|pwrite64|O_CREAT|rename)/.exec(line)?.[1]);
    for (const [index, call] of order.entries())
      if (call === 'fchmod') expect(order[index - 1]).toBe('O_CREAT');
    expect(calls.filter((line) => /[^f]chmod/.test(line) && !/files"/.test(line))).toEqual([]);
    // and until the whole set is there, in a directory that only root can enter
    const aside = calls.find((line) => /mkdir.*\.unit-secrets-new"/.test(line));
    expect(aside).toContain('0700');
    for (const line of born) expect(line).toContain('/.unit-secrets-new/');
  },
);

describe('a set that cannot be written', () => {
  test('because something stands where a file must be: there is then no set at all', () => {
    const directory = temporaryDirectory();
    write(directory, '1', file('env', '1'), file('files/a', '1'));
    mkdirSync(join(directory, 'credentials/c'), { recursive: true });
    expect(() => write(directory, '2', file('credentials/c', '2'), file('env', '2'))).toThrow();
    // whatever came of the files: no marker says that they are a set
    expect(Object.keys(files(directory)).filter((path) => path.startsWith('.ok'))).toEqual([]);
  });

  test('leaves nothing where the directory is not there', () => {
    const directory = join(temporaryDirectory(), 'gone');
    expect(() => write(directory, '1', file('env', '1'))).toThrow(/ENOENT/);
    expect(existsSync(directory)).toBe(false);
  });

  test.skipIf(process.getuid?.() !== 0)('leaves the old one as it was where there is no room', () => {
    const directory = temporaryDirectory();
    execFileSync('mount', ['--types', 'tmpfs', '--options', 'size=64k', 'tmpfs', directory]);
    onTestFinished(() => void execFileSync('umount', [directory]));
    write(directory, '1', file('env', '1'), file('files/a', '1'));
    const before = files(directory);
    expect(() =>
      write(directory, '2', file('env', '2'), file('files/a', '2'), file('files/b', 'x'.repeat(100_000))),
    ).toThrow(/ENOSPC/);
    expect(files(directory)).toEqual(before);
    expect(readdirSync(directory)).not.toContain('.unit-secrets-new');
    write(directory, '3', file('env', '3'));
    expect(files(directory)).toEqual({ '.ok-3': '', env: '3' });
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

  test('in a set takes the place of a link, and does not follow it', () => {
    const directory = temporaryTree({ 'elsewhere/x': 'theirs' });
    const state = temporaryDirectory();
    symlinkSync(join(directory, 'elsewhere/x'), join(state, 'env'));
    write(state, '1', file('env', 'secret'));
    expect(files(dirname(join(directory, 'elsewhere/x')))).toEqual({ x: 'theirs' });
    expect(files(state)).toEqual({ '.ok-1': '', env: 'secret' });
  });
});

test('removing what is not there is no error, and what cannot be removed is one', () => {
  const directory = temporaryDirectory();
  expect(() => remove(join(directory, 'nothing'))).not.toThrow();
  expect(() => remove(directory)).toThrow();
});

describe('what somebody else left in a directory that was theirs for a while', () => {
  test('is replaced: links lead nowhere', () => {
    const root = temporaryTree({ 'elsewhere/kept': 'kept', 'elsewhere/env': 'A="1"\n', 'app/': '' });
    const directory = join(root, 'app');
    chmodSync(join(root, 'elsewhere'), 0o711);
    chmodSync(join(root, 'elsewhere/env'), 0o600);
    symlinkSync('../elsewhere', join(directory, 'files'));
    symlinkSync('../elsewhere', join(directory, 'credentials'));
    symlinkSync('../elsewhere', join(directory, '.unit-secrets-new'));
    symlinkSync('../elsewhere/env', join(directory, 'env'));
    write(directory, '1', file('env', 'A="1"\n'), file('files/k', 'x'));
    expect(files(directory)).toEqual({ '.ok-1': '', env: 'A="1"\n', 'files/k': 'x' });
    for (const name of ['env', 'files', 'files/k'])
      expect(lstatSync(join(directory, name)).isSymbolicLink()).toBe(false);
    expect(files(join(root, 'elsewhere'))).toEqual({ env: 'A="1"\n', kept: 'kept' });
    expect(modeOf(join(root, 'elsewhere'))).toBe('0711');
  });

  test.runIf(process.getuid?.() === 0)(
    'is replaced where its owner could change it later, the same or not',
    () => {
      const directory = temporaryDirectory();
      writeFileSync(join(directory, 'env'), 'A="1"\n', { mode: 0o600 });
      chownSync(join(directory, 'env'), 65533, 65533);
      write(directory, '1', file('env', 'A="1"\n'));
      expect(statSync(join(directory, 'env')).uid).toBe(0);
    },
  );
});
