import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Failure, FailureError } from '../../src/domain/failure.ts';
import { parsePrivateKey } from '../../src/domain/ssh-key-pair.ts';
import { openAgeFile } from '../../src/effects/age-open.ts';
import { describeKey } from '../../src/effects/identity-file.ts';
import { runModule } from '../support/command.ts';

const secret = 'ops_HIDDEN token\n';
const ed25519 = ['-t', 'ed25519'];
const rsa = ['-t', 'rsa', '-b', '2048'];

let directory: string;
/** Paths of key files; `age` is a native identity, the others SSH keys. */
let host: string;
let other: string;
let rsaHost: string;
let ecdsa: string;
let age: string;
let ageRecipient: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'age-'));
  host = sshKey('host', ...ed25519);
  other = sshKey('other', ...ed25519);
  rsaHost = sshKey('rsa', ...rsa);
  ecdsa = sshKey('ecdsa', '-t', 'ecdsa');
  age = at('age.txt');
  execFileSync('age-keygen', ['-o', age], { stdio: 'ignore' });
  ageRecipient = execFileSync('age-keygen', ['-y', age], { encoding: 'utf8' }).trim();
});

afterAll(() => rmSync(directory, { recursive: true }));

function at(name: string): string {
  return join(directory, name);
}

function sshKey(name: string, ...args: string[]): string {
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', '', '-f', at(name), ...args]);
  return at(name);
}

let files = 0;

/** A new file with this content. */
function put(content: string | Uint8Array): string {
  const path = at(`file-${files++}`);
  writeFileSync(path, content);
  return path;
}

/** Has age encrypt something. */
function encrypt(args: readonly string[], plaintext: string | Uint8Array = secret): Buffer {
  return execFileSync('age', args, { input: plaintext, stdio: ['pipe', 'pipe', 'inherit'] });
}

async function open(content: string | Uint8Array, ...identities: string[]): Promise<string> {
  return Buffer.from(
    (await openAgeFile({ path: put(content), identities, purpose: 'vault' })).plaintext,
  ).toString('utf8');
}

/** How it fails; a failure that tells a secret fails the test. */
async function failure(path: string, ...identities: string[]): Promise<Failure> {
  const outcome = await openAgeFile({ path, identities, purpose: 'vault' }).catch((error: unknown) => error);
  if (!(outcome instanceof FailureError)) throw new Error('no FailureError', { cause: outcome });
  const text = JSON.stringify(outcome.failure);
  expect(text).not.toContain('HIDDEN');
  expect(text).not.toMatch(/AGE-SECRET-KEY-1[A-Z0-9]/);
  return outcome.failure;
}

/** The tag that age wrote for the only SSH recipient of this file. */
function tagIn(file: Buffer): string {
  return /^-> ssh-\S+ (\S+)/m.exec(file.toString('latin1'))?.[1] ?? 'none';
}

function flipped(file: Uint8Array, index: number, bit = 0): Buffer {
  const copy = Buffer.from(file);
  copy.writeUInt8(copy.readUInt8(index) ^ (1 << bit), index);
  return copy;
}

