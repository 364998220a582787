import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import type { Outcome } from '../support/command.ts';
import { modeOf, temporaryDirectory } from '../support/temporary.ts';

const source = join(import.meta.dirname, '../../src');
const nobody = 65534;
const isRoot = process.getuid?.() === 0;

const kinds = {
  ed25519: { args: ['-t', 'ed25519'], file: 'id_ed25519' },
  rsa: { args: ['-t', 'rsa', '-b', '3072'], file: 'id_rsa' },
  ecdsa: { args: ['-t', 'ecdsa'], file: 'id_ecdsa' },
} as const;
type Kind = keyof typeof kinds;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'install-keys-'));
  for (const [name, { args }] of Object.entries(kinds)) makeKey(name, ...args, '-C', `${name}@vault`);
  makeKey('other', '-t', 'ed25519', '-C', 'other@vault');
});
afterAll(() => rmSync(directory, { recursive: true }));

function makeKey(name: string, ...args: string[]): void {
  execFileSync('ssh-keygen', ['-q', '-N', '', '-f', join(directory, name), ...args]);
}

const privateHalf = (name: string): string => readFileSync(join(directory, name), 'utf8');
const publicHalf = (name: string): string => readFileSync(join(directory, `${name}.pub`), 'utf8');

interface Machine {
  readonly home: string;
  readonly credentials: string;
}

/** A user with an empty home and these credentials. */
function machine(credentials: Readonly<Record<string, string | Uint8Array>>): Machine {
  const root = temporaryDirectory();
  chmodSync(root, 0o755);
  const home = join(root, 'home');
  mkdirSync(home, { mode: 0o755 });
  if (isRoot) chownSync(home, nobody, nobody);
  mkdirSync(join(root, 'credentials'));
  const made = { home, credentials: join(root, 'credentials') };
  give(made, credentials);
  return made;
}

/** Gives the unit other credentials. */
function give({ credentials }: Machine, content: Readonly<Record<string, string | Uint8Array>>): void {
  for (const name of readdirSync(credentials)) rmSync(join(credentials, name));
  for (const [name, value] of Object.entries(content)) writeFileSync(join(credentials, name), value);
}

const pair = (name: string) => ({ 'private-key': privateHalf(name), 'public-key': publicHalf(name) });

interface Options {
  readonly user?: string;
  readonly authorize?: boolean;
  readonly file?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly asRoot?: boolean;
  /** What starts the program. */
  readonly launcher?: readonly string[];
}

/** Runs the command in a process of its own, as an unprivileged user. */
function installKeys({ home, credentials }: Machine, options: Options = {}): Outcome {
  const { user = 'javiersc', authorize = false, file, env, asRoot = false, launcher = [] } = options;
  const program = `
    import { installKeysCommand } from '${source}/cli/install-keys.ts';
    if (process.getuid() === 0 && !${asRoot}) {
      process.setgroups([]);
      process.setgid(${nobody});
      process.setuid(${nobody});
    }
    process.umask(0o077);
    process.exitCode = await installKeysCommand(${JSON.stringify({ user, authorize, file })});`;
  const [command = '', ...args] = [...launcher, process.execPath, '--input-type=module', '-e', program];
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: home, CREDENTIALS_DIRECTORY: credentials, ...env },
    timeout: 60_000,
  });
  // no line of a key's text is ever told: they are longer than a fingerprint
  expect(stderr).not.toMatch(/[A-Za-z0-9+/]{60}/);
  return { exitCode: status, stdout, stderr };
}

const inSsh = ({ home }: Machine, name: string): string => readFileSync(join(home, '.ssh', name), 'utf8');
const put = ({ home }: Machine, name: string, content: string, mode: number): void => {
  const path = join(home, '.ssh', name);
  mkdirSync(join(home, '.ssh'), { recursive: true, mode: 0o700 });
  writeFileSync(path, content);
  chmodSync(path, mode);
  if (isRoot) for (const one of [join(home, '.ssh'), path]) chownSync(one, nobody, nobody);
};

/** All files below the home with modes and contents. */
function tree({ home }: Machine): Record<string, string> {
  const entries = readdirSync(home, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    entries.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      if (entry.isSymbolicLink()) return [path.slice(home.length + 1), 'link'];
      return [
        path.slice(home.length + 1),
        `${modeOf(path)} ${entry.isFile() ? readFileSync(path, 'utf8') : ''}`,
      ];
    }),
  );
}

