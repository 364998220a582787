import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { binary } from '../build/binary.ts';
import { newAccount, tokenOf } from '../emulator/token.ts';
import { type Outcome, runnerOf } from '../support/command.ts';
import { ed25519Path, hostWithKeys, makeKey, openWithAge, rsaPath } from '../support/host-keys.ts';
import { manifestPath } from '../support/manifests.ts';
import { modeOf, temporaryDirectory, withUmask } from '../support/temporary.ts';

// what people run, and much quicker than from source
const program = await binary();
const unitSecrets = runnerOf(program);

const [account] = newAccount().serviceAccounts;
if (account === undefined) throw new Error('the emulator made no service account');
const token = tokenOf(account, 'https://example.1password.com');
const tokenFile = '/etc/unit-secrets/1password-token.age';

const seal = (root: string, ...args: string[]): Outcome =>
  unitSecrets(['token', 'seal', '--root', root, ...args], { input: `${token}\n` });
const check = (root: string, ...args: string[]): Outcome =>
  unitSecrets(['token', 'check', '--root', root, ...args]);
const writeManifest = (root: string, content: object): void =>
  writeFileSync(join(root, manifestPath), JSON.stringify({ version: 1, services: {}, ...content }));
/** The types and tags that a file is for. */
const stanzasOf = (path: string): string[] =>
  [
    ...readFileSync(path)
      .toString('latin1')
      .matchAll(/^-> (\S+)/gm),
  ].map(([, type]) => type ?? '');