describe('what age writes opens here', () => {
  test('for the host key', async () => {
    expect(await open(encrypt(['-R', `${host}.pub`]), host)).toBe(secret);
  });

  test('for an age key, with comments, blank lines and CRLF in its file', async () => {
    const file = encrypt(['-r', ageRecipient]);
    expect(await open(file, age)).toBe(secret);
    const key = readFileSync(age, 'utf8').trim().split('\n').at(-1);
    expect(await open(file, put(`# first\r\n\r\n${key}\r\n# last`))).toBe(secret);
  });

  test('for the second of two age keys in a file', async () => {
    const second = execFileSync('age-keygen', { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    expect(await open(encrypt(['-r', ageRecipient]), put(second + readFileSync(age, 'utf8')))).toBe(secret);
  });

  test('for several recipients, in any place', async () => {
    const recipients = [
      '-R',
      `${rsaHost}.pub`,
      '-r',
      ageRecipient,
      '-R',
      `${other}.pub`,
      '-R',
      `${host}.pub`,
    ];
    const file = encrypt(recipients);
    for (const identity of [rsaHost, host, other, age]) expect(await open(file, identity)).toBe(secret);
  });

  test('armored, with LF, CRLF, and white space around', async () => {
    const file = encrypt(['-a', '-R', `${host}.pub`]).toString('latin1');
    expect(file).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----\n/);
    for (const text of [file, file.replaceAll('\n', '\r\n'), `\n\n${file}\n\n`, file.trimEnd()]) {
      expect(await open(text, host)).toBe(secret);
    }
  });

  test('of any size, at the edges of chunks too', async () => {
    const chunk = 64 * 1024;
    for (const size of [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 5]) {
      const plaintext = randomBytes(size);
      for (const armor of [[], ['-a']]) {
        const path = put(encrypt([...armor, '-R', `${host}.pub`], plaintext));
        expect(
          plaintext.equals((await openAgeFile({ path, identities: [host], purpose: 'vault' })).plaintext),
        ).toBe(true);
      }
    }
  });

  test('for many host keys: nothing depends on the bytes of a key', async () => {
    for (let i = 0; i < 10; i++) {
      const key = sshKey(`many-${i}`, ...ed25519);
      expect(await open(encrypt(['-R', `${key}.pub`]), key)).toBe(secret);
    }
  });
});

describe('SSH keys of every form that ssh-keygen writes', () => {
  test.each([
    ['ed25519', ed25519],
    ['ed25519 in PKCS#8', [...ed25519, '-m', 'PKCS8']],
    ['RSA 2048', rsa],
    ['RSA 3072 in PKCS#1', ['-t', 'rsa', '-b', '3072', '-m', 'PEM']],
    ['RSA 2048 in PKCS#8', [...rsa, '-m', 'PKCS8']],
    ['RSA 4096', ['-t', 'rsa', '-b', '4096']],
  ])('%s', async (name, options) => {
    const key = sshKey(`form-${name.replace(/\W/g, '-')}`, ...options);
    const file = encrypt(['-R', `${key}.pub`]);
    expect(await open(file, key)).toBe(secret);
    const { key: opener } = await openAgeFile({
      path: put(file),
      identities: [ecdsa, other, key],
      purpose: 'token',
    });
    const [type] = options[1] === 'rsa' ? ['ssh-rsa'] : ['ssh-ed25519'];
    const facts = await opener.about();
    expect(facts).toEqual({ path: key, type, tag: tagIn(file) });
    expect(describeKey(facts)).toBe(`${key} is ${type} (tag ${tagIn(file)})`);
    expect((await opener.recipient()).split(' ', 2)).toEqual(
      readFileSync(`${key}.pub`, 'utf8').split(' ', 2),
    );
  });
});

describe('identities are tried in order, and what cannot be used is passed over', () => {
  test('missing, unsupported, encrypted, for somebody else', async () => {
    const encrypted = sshKey('passed-over', ...ed25519, '-N', 'HIDDEN phrase');
    const unusable = [at('nowhere'), ecdsa, rsaHost, encrypted, put('HIDDEN'), other, age];
    expect(await open(encrypt(['-R', `${host}.pub`]), ...unusable, host)).toBe(secret);
  });
});

describe('the file', () => {
  const missing = 'restore it, from git for instance; "unit-secrets vault init" makes a new one';

  test('missing', async () => {
    const path = at('nowhere.age');
    const message = `${path}: does not exist`;
    expect(await failure(path, host)).toEqual({ class: 'permanent', exitCode: 66, message, hint: missing });
    expect(await failure(join(host, 'x'), host)).toMatchObject({ exitCode: 66 });
  });

  test('a dangling link', async () => {
    const path = at('dangling.age');
    symlinkSync('nowhere', path);
    const message = `${path}: is a symbolic link to something that does not exist`;
    expect(await failure(path, host)).toEqual({ class: 'permanent', exitCode: 66, message, hint: missing });
  });

  test('not readable', async () => {
    const path = put(encrypt(['-R', `${host}.pub`]));
    expect(await unreadable(path, () => failure(path, host))).toMatchObject({
      class: 'permanent',
      exitCode: 77,
      message: `${path}: cannot be read: permission denied`,
    });
  });

  test('not a file', async () => {
    const fifo = at('fifo');
    execFileSync('mkfifo', [fifo]);
    mkdirSync(at('directory'));
    expect(await failure(fifo, host)).toMatchObject({
      exitCode: 65,
      message: `${fifo}: this is not a regular file`,
    });
    expect(await failure(at('directory'), host)).toMatchObject({
      exitCode: 65,
      message: `${at('directory')}: this is a directory, not a file`,
    });
    symlinkSync('loop', at('loop'));
    expect(await failure(at('loop'), host)).toMatchObject({ exitCode: 65 });
  });

  test('too large', async () => {
    const path = put(Buffer.alloc(4 * 1024 * 1024 + 1));
    expect(await failure(path, host)).toMatchObject({
      exitCode: 65,
      message: `${path}: the file is larger than 4096 KiB`,
    });
  });

  test.each([
    ['', 'the file is empty'],
    ['a', 'the file is damaged: its header was altered or cut off'],
    ['age-encryption.org/v1', 'the file is damaged: its header was altered or cut off'],
    ['age-encryption.org/v1\n', 'the file is damaged: its header was altered or cut off'],
    [
      'age-encryption.org/v1\n-> X25519 a\n\n--- a\n',
      'the file is damaged: its header was altered or cut off',
    ],
    [
      `age-encryption.org/v1\n-> X25519 a\n\n-> scrypt a 18\n\n--- ${'A'.repeat(43)}\n`,
      'the file is damaged: its header was altered or cut off',
    ],
    ['age-encryption.org/v2\n-> X25519 a\n', 'this is an age file of a version that is not known here'],
    ['age-encryption.org/v1\r\n-> X25519 a\r\n', 'the file is damaged: its line ends were converted to CRLF'],
    ['ops_HIDDEN', 'this is not an age file'],
    ['-----BEGIN AGE ENCRYPTED FILE-----\n', 'the file is damaged: its armor was altered or cut off'],
  ])('%j', async (content, message) => {
    const path = put(content);
    expect(await failure(path, host)).toMatchObject({
      class: 'permanent',
      exitCode: 65,
      message: `${path}: ${message}`,
    });
  });
});

describe('damage', () => {
  let binary: Buffer;
  let mac: number;
  let payload: number;

  beforeAll(() => {
    binary = encrypt(['-R', `${host}.pub`]);
    mac = binary.indexOf('\n--- ') + 5;
    payload = binary.indexOf('\n', mac) + 1;
  });

  test('cut off anywhere', async () => {
    for (let length = 0; length < binary.length; length++) {
      expect(await failure(put(binary.subarray(0, length)), host)).toMatchObject({
        class: 'permanent',
        exitCode: 65,
      });
    }
  });

  test('cut off anywhere, armored', async () => {
    const armored = encrypt(['-a', '-R', `${host}.pub`]);
    for (let length = 0; length < armored.length - 1; length++) {
      expect(await failure(put(armored.subarray(0, length)), host)).toMatchObject({ exitCode: 65 });
    }
  });

  test('cut off between chunks, chunks swapped, something appended', async () => {
    const sealed = 64 * 1024 + 16;
    const file = encrypt(['-R', `${host}.pub`], randomBytes(200_000));
    const start = file.indexOf('\n', file.indexOf('\n--- ') + 1) + 1 + 16;
    const [head, first, second, rest] = [0, start, start + sealed, start + 2 * sealed].map((from, i) =>
      file.subarray(from, [start, start + sealed, start + 2 * sealed, undefined][i]),
    ) as [Buffer, Buffer, Buffer, Buffer];
    for (const parts of [
      [head],
      [head, first],
      [head, first, second],
      [head, second, first, rest],
      [head, first, second, rest, Buffer.from([0])],
    ]) {
      expect(await failure(put(Buffer.concat(parts)), host)).toMatchObject({ exitCode: 65 });
    }
  });

  test('in the stanza, the MAC, the nonce, the payload', async () => {
    const body = binary.indexOf('\n', binary.indexOf('-> ')) + 1;
    for (const index of [body, payload, payload + 16, binary.length - 1]) {
      const path = put(flipped(binary, index));
      const part = index < payload ? 'header' : 'payload';
      const message = `${path}: the file is damaged: its ${part} was altered or cut off`;
      expect(await failure(path, host)).toMatchObject({ exitCode: 65, message });
    }
    expect(await failure(put(flipped(binary, mac)), host)).toMatchObject({ exitCode: 65 });
  });

  test('no altered bit goes unnoticed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(binary.length - 1), fc.nat(7), async (index, bit) => {
        // an altered type or tag is that of another recipient
        expect([65, 77]).toContain((await failure(put(flipped(binary, index, bit)), host)).exitCode);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a host that is not a recipient', () => {
  test('is told for whom the file is, what it has itself, and what to do', async () => {
    const file = encrypt(['-R', `${other}.pub`]);
    const hostTag = tagIn(encrypt(['-R', `${host}.pub`]));
    const path = put(file);
    expect(await failure(path, host)).toEqual({
      class: 'permanent',
      exitCode: 77,
      message: `${path}: this host is not a recipient: the file is for ssh-ed25519 (tag ${tagIn(file)}); here ${host} is ssh-ed25519 (tag ${hostTag})`,
      hint: `was the host key made anew? where the vault opens: unit-secrets vault edit --recipient "${readFileSync(`${host}.pub`, 'utf8').trim()}"`,
    });
  });

  test('is not advised to encrypt for a key that cannot be encrypted for', async () => {
    const small = join(directory, 'small');
    execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '1024', '-N', '', '-m', 'PEM', '-f', small]);
    const path = put(encrypt(['-R', `${other}.pub`]));
    expect(await failure(path, small)).toMatchObject({
      exitCode: 77,
      hint: 'no key here is one that age encrypts for, such as ssh-rsa of less than 2048 bits: make another, "ssh-keygen -A" for a host',
    });
    // the next key that will do
    const { hint } = await failure(path, small, host);
    expect(hint).toContain(readFileSync(`${host}.pub`, 'utf8').trim());
  });

  test('with an age key', async () => {
    const path = put(encrypt(['-R', `${other}.pub`]));
    const { message, hint } = await failure(path, age);
    expect(message).toMatch(new RegExp(`; here X25519 \\(${ageRecipient}\\)$`));
    expect(hint).toContain(`--recipient "${ageRecipient}"`);
  });

  test('lists all recipients, and the keys that could not be used', async () => {
    const [first, last] = [rsaHost, other].map((key) => readFileSync(`${key}.pub`, 'utf8'));
    const recipients = encrypt(['-R', put(`${first}${ageRecipient}\n${last}`)]);
    const tags = ['rsa', 'ed25519'].map(
      (type) => new RegExp(`ssh-${type} (\\S+)`).exec(recipients.toString('latin1'))?.[1],
    );
    const { message, exitCode } = await failure(put(recipients), host, ecdsa, at('nowhere'));
    expect(exitCode).toBe(77);
    expect(message).toContain(
      `the file is for ssh-rsa (tag ${tags[0]}), X25519, ssh-ed25519 (tag ${tags[1]}); here`,
    );
    expect(message).toContain(`; ${ecdsa}: ecdsa-sha2-nistp256 keys cannot open age files`);
    expect(message).toContain(`; ${at('nowhere')}: the key is missing (not generated yet?)`);
  });

  test('a passphrase, types of plugins, grease', async () => {
    const stanza = (line: string) => `-> ${line}\n\n`;
    const write = (...lines: string[]) =>
      put(`age-encryption.org/v1\n${lines.map(stanza).join('')}--- ${'A'.repeat(43)}\n${'x'.repeat(32)}`);
    const listed = async (...lines: string[]) =>
      /the file is for (.*); here/.exec((await failure(write(...lines), host)).message)?.[1];
    expect(await listed('scrypt SALT 18')).toBe('a passphrase');
    expect(await listed('piv-p256 TAG SHARE', 'x-grease a b', 'unheard.of/type a')).toBe(
      'piv-p256 (tag TAG), unheard.of/type',
    );
    expect(await listed('x-grease')).toBe('nobody that is known here');
    expect(await listed(...Array.from({ length: 20 }, () => 'X25519 a'))).toMatch(/X25519 and 4 more$/);
  });
});