/** The fingerprints in a file, as ssh-keygen sees them. */
function fingerprints(path: string): string[] {
  const printed = execFileSync('ssh-keygen', ['-lf', path], { encoding: 'utf8' });
  return printed
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
}
const fingerprint = (name: string): string => fingerprints(join(directory, `${name}.pub`))[0] ?? '';

describe.each(Object.entries(kinds) as [Kind, (typeof kinds)[Kind]][])('an %s key', (kind, { file }) => {
  test('is installed where ssh looks for it', () => {
    const one = machine(pair(kind));
    const { exitCode, stdout, stderr } = installKeys(one);
    expect({ exitCode, stdout }).toEqual({ exitCode: exitCodes.ok, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      'created ~/.ssh',
      `installed ~/.ssh/${file}`,
      `installed ~/.ssh/${file}.pub`,
      `the key of "javiersc" is ${publicHalf(kind).split(' ')[0]} ${fingerprint(kind)}`,
      '',
    ]);
    expect(tree(one)).toEqual({
      '.ssh': '0700 ',
      [`.ssh/${file}`]: `0600 ${privateHalf(kind)}`,
      [`.ssh/${file}.pub`]: `0644 ${publicHalf(kind)}`,
    });
    const path = join(one.home, '.ssh', file);
    expect(execFileSync('ssh-keygen', ['-y', '-f', path], { encoding: 'utf8' })).toBe(publicHalf(kind));
  });

  test('needs no public half', () => {
    const one = machine({ 'private-key': privateHalf(kind).trimEnd().replaceAll('\n', '\r\n') });
    expect(installKeys(one, { authorize: true }).exitCode).toBe(exitCodes.ok);
    expect(inSsh(one, `${file}.pub`)).toBe(publicHalf(kind));
    const path = join(one.home, '.ssh', file);
    expect(execFileSync('ssh-keygen', ['-y', '-f', path], { encoding: 'utf8' })).toBe(publicHalf(kind));
    expect(fingerprints(join(one.home, '.ssh/authorized_keys'))).toEqual([fingerprint(kind)]);
  });

  test('is unchanged the next time, and replaced by the next key', () => {
    const one = machine(pair(kind));
    installKeys(one, { authorize: true, file: 'key' });
    const before = tree(one);
    const { exitCode, stderr } = installKeys(one, { authorize: true, file: 'key' });
    expect(exitCode).toBe(exitCodes.ok);
    expect(stderr).toMatch(
      /^unchanged ~\/\.ssh\/key, ~\/\.ssh\/key\.pub, ~\/\.ssh\/authorized_keys\nthe key of /,
    );
    expect(tree(one)).toEqual(before);
    give(one, pair('other'));
    expect(installKeys(one, { authorize: true, file: 'key' }).stderr).toMatch(
      /^updated ~\/\.ssh\/key\nupdated ~\/\.ssh\/key\.pub\nupdated ~\/\.ssh\/authorized_keys\n/,
    );
    expect(inSsh(one, 'key')).toBe(privateHalf('other'));
    expect(fingerprints(join(one.home, '.ssh/authorized_keys'))).toEqual([fingerprint('other')]);
  });
});

test('the comment is that of the public half that was given', () => {
  const given = publicHalf('rsa').replace('rsa@vault', 'Peña of 1Password');
  const one = machine({ ...pair('rsa'), 'public-key': given.trimEnd() });
  expect(installKeys(one, { authorize: true }).exitCode).toBe(exitCodes.ok);
  expect(inSsh(one, 'id_rsa.pub')).toBe(given);
  expect(inSsh(one, 'authorized_keys').split('\n')[1]).toBe(given.trimEnd());
});

