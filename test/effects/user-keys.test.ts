import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { type Failure, FailureError } from '../../src/domain/failure.ts';
import { parsePrivateKey } from '../../src/domain/ssh-key-pair.ts';
import {
  belongTogether,
  checkHome,
  keyFingerprint,
  readCredential,
  type SshFile,
  updateSshFiles,
} from '../../src/effects/user-keys.ts';
import { modeOf, temporaryDirectory, withUmask } from '../support/temporary.ts';

const nobody = 65534;
const isRoot = process.getuid?.() === 0;

/** Runs something as an unprivileged user, for whom modes count. */
function unprivileged<T>(work: () => T): T {
  if (isRoot) process.seteuid?.(nobody);
  try {
    return work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

/** A home directory of that user. */
function userHome(): string {
  const directory = temporaryDirectory();
  chmodSync(directory, 0o755);
  const home = join(directory, 'home');
  mkdirSync(home, { mode: 0o755 });
  if (isRoot) chownSync(home, nobody, nobody);
  return home;
}

/** Writes what is there before, as that user; a path that ends with `/` is a directory. */
function put(home: string, path: string, content: string | Uint8Array, mode: number): string {
  const full = join(home, path);
  unprivileged(() => {
    if (!existsSync(join(home, '.ssh'))) mkdirSync(join(home, '.ssh'), { mode: 0o700 });
    writeFileSync(full, content);
    chmodSync(full, mode);
  });
  return full;
}

const secret: SshFile = { name: 'id_x', mode: 0o600, widest: 0o600, edit: () => 'secret\n' };
const plain: SshFile = { name: 'id_x.pub', mode: 0o644, widest: 0o644, edit: () => 'public\n' };
/** As for authorized_keys: what was there stays. */
const list: SshFile = { name: 'list', mode: 0o600, widest: 0o644, edit: (before = '') => `${before}mine\n` };
const files = [secret, plain, list];

const update = (home: string, some: readonly SshFile[] = files) =>
  unprivileged(() => updateSshFiles(home, some));

/** How it fails. */
function failure(work: () => unknown): Failure {
  try {
    unprivileged(work);
  } catch (error) {
    if (error instanceof FailureError) return error.failure;
    throw error;
  }
  throw new Error('it did not fail');
}

/** Everything below a directory, with modes and contents. */
function tree(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const content = entry.isFile() ? readFileSync(path, 'latin1') : '';
      return `${path.slice(directory.length + 1)} ${entry.isSymbolicLink() ? 'link' : modeOf(path)} ${content}`;
    })
    .sort();
}

const updated = [
  '.ssh 0700 ',
  '.ssh/id_x 0600 secret\n',
  '.ssh/id_x.pub 0644 public\n',
  '.ssh/list 0600 mine\n',
];