describe('token seal', () => {
  test.each([0o000, 0o022, 0o077])(
    'seals for both host keys, and is not readable for others (umask %o)',
    (umask) => {
      const root = hostWithKeys();
      const { exitCode, stdout, stderr } = withUmask(umask, () => seal(root));
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
      expect(stderr).toMatch(
        /^sealed the token of \S+@1passwordserviceaccounts\.com into .*1password-token\.age\nit can be opened by ssh-ed25519 \(tag \S{6}\), ssh-rsa \(tag \S{6}\)\n$/,
      );
      expect(modeOf(join(root, tokenFile))).toBe('0600');
      for (const key of [ed25519Path, rsaPath]) {
        expect(openWithAge(root, tokenFile, join(root, key)).toString()).toBe(token);
      }
      expect(readdirSync(join(root, '/etc/unit-secrets'))).toEqual(['1password-token.age']);
    },
  );

  test('seals for the one key that there is, also if only its private half is', () => {
    const root = hostWithKeys(['rsa']);
    removePublicHalf(root, rsaPath);
    expect(seal(root).exitCode).toBe(0);
    expect(stanzasOf(join(root, tokenFile))).toEqual(['ssh-rsa']);
    expect(check(root).exitCode).toBe(0);
  });

  test('needs no private key where the public half is', () => {
    const root = hostWithKeys(['ed25519']);
    writeFileSync(join(root, ed25519Path), 'unreadable');
    expect(seal(root)).toMatchObject({ exitCode: 0 });
  });

  test('seals for others too, or only for others', () => {
    const root = hostWithKeys(['ed25519']);
    const other = makeKey(join(temporaryDirectory(), 'other'));
    const line = readFileSync(`${other}.pub`, 'utf8').trim();
    const file = join(temporaryDirectory(), 'authorized_keys');
    const third = makeKey(join(temporaryDirectory(), 'third'), 'rsa');
    const ecdsa =
      'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg= x';
    writeFileSync(
      file,
      `# admins\n\ncommand="echo \\"ssh-rsa AAAA\\"",no-pty ${readFileSync(`${third}.pub`, 'utf8')}${ecdsa}\n`,
    );
    const { exitCode, stderr } = seal(
      root,
      '--recipient',
      line,
      '--recipient',
      file,
      '--recipient',
      `${other}.pub`,
    );
    expect(exitCode).toBe(0);
    expect(stderr).toContain(
      `${file}:4: ecdsa-sha2-nistp256 keys cannot be recipients; going on without it\n`,
    );
    expect(stanzasOf(join(root, tokenFile))).toEqual(['ssh-ed25519', 'ssh-ed25519', 'ssh-rsa']);
    for (const key of [other, third]) expect(openWithAge(root, tokenFile, key).toString()).toBe(token);

    const output = join(temporaryDirectory(), 'for-other.age');
    expect(seal(root, '--no-host', '--recipient', line, '--output', output, '--armor').exitCode).toBe(0);
    expect(readFileSync(output, 'utf8')).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----\n/);
    expect(openWithAge('/', output, other).toString()).toBe(token);
    expect(() => openWithAge('/', output, join(root, ed25519Path))).toThrow('no identity matched');
  });

  test('for nobody asks for a recipient, not for host keys', () => {
    const root = hostWithKeys();
    const { exitCode, stderr } = seal(root, '--no-host');
    expect({ exitCode, stderr }).toEqual({
      exitCode: exitCodes.usage,
      stderr:
        "--no-host: without this host's own keys nobody is left to encrypt for (name a public key with --recipient)\n",
    });
    expect(readdirSync(join(root, '/etc/unit-secrets'))).toEqual([]);
  });

  test('does not take - for a file', () => {
    const { exitCode, stderr } = seal(hostWithKeys(), '--output', '-');
    expect({ exitCode, stderr }).toEqual({
      exitCode: exitCodes.usage,
      stderr:
        '--output needs a file: the sealed token is not written to standard output (a file of that name is ./-)\n',
    });
    expect(existsSync('-')).toBe(false);
  });

  test('writes where the manifest says, for the keys that it names', () => {
    const root = hostWithKeys();
    mkdirSync(join(root, 'keys'));
    const key = makeKey(join(root, 'keys/boot'));
    mkdirSync(join(root, 'etc/elsewhere'));
    writeManifest(root, { token: { age: '/etc/elsewhere/token.age', identity: '/keys/boot' } });
    expect(seal(root).exitCode).toBe(0);
    expect(openWithAge(root, '/etc/elsewhere/token.age', key).toString()).toBe(token);
    expect(stanzasOf(join(root, '/etc/elsewhere/token.age'))).toEqual(['ssh-ed25519']);
    const { exitCode, stdout } = check(root);
    expect({ exitCode, stdout }).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('/keys/boot'),
    });
  });

  test('works whatever is wrong with the services of the manifest, not where it is about the token', () => {
    const root = hostWithKeys();
    writeManifest(root, { services: { bad: {} } });
    expect(seal(root).exitCode).toBe(0);
    writeManifest(root, { token: { aeg: '/x' } });
    expect(seal(root, '--force')).toMatchObject({
      exitCode: exitCodes.configuration,
      stderr: expect.stringContaining('unknown member "aeg"'),
    });
    writeManifest(root, { token: { file: '/run/agenix/token' } });
    expect(seal(root, '--force')).toMatchObject({
      exitCode: exitCodes.configuration,
      stderr: 'the manifest says that the token is not in an age file (name a file with --output)\n',
    });
  });

  test('does not overwrite unless told to, and then keeps the mode and a link', () => {
    const root = hostWithKeys();
    const path = join(root, tokenFile);
    const real = join(root, 'checkout-token.age');
    writeFileSync(real, 'before');
    chmodSync(real, 0o644);
    symlinkSync(real, path);
    expect(seal(root)).toEqual({
      exitCode: exitCodes.cannotCreate,
      stdout: '',
      stderr: `${path}: exists already (to replace it, use --force)\n`,
    });
    expect(readFileSync(real, 'utf8')).toBe('before');
    expect(seal(root, '--force').exitCode).toBe(0);
    expect(openWithAge('/', real, join(root, ed25519Path)).toString()).toBe(token);
    expect(modeOf(real)).toBe('0644');
    expect(readdirSync(root).filter((name) => name.includes('.new'))).toEqual([]);
  });

  test.each([
    ['nothing', '', 'no token was entered; nothing was written\n'],
    ['a blank line', '\n', 'no token was entered; nothing was written\n'],
    ['something else', 'Hunter2', /^this is not a service account token; nothing was written \(/],
    [
      'half of one',
      token.slice(0, 400),
      /^the service account token is damaged: it is cut off or altered; nothing/,
    ],
    [
      'one with a member less',
      tokenWithout('muk'),
      /^the service account token is damaged: it lacks muk; nothing/,
    ],
    ['two', `${token}\n${token}`, /^the service account token is damaged: /],
    ['letters that no token has', 'ops_\u00ff\u2028', /^the service account token is damaged: /],
  ])('refuses %s', (_, input, message) => {
    const root = hostWithKeys(['ed25519']);
    const { exitCode, stderr } = unitSecrets(['token', 'seal', '--root', root], { input });
    expect(exitCode).toBe(exitCodes.dataError);
    if (typeof message === 'string') expect(stderr).toBe(message);
    else expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/Hunter2|ops_e|srpX.*[0-9a-f]{20}/);
    expect(existsSync(join(root, tokenFile))).toBe(false);
  });

  test.each([
    ['no key at all', [], 'there is no key to encrypt for'],
    ['a private key', ['--recipient', 'KEY'], 'this is a private key'],
    ['what is no key', ['--recipient', 'MANIFEST'], 'is not a public key of OpenSSH'],
    ['a file that is missing', ['--recipient', '/nowhere/keys'], '/nowhere/keys: does not exist'],
    [
      'a damaged recipient',
      ['--recipient', 'age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq'],
      'the age recipient is damaged',
    ],
    [
      'a recipient of a plugin',
      ['--recipient', 'age1yubikey1qqqq'],
      'recipients of this kind are not supported',
    ],
  ])('refuses %s as a recipient, before it reads the token', (_, args, message) => {
    const root = hostWithKeys([]);
    const files: Record<string, string> = { KEY: makeKey(join(root, 'key')), MANIFEST: join(root, 'text') };
    writeFileSync(join(root, 'text'), 'hello\n');
    const { exitCode, stderr } = seal(root, ...args.map((arg) => files[arg] ?? arg));
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('PRIVATE KEY');
    expect(existsSync(join(root, tokenFile))).toBe(false);
  });

  test('an empty recipient is wrong usage', () => {
    expect(seal(hostWithKeys(['ed25519']), '--recipient', '')).toEqual({
      exitCode: exitCodes.usage,
      stdout: '',
      stderr: '--recipient: the recipient is empty (name a public key, or a file of public keys)\n',
    });
  });

  test('advises to make host keys only where one is missing', () => {
    const root = hostWithKeys([]);
    const advice =
      /there is no key to encrypt for \("ssh-keygen -A" makes missing host keys; or name a public key/;
    expect(seal(root).stderr).toMatch(advice);
    for (const path of [ed25519Path, rsaPath]) writeFileSync(join(root, path), 'none\n', { mode: 0o600 });
    expect(seal(root).stderr).toMatch(
      /there is no key to encrypt for \(name a public key with --recipient\)\n$/,
    );
  });

  test('makes /etc/unit-secrets on a host that is new', () => {
    const root = hostWithKeys(['ed25519']);
    rmSync(join(root, '/etc/unit-secrets'), { recursive: true });
    expect(seal(root).exitCode).toBe(0);
    expect(modeOf(join(root, '/etc/unit-secrets'))).toBe('0755');
    expect(check(root).exitCode).toBe(0);
  });

  test('reads no more than it could use', () => {
    const root = hostWithKeys(['ed25519']);
    const script = `"$0" token seal --root ${root} < /dev/zero; "$0" token seal --root ${root} <&-`;
    const { exitCode, stderr } = runnerOf('sh')(['-c', script, program]);
    expect(exitCode).toBe(exitCodes.dataError);
    expect(stderr).toBe('the input is longer than 1024 KiB\nno token was entered; nothing was written\n');
  });

  test('without a directory to write to ends with 73 and leaves nothing', () => {
    const root = hostWithKeys();
    const { exitCode, stderr } = seal(root, '--output', join(root, 'nowhere/token.age'));
    expect(exitCode).toBe(exitCodes.cannotCreate);
    expect(stderr).toContain(
      `nowhere/token.age: cannot be written (ENOENT) (does ${join(root, 'nowhere')} exist?)`,
    );
  });
});