describe('keys', () => {
  let path: string;

  beforeAll(() => {
    path = put(encrypt(['-R', `${host}.pub`]));
  });

  test('missing: perhaps later', async () => {
    const hint = '"ssh-keygen -A" makes missing host keys; files must then be encrypted anew for them';
    const directoryMissing = at('unmounted/ssh/key');
    for (const [key, why] of [
      [at('nowhere'), 'the key is missing (not generated yet?)'],
      [directoryMissing, `the key is missing, and so is ${at('unmounted/ssh')} (not mounted yet?)`],
    ] as const) {
      const message = `${path} cannot be opened: ${key}: ${why}`;
      expect(await failure(path, key)).toEqual({ class: 'transient', exitCode: 66, message, hint });
    }
  });

  test('missing, and the other one is of another type: the first decides', async () => {
    const { exitCode, class: kind, message } = await failure(path, at('nowhere'), ecdsa);
    expect({ exitCode, kind }).toEqual({ exitCode: 66, kind: 'transient' });
    expect(message).toContain(`; ${ecdsa}: ecdsa-sha2-nistp256 keys cannot open age files`);
  });

  test('not readable', async () => {
    const key = sshKey('unreadable', ...ed25519);
    chmodSync(directory, 0o755);
    chmodSync(path, 0o644);
    const message = `${path} cannot be opened: ${key}: cannot be read: permission denied`;
    expect(await unreadable(key, () => failure(path, key))).toMatchObject({
      class: 'permanent',
      exitCode: 77,
      message,
    });
  });

  test('with a passphrase', async () => {
    const phrase = ['-N', 'HIDDEN phrase'];
    for (const key of [
      sshKey('encrypted', ...ed25519, ...phrase),
      sshKey('encrypted-rsa', ...rsa, ...phrase),
      sshKey('encrypted-pem', ...rsa, ...phrase, '-m', 'PEM'),
      sshKey('encrypted-pkcs8', ...rsa, ...phrase, '-m', 'PKCS8'),
    ]) {
      const message = `${path} cannot be opened: ${key}: the key is encrypted with a passphrase, which nobody can give at boot`;
      expect(await failure(path, key)).toMatchObject({ class: 'permanent', exitCode: 78, message });
    }
  });

  test('of other types', async () => {
    const pem = sshKey('pem', '-t', 'ecdsa', '-m', 'PEM');
    const pkcs8 = sshKey('pkcs8', '-t', 'ecdsa', '-m', 'PKCS8');
    for (const [key, message] of [
      [ecdsa, 'ecdsa-sha2-nistp256 keys cannot open age files'],
      [pem, 'EC PEM keys cannot open age files'],
      [pkcs8, 'keys of this type cannot open age files'],
    ] as const) {
      expect(await failure(path, key)).toMatchObject({
        class: 'permanent',
        exitCode: 78,
        message: `${path} cannot be opened: ${key}: ${message}`,
        // it is there: ssh-keygen -A would make nothing
        hint: 'use an ssh-ed25519 or ssh-rsa key',
      });
    }
    expect(await failure(path, `${host}.pub`)).toMatchObject({
      hint: 'name the private key, the file without ".pub"',
    });
    expect(await failure(path, `${host}.pub`)).toMatchObject({ exitCode: 78 });
    const sealed = put(encrypt(['-a', '-r', ageRecipient], readFileSync(age)));
    expect((await failure(path, sealed)).message).toContain('the key is itself encrypted with age');
  });

  test('of age, damaged or of another kind', async () => {
    const text = readFileSync(age, 'utf8');
    const last = text.trim().split('\n').length;
    const damaged = put(
      text.replace(/(AGE-SECRET-KEY-1.)(.)/, (_, start, letter) => start + (letter === 'Q' ? 'P' : 'Q')),
    );
    expect(await failure(path, damaged)).toMatchObject({
      exitCode: 65,
      message: `${path} cannot be opened: ${damaged}:${last}: the age key is damaged`,
    });
    expect(await failure(path, put('AGE-PLUGIN-YUBIKEY-1HIDDEN\n'))).toMatchObject({ exitCode: 78 });
  });

  test('damaged, also where only arithmetic can tell', async () => {
    const text = readFileSync(host, 'utf8');
    const parsed = parsePrivateKey(text);
    if (!parsed.ok || !parsed.key.halves) throw new Error('no key');
    const bytes = Buffer.from(text.replace(/-----[A-Z ]+-----|\n/g, ''), 'base64');
    const altered = flipped(bytes, bytes.indexOf(parsed.key.halves.secret)).toString('base64');
    const key = put(text.replace(/(?<=KEY-----\n)[^-]+/, `${altered}\n`));
    expect(await failure(path, key)).toMatchObject({
      exitCode: 65,
      message: `${path} cannot be opened: ${key}: the key is damaged: its halves do not belong together`,
    });
    const pem = readFileSync(sshKey('damaged-pem', ...rsa, '-m', 'PEM'), 'utf8');
    for (const damaged of [text.slice(0, 100), pem.slice(0, 200), pem.replace(/\n[^\n]+/, '\nAAAA')]) {
      expect(await failure(path, put(damaged))).toMatchObject({ exitCode: 65 });
    }
  });

  test('that others can read: a warning', async () => {
    const key = sshKey('open', ...ed25519);
    const file = put(encrypt(['-R', `${key}.pub`]));
    for (const [mode, warns] of [
      [0o600, false],
      [0o400, false],
      [0o640, false],
      [0o644, true],
      [0o660, true],
      [0o604, true],
    ] as const) {
      chmodSync(key, mode);
      const { stderr, exitCode } = runModule(
        `import { openAgeFile } from 'SOURCE/effects/age-open.ts';
         await openAgeFile({ path: ${JSON.stringify(file)}, identities: [${JSON.stringify(key)}], purpose: 'token' });`,
      );
      const text = `${key}: the private key has the mode 0${mode.toString(8)}: others can read or change it (chmod 600 ${key})\n`;
      expect({ mode, stderr, exitCode }).toEqual({ mode, stderr: warns ? text : '', exitCode: 0 });
    }
  });

  test('too large, and none at all', async () => {
    expect(await failure(path, put(Buffer.alloc(64 * 1024 + 1)))).toMatchObject({ exitCode: 65 });
    expect(await failure(path)).toMatchObject({
      exitCode: 78,
      message: `${path}: no key was named to open it with`,
    });
  });
});

/** Runs something while we may not read a file: root may read everything, so it becomes nobody for that time. */
async function unreadable<T>(path: string, run: () => Promise<T>): Promise<T> {
  chmodSync(path, 0);
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65534);
  try {
    return await run();
  } finally {
    if (root) process.seteuid?.(0);
  }
}