describe('the files below ~/.ssh', () => {
  test.each([0o000, 0o022, 0o077])('are made with their modes (umask %o)', (umask) => {
    const home = userHome();
    expect(withUmask(umask, () => update(home))).toEqual([
      { path: '~/.ssh', what: 'created' },
      { path: '~/.ssh/id_x', what: 'installed' },
      { path: '~/.ssh/id_x.pub', what: 'installed' },
      { path: '~/.ssh/list', what: 'installed' },
    ]);
    expect(tree(home)).toEqual(updated);
    expect(statSync(join(home, '.ssh/id_x')).uid).toBe(isRoot ? nobody : process.getuid?.());
  });

  test('that are as they should be are left alone', () => {
    const home = userHome();
    update(home, [secret, plain]);
    const before = statSync(join(home, '.ssh/id_x'));
    expect(update(home, [secret, plain])).toEqual([
      { path: '~/.ssh/id_x', what: 'unchanged' },
      { path: '~/.ssh/id_x.pub', what: 'unchanged' },
    ]);
    expect(statSync(join(home, '.ssh/id_x'))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
  });

  test('are replaced as a whole, not written to', () => {
    const home = userHome();
    const path = put(home, '.ssh/id_x', 'old', 0o644);
    const held = join(home, 'held');
    linkSync(path, held);
    expect(update(home, [secret])).toEqual([{ path: '~/.ssh/id_x', what: 'updated' }]);
    expect(readFileSync(held, 'utf8')).toBe('old');
    expect(readFileSync(path, 'utf8')).toBe('secret\n');
    expect(modeOf(path)).toBe('0600');
  });

  test('keep every byte that an edit keeps', () => {
    const home = userHome();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const path = put(home, '.ssh/list', bytes, 0o600);
    update(home, [list]);
    expect(readFileSync(path)).toEqual(Buffer.concat([bytes, Buffer.from('mine\n')]));
  });

  test('of others in the directory are not touched', () => {
    const home = userHome();
    put(home, '.ssh/known_hosts', 'hosts', 0o666);
    update(home);
    expect(tree(home)).toEqual([...updated, '.ssh/known_hosts 0666 hosts'].sort());
  });

  test.each([
    [0o666, '0644'],
    [0o640, '0640'],
    [0o444, '0444'],
    [0o755, '0644'],
  ])('a list of mode %o gets or keeps %s', (mode, expected) => {
    const home = userHome();
    const path = put(home, '.ssh/list', '', mode);
    withUmask(0o077, () => update(home));
    expect(modeOf(path)).toBe(expected);
  });

  test.each([
    ['id_x', secret, 0o644, 'secret\n', '0600'],
    ['id_x', secret, 0o400, 'secret\n', '0600'],
    ['id_x.pub', plain, 0o666, 'public\n', '0644'],
  ])('%s with the right content and a wrong mode has it corrected', (name, file, mode, content, expected) => {
    const home = userHome();
    const path = put(home, `.ssh/${name}`, content, mode);
    expect(update(home, [file])).toEqual([{ path: `~/.ssh/${name}`, what: 'mode corrected' }]);
    expect(modeOf(path)).toBe(expected);
  });

  test.each([0o755, 0o777, 0o500, 0o000])('a directory of mode %o becomes 0700', (mode) => {
    const home = userHome();
    unprivileged(() => mkdirSync(join(home, '.ssh')));
    chmodSync(join(home, '.ssh'), mode);
    expect(update(home)[0]).toEqual({ path: '~/.ssh', what: 'mode corrected' });
    expect(tree(home)).toEqual(updated);
  });

  test('what a killed run left is swept, even where nothing is to be changed', () => {
    const home = userHome();
    update(home);
    put(home, '.ssh/.id_x.unit-secrets-new', 'sec', 0o600);
    update(home, [secret, plain]);
    expect(tree(home)).toEqual(updated);
  });

  test('that have nothing to be done are not made', () => {
    const home = userHome();
    expect(update(home, [{ ...list, edit: () => undefined }])).toEqual([{ path: '~/.ssh', what: 'created' }]);
    expect(readdirSync(join(home, '.ssh'))).toEqual([]);
  });
});

describe('trouble with one of them leaves all as they were', () => {
  /** Fails in the way told, and nothing changes. */
  function expectRefusal(home: string, exitCode: number, message: RegExp): void {
    const before = tree(home);
    const { exitCode: code, message: text, hint } = failure(() => updateSshFiles(home, files));
    expect(`${text} (${hint})`).toMatch(message);
    expect(text).toContain(home);
    expect(code).toBe(exitCode);
    expect(tree(home)).toEqual(before);
  }

  test('~/.ssh is a link', () => {
    const home = userHome();
    unprivileged(() => {
      mkdirSync(join(home, 'elsewhere'), { mode: 0o700 });
      symlinkSync('elsewhere', join(home, '.ssh'));
    });
    expectRefusal(
      home,
      exitCodes.cannotCreate,
      /is a symbolic link.*\(remove the link, or make it a directory/,
    );
  });

  test.each(['id_x', 'id_x.pub', 'list'])('%s is a link', (name) => {
    const home = userHome();
    put(home, '.ssh/target', 'old', 0o600);
    unprivileged(() => symlinkSync('target', join(home, '.ssh', name)));
    expectRefusal(home, exitCodes.cannotCreate, /is a symbolic link.*\(remove the link, or make it a file/);
  });

  test('one is a link to nothing', () => {
    const home = userHome();
    put(home, '.ssh/id_x', 'old', 0o600);
    unprivileged(() => symlinkSync('/nowhere', join(home, '.ssh/list')));
    expectRefusal(home, exitCodes.cannotCreate, /is a symbolic link/);
  });

  test('one is a directory, or a FIFO', () => {
    const home = userHome();
    put(home, '.ssh/id_x', 'old', 0o600);
    unprivileged(() => mkdirSync(join(home, '.ssh/list')));
    expectRefusal(home, exitCodes.cannotCreate, /list is not a regular file/);
    rmSync(join(home, '.ssh/list'), { recursive: true });
    execFileSync('mkfifo', [join(home, '.ssh/list')]);
    chmodSync(join(home, '.ssh/list'), 0o666);
    expect(failure(() => updateSshFiles(home, files)).message).toMatch(/list is not a regular file/);
    expect(readFileSync(join(home, '.ssh/id_x'), 'utf8')).toBe('old');
  });

  test('~/.ssh is a file', () => {
    const home = userHome();
    unprivileged(() => writeFileSync(join(home, '.ssh'), 'x'));
    expectRefusal(home, exitCodes.cannotCreate, /\.ssh is not a directory/);
  });

  test('one is too large to be what it should be', () => {
    const home = userHome();
    put(home, '.ssh/list', Buffer.alloc(1024 * 1024 + 1, 'x'), 0o600);
    expectRefusal(home, exitCodes.cannotCreate, /is larger than 1024 KiB/);
  });

  test('one cannot be read', () => {
    const home = userHome();
    const path = put(home, '.ssh/list', 'x', 0o000);
    if (!isRoot) chmodSync(path, 0o200);
    const { exitCode, message } = failure(() => updateSshFiles(home, files));
    expect(exitCode).toBe(exitCodes.noPermission);
    expect(message).toMatch(/list: cannot be read \(EACCES\)/);
    expect(readdirSync(join(home, '.ssh'))).toEqual(['list']);
  });

  test('one cannot be written aside', () => {
    const home = userHome();
    put(home, '.ssh/list', 'old', 0o600);
    unprivileged(() => mkdirSync(join(home, '.ssh/.list.unit-secrets-new')));
    expectRefusal(home, exitCodes.cannotCreate, /list\.unit-secrets-new: cannot be removed/);
  });

  test('the home cannot be written to', () => {
    const home = userHome();
    chmodSync(home, 0o555);
    expectRefusal(home, exitCodes.noPermission, /\.ssh: cannot be made \(EACCES\).*ProtectHome=no/);
  });
});

describe('files of other users', () => {
  /** Another user's: root's for the unprivileged one. */
  const foreign = (path: string): void => {
    if (isRoot) chownSync(path, 1, 1);
  };
  // without root nothing of others can be made: the user is then somebody else
  const asAnother = (work: () => unknown): Failure => {
    const own = process.geteuid;
    if (!isRoot) process.geteuid = () => nobody;
    try {
      return failure(work);
    } finally {
      if (!isRoot && own) process.geteuid = own;
    }
  };

  test('~/.ssh', () => {
    const home = userHome();
    put(home, '.ssh/known_hosts', '', 0o600);
    foreign(join(home, '.ssh'));
    const { exitCode, message, hint } = asAnother(() => updateSshFiles(home, files));
    expect(exitCode).toBe(exitCodes.noPermission);
    expect(message).toMatch(/\.ssh is owned by the user \d+, not by the user 65534 that this runs as$/);
    expect(hint).toMatch(/change the owner/);
    expect(readdirSync(join(home, '.ssh'))).toEqual(['known_hosts']);
  });

  test('a file in it', () => {
    const home = userHome();
    foreign(put(home, '.ssh/list', 'x', 0o644));
    const { exitCode } = asAnother(() => updateSshFiles(home, files));
    expect(exitCode).toBe(exitCodes.noPermission);
    expect(readdirSync(join(home, '.ssh'))).toEqual(['list']);
  });

  test('the home', () => {
    const home = userHome();
    foreign(home);
    expect(asAnother(() => checkHome(home))).toMatchObject({ exitCode: exitCodes.noPermission });
  });
});

test.each(['link', 'directory', 'nothing'])('an optional file that is a %s is passed over', (kind) => {
  const home = userHome();
  put(home, '.ssh/id_x', 'old', 0o600);
  const path = join(home, '.ssh/list');
  unprivileged(() => {
    if (kind === 'link') symlinkSync('/nowhere', path);
    else if (kind === 'directory') mkdirSync(path);
  });
  const optional: SshFile = { ...list, optional: true, edit: (before) => before && `${before}x` };
  expect(update(home, [secret, optional])).toEqual([{ path: '~/.ssh/id_x', what: 'updated' }]);
});

describe('the home directory', () => {
  test.each([
    [0o755, false],
    [0o700, false],
    [0o775, true],
    [0o757, true],
  ])('of mode %o can be written to by others: %s', (mode, writableByOthers) => {
    const home = userHome();
    chmodSync(home, mode);
    expect(unprivileged(() => checkHome(home))).toEqual({ writableByOthers });
  });

  test('may be a link, and belong to root', () => {
    const home = userHome();
    symlinkSync(home, join(home, '../link'));
    expect(unprivileged(() => checkHome(join(home, '../link')))).toEqual({ writableByOthers: false });
    expect(unprivileged(() => checkHome('/'))).toEqual({ writableByOthers: false });
  });

  test('must be there, as a directory, within reach', () => {
    const home = userHome();
    expect(failure(() => checkHome(join(home, 'nowhere')))).toMatchObject({
      class: 'transient',
      exitCode: exitCodes.cannotCreate,
      message: expect.stringMatching(/does not exist \(not mounted yet\?\)$/),
    });
    writeFileSync(join(home, '../file'), '');
    expect(failure(() => checkHome(join(home, '../file')))).toMatchObject({
      exitCode: exitCodes.cannotCreate,
    });
    chmodSync(join(home, '..'), 0o000);
    expect(failure(() => checkHome(home))).toMatchObject({ exitCode: exitCodes.noPermission });
    chmodSync(join(home, '..'), 0o755);
  });
});

describe('credentials', () => {
  test('are texts; those that are not there are undefined', () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'a'), 'é\n');
    expect(readCredential(directory, 'a')).toBe('é\n');
    expect(readCredential(directory, 'b')).toBeUndefined();
  });

  test('that cannot be had are told apart', () => {
    const directory = temporaryDirectory();
    chmodSync(directory, 0o755);
    writeFileSync(join(directory, 'bytes'), Buffer.from([0xff]));
    writeFileSync(join(directory, 'locked'), 'x', { mode: 0o000 });
    mkdirSync(join(directory, 'directory'));
    const codes = ['bytes', 'locked', 'directory'].map(
      (id) => failure(() => readCredential(directory, id)).exitCode,
    );
    expect(codes).toEqual([exitCodes.dataError, exitCodes.noPermission, exitCodes.ioError]);
    expect(failure(() => readCredential(join(directory, 'none'), 'a')).exitCode).toBe(exitCodes.noInput);
  });
});