describe('token check', () => {
  test('tells what the token is for, and nothing secret', () => {
    const root = hostWithKeys();
    seal(root);
    const { exitCode, stdout, stderr } = check(root);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toBe(
      `file             ${join(root, tokenFile)}\n` +
        `opened by        ${join(root, ed25519Path)} is ssh-ed25519 (tag ${tagOf(root)})\n` +
        `sign-in address  https://example.1password.com\n` +
        `account          ${account?.email}\n`,
    );
    const json: unknown = JSON.parse(check(root, '--json').stdout);
    expect(json).toEqual({
      file: join(root, tokenFile),
      key: { path: join(root, ed25519Path), type: 'ssh-ed25519', tag: tagOf(root) },
      signInAddress: 'https://example.1password.com',
      email: account?.email,
    });
  });

  test('of a plain file', () => {
    const root = hostWithKeys();
    writeManifest(root, { token: { file: '/etc/token' } });
    writeFileSync(join(root, 'etc/token'), `${token}\n`);
    expect(check(root)).toMatchObject({ exitCode: 0, stdout: expect.not.stringContaining('opened by') });
    writeFileSync(join(root, 'etc/token'), 'Hunter2');
    expect(check(root)).toMatchObject({
      exitCode: exitCodes.configuration,
      stderr: expect.stringMatching(/^\S+\/etc\/token: this is not a service account token/),
    });
  });

  test('says what to do where the file, the key or the right key is missing', () => {
    const root = hostWithKeys(['ed25519']);
    expect(check(root)).toMatchObject({
      exitCode: exitCodes.noInput,
      stderr: `${join(root, tokenFile)}: does not exist ("unit-secrets token seal" makes it)\n`,
    });
    seal(root);
    const other = hostWithKeys(['ed25519']);
    writeFileSync(join(other, tokenFile), readFileSync(join(root, tokenFile)));
    const { exitCode, stderr } = check(other);
    expect(exitCode).toBe(exitCodes.noPermission);
    expect(stderr).toBe(
      `${join(other, tokenFile)}: this host is not a recipient: the file is for ssh-ed25519 (tag ${tagOf(root)}); here ` +
        `${join(other, ed25519Path)} is ssh-ed25519 (tag ${tagIn(other)}); ${join(other, rsaPath)}: the key is missing (not generated yet?) ` +
        '(was the host key made anew? seal the token for this host: unit-secrets token seal --force)\n',
    );
  });
});

function tagOf(root: string): string {
  return /ssh-ed25519 (\S+)/.exec(readFileSync(join(root, tokenFile)).toString('latin1'))?.[1] ?? '';
}

/** The tag of a host's own key: that of a file sealed for it. */
function tagIn(root: string): string {
  const output = join(temporaryDirectory(), 'probe.age');
  seal(root, '--output', output);
  return /ssh-ed25519 (\S+)/.exec(readFileSync(output).toString('latin1'))?.[1] ?? '';
}

function tokenWithout(member: string): string {
  const content = JSON.parse(Buffer.from(token.slice(4), 'base64url').toString('utf8')) as Record<
    string,
    unknown
  >;
  delete content[member];
  return `ops_${Buffer.from(JSON.stringify(content)).toString('base64url')}`;
}

function removePublicHalf(root: string, path: string): void {
  rmSync(join(root, `${path}.pub`));
}