describe('authorized_keys', () => {
  const mine = 'from="10.0.0.0/8" ssh-ed25519 AAAA mine\r\n\n# Peña\n';

  test('keeps the lines of the user and a mode that is strict', () => {
    const one = machine(pair('ed25519'));
    put(one, 'authorized_keys', `${mine}${publicHalf('other')}`, 0o640);
    expect(installKeys(one, { authorize: true }).stderr).toContain('updated ~/.ssh/authorized_keys\n');
    expect(inSsh(one, 'authorized_keys').startsWith(`${mine}${publicHalf('other')}# BEGIN`)).toBe(true);
    expect(modeOf(join(one.home, '.ssh/authorized_keys'))).toBe('0640');
    expect(fingerprints(join(one.home, '.ssh/authorized_keys')).toSorted()).toEqual(
      [fingerprint('other'), fingerprint('ed25519')].toSorted(),
    );
  });

  test('without "authorize" loses the key again, and nothing else', () => {
    const one = machine(pair('ed25519'));
    put(one, 'authorized_keys', mine, 0o600);
    installKeys(one, { authorize: true });
    expect(inSsh(one, 'authorized_keys')).not.toBe(mine);
    expect(installKeys(one).stderr).toContain('updated ~/.ssh/authorized_keys\n');
    expect(inSsh(one, 'authorized_keys')).toBe(mine);
    expect(installKeys(one).stderr).not.toContain('authorized_keys');
  });

  test('with broken markers is put in order, with a warning', () => {
    const one = machine(pair('ed25519'));
    installKeys(one, { authorize: true });
    const broken = inSsh(one, 'authorized_keys').replace(/# END.*/, publicHalf('other'));
    put(one, 'authorized_keys', broken, 0o600);
    give(one, pair('rsa'));
    expect(installKeys(one, { authorize: true, env: { JOURNAL_STREAM: '8:1' } }).stderr).toMatch(
      /^<4>the markers of the block .* were not as written/m,
    );
    expect(fingerprints(join(one.home, '.ssh/authorized_keys'))).toEqual([
      fingerprint('rsa'),
      fingerprint('other'),
    ]);
    expect(installKeys(one, { authorize: true }).stderr).not.toContain('markers');
  });

  test('is all there is to do for a public key alone', () => {
    const one = machine({ 'public-key': publicHalf('ed25519') });
    put(one, 'id_ed25519.pub', 'of another key', 0o644);
    expect(installKeys(one, { authorize: true }).exitCode).toBe(exitCodes.ok);
    expect(Object.keys(tree(one))).toEqual(['.ssh', '.ssh/authorized_keys', '.ssh/id_ed25519.pub']);
    expect(inSsh(one, 'id_ed25519.pub')).toBe('of another key');
    expect(fingerprints(join(one.home, '.ssh/authorized_keys'))).toEqual([fingerprint('ed25519')]);
  });

  test('in a home that others can write to comes with a warning', () => {
    const one = machine(pair('ed25519'));
    chmodSync(one.home, 0o775);
    expect(installKeys(one, { authorize: true }).stderr).toMatch(/sshd ignores the keys in it \(chmod go-w /);
    expect(installKeys(one).stderr).not.toContain('sshd');
  });
});

describe('keys that cannot be used leave everything as it was', () => {
  const pkcs8 = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

  test.each<[string, () => Record<string, string | Uint8Array>, number, RegExp]>([
    [
      'a public half of another key',
      () => ({ ...pair('ed25519'), 'public-key': publicHalf('other') }),
      exitCodes.dataError,
      /^the public key for "javiersc" does not belong to the private key: it is ssh-ed25519 SHA256:\S+, .*; nothing was changed \(take both/,
    ],
    [
      'a public half of another type',
      () => ({ ...pair('ed25519'), 'public-key': publicHalf('rsa') }),
      exitCodes.dataError,
      /does not belong to the private key: it is ssh-rsa SHA256:/,
    ],
    [
      'a private half in PKCS#8',
      () => ({ 'private-key': pkcs8 }),
      exitCodes.dataError,
      /^the private key for "javiersc" is in the format PKCS#8.*\?ssh-format=openssh/,
    ],
    [
      'a private half that is cut off',
      () => ({ 'private-key': privateHalf('rsa').slice(0, 900) }),
      exitCodes.dataError,
      /is damaged: .* is missing; nothing was changed$/m,
    ],
    [
      'a private half whose own halves differ',
      () => ({ 'private-key': mixedHalves() }),
      exitCodes.dataError,
      /^the private key for "javiersc" is damaged: its halves do not belong together; nothing/,
    ],
    [
      'two private keys',
      () => ({ 'private-key': privateHalf('rsa') + privateHalf('ed25519') }),
      exitCodes.dataError,
      /is more than one key/,
    ],
    ['an empty one', () => ({ 'private-key': '' }), exitCodes.dataError, /is empty; nothing was changed/],
    [
      'bytes',
      () => ({ 'private-key': Buffer.from([0xff]) }),
      exitCodes.dataError,
      /^the credential "private-key" is not text/,
    ],
    ['none', () => ({}), exitCodes.noInput, /is missing, and so is the public one \(the credentials are/],
  ])('%s', (_, credentials, exitCode, message) => {
    const one = machine(pair('ed25519'));
    installKeys(one, { authorize: true });
    const before = tree(one);
    give(one, credentials());
    const outcome = installKeys(one, { authorize: true });
    expect(outcome).toMatchObject({ exitCode, stdout: '', stderr: expect.stringMatching(message) });
    expect(tree(one)).toEqual(before);
  });

  /** A well-formed key whose seed belongs to another public half. */
  function mixedHalves(): string {
    const bytes = (name: string): Buffer =>
      Buffer.from(privateHalf(name).replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
    const [mixed, other] = [bytes('ed25519'), bytes('other')];
    // behind magic, names, count, public half (4 + 51), length, check numbers, type, copy, length: the seed
    const seed = 15 + 8 + 8 + 4 + 4 + 55 + 4 + 8 + 15 + 36 + 4;
    other.copy(mixed, seed, seed, seed + 32);
    return `-----BEGIN OPENSSH PRIVATE KEY-----\n${mixed.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
  }
});

describe('what it needs', () => {
  test('a private key, if the public one is not to be authorized', () => {
    const one = machine({ 'public-key': publicHalf('ed25519') });
    const { exitCode, stderr } = installKeys(one);
    expect(exitCode).toBe(exitCodes.noInput);
    expect(stderr).toMatch(/^the private key for "javiersc" is missing, and the public one is not to be/);
    expect(tree(one)).toEqual({});
  });

  test.each([
    [
      'credentials',
      { CREDENTIALS_DIRECTORY: undefined },
      exitCodes.noInput,
      /CREDENTIALS_DIRECTORY is not set/,
    ],
    [
      'their directory',
      { CREDENTIALS_DIRECTORY: '/nowhere' },
      exitCodes.noInput,
      /^\/nowhere: the directory of the credentials does not exist/,
    ],
    ['a home', { HOME: undefined }, exitCodes.configuration, /HOME is not set/],
    ['an absolute home', { HOME: 'home' }, exitCodes.configuration, /HOME is not an absolute path/],
    ['a home that is there', { HOME: '/nowhere' }, exitCodes.cannotCreate, /^\/nowhere: .* does not exist/],
  ])('%s', (_, env, exitCode, message) => {
    const one = machine(pair('ed25519'));
    expect(installKeys(one, { env })).toMatchObject({ exitCode, stderr: expect.stringMatching(message) });
    expect(tree(one)).toEqual({});
  });

  test.each(['../key', 'authorized_keys', 'key.pub'])('a file name that is one: not %s', (file) => {
    const one = machine(pair('ed25519'));
    expect(installKeys(one, { file }).exitCode).toBe(exitCodes.usage);
    expect(tree(one)).toEqual({});
  });

  test('a file of the user, not a link', () => {
    const one = machine(pair('ed25519'));
    put(one, 'mine', 'mine', 0o600);
    symlinkSync('mine', join(one.home, '.ssh/authorized_keys'));
    const { exitCode, stderr } = installKeys(one, { authorize: true });
    expect(exitCode).toBe(exitCodes.cannotCreate);
    expect(stderr).toMatch(/authorized_keys is a symbolic link: keys are not written through one/);
    expect(Object.keys(tree(one)).sort()).toEqual(['.ssh', '.ssh/authorized_keys', '.ssh/mine']);
  });

  // a user namespace has a root of its own, whoever runs this
  const namespace = ['unshare', '--user', '--map-root-user', '--mount'];

  test('the user: root is refused for anybody else', () => {
    const one = machine(pair('ed25519'));
    const { exitCode, stderr } = installKeys(one, { asRoot: true, launcher: namespace });
    expect(exitCode).toBe(exitCodes.configuration);
    expect(stderr).toBe('this must run as "javiersc", not as root (set User=)\n');
    expect(tree(one)).toEqual({});
  });

  test('a file system that can be written to', () => {
    const one = machine(pair('ed25519'));
    // root of the namespace owns what its maker owns
    if (isRoot) chownSync(one.home, 0, 0);
    const readOnly = `mount --bind "$HOME" "$HOME"; mount -o remount,bind,ro "$HOME"; exec "$@"`;
    const launcher = [...namespace, 'sh', '-euc', readOnly, 'sh'];
    const { exitCode, stderr } = installKeys(one, { user: 'root', asRoot: true, launcher });
    expect(exitCode).toBe(exitCodes.cannotCreate);
    expect(stderr).toMatch(
      /\.ssh: cannot be made \(EROFS\) \(the file system is read-only, or ProtectSystem=/,
    );
    expect(tree(one)).toEqual({});
  });

  test('no other user than root, where it is for root', () => {
    const one = machine(pair('ed25519'));
    if (isRoot) chownSync(one.home, 0, 0);
    expect(installKeys(one, { user: 'root', asRoot: true, launcher: namespace }).exitCode).toBe(exitCodes.ok);
    expect(inSsh(one, 'id_ed25519')).toBe(privateHalf('ed25519'));
  });
});