describe('halves of a key', () => {
  let directory: string;
  beforeAll(() => {
    directory = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim();
    return () => rmSync(directory, { recursive: true });
  });

  function key(name: string, ...args: string[]) {
    const path = join(directory, name);
    if (!existsSync(path)) execFileSync('ssh-keygen', ['-q', '-N', '', '-f', path, ...args]);
    const parsed = parsePrivateKey(readFileSync(path, 'utf8'));
    if (!parsed.ok || !parsed.key.halves) throw new Error('no key on a curve');
    return { path, wire: parsed.key.publicKey.wire, halves: parsed.key.halves };
  }

  test.each([
    ['ed25519', '25519'],
    ['ecdsa', '256'],
    ['ecdsa', '384'],
    ['ecdsa', '521'],
  ])('%s %s belong together, or do not', (type, bits) => {
    const args = ['-t', type, ...(type === 'ecdsa' ? ['-b', bits] : [])];
    const { halves } = key(`${type}-${bits}`, ...args);
    const other = key(`${type}-${bits}-other`, ...args).halves;
    expect(belongTogether(halves)).toBe(true);
    expect(belongTogether({ ...halves, public: other.public })).toBe(false);
    expect(belongTogether({ ...halves, secret: other.secret })).toBe(false);
    expect(belongTogether({ ...halves, secret: halves.secret.subarray(0, -1) })).toBe(false);
    if (type === 'ecdsa') {
      for (const byte of [0, 0xff]) {
        const secret = new Uint8Array(halves.secret.length).fill(byte);
        expect(belongTogether({ ...halves, secret })).toBe(false);
      }
    }
  });

  test('have the fingerprint that ssh-keygen prints', () => {
    const { path, wire } = key('fingerprint', '-t', 'ed25519');
    const printed = execFileSync('ssh-keygen', ['-lf', path], { encoding: 'utf8' });
    expect(printed.split(' ')[1]).toBe(keyFingerprint(wire));
  });
});
