import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseOpensshKey } from '../../src/domain/openssh-key.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'openssh-key-'));
});

afterAll(() => rmSync(directory, { recursive: true }));

/** Has ssh-keygen make a key; gives the paths of its halves. */
function makeKey(name: string, ...args: string[]): { secret: string; public: string } {
  const path = join(directory, name);
  execFileSync('ssh-keygen', ['-q', '-f', path, '-N', '', ...args]);
  return { secret: readFileSync(path, 'utf8'), public: readFileSync(`${path}.pub`, 'utf8') };
}

function parsed(text: string) {
  const result = parseOpensshKey(text);
  if (!result.ok) throw new Error(result.message);
  return result.key;
}

function refused(text: string) {
  const result = parseOpensshKey(text);
  if (result.ok) throw new Error('the key was accepted');
  return result;
}

/** The text of a key file with these bytes in its envelope. */
function envelope(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join(
    '\n',
  );
}

function envelopeBytes(text: string): Buffer {
  return Buffer.from(text.replace(/-----[A-Z ]+-----|\n/g, ''), 'base64');
}

describe('ssh-ed25519', () => {
  test.each(['', 'root@host', 'Ünïcode and blanks', 'x'.repeat(300)])('comment %j', (comment) => {
    const key = makeKey(`comment-${comment.length}`, '-t', 'ed25519', '-C', comment);
    const { wire, publicKey, comment: read, seed } = parsed(key.secret);
    expect(Buffer.from(wire).toString('base64')).toBe(key.public.split(/\s/)[1]);
    expect(Buffer.from(wire).subarray(-32)).toEqual(Buffer.from(publicKey));
    expect(seed).toHaveLength(32);
    expect(read).toBe(comment);
  });

  test('has the fingerprint that ssh-keygen prints', () => {
    const { secret } = makeKey('fingerprint', '-t', 'ed25519');
    const printed = execFileSync('ssh-keygen', ['-lf', join(directory, 'fingerprint')], { encoding: 'utf8' });
    const hash = createHash('sha256').update(parsed(secret).wire).digest('base64').replaceAll('=', '');
    expect(printed).toContain(`SHA256:${hash} `);
  });

  test('CRLF, blank lines around, and text after the end are no trouble', () => {
    const { secret } = makeKey('crlf', '-t', 'ed25519');
    const expected = parsed(secret);
    expect(parsed(secret.replaceAll('\n', '\r\n'))).toEqual(expected);
    expect(parsed(`\n\n${secret}\nmore`)).toEqual(expected);
  });
});

describe('what is refused', () => {
  test('a passphrase', () => {
    const result = refused(makeKey('encrypted', '-t', 'ed25519', '-N', 'correct horse').secret);
    expect(result).toMatchObject({
      kind: 'encrypted',
      message: 'the key is encrypted with a passphrase, which nobody can give at boot',
    });
  });

  test('RSA, in both formats', () => {
    const message = 'ssh-rsa host keys are not supported by this version yet';
    const size = ['-t', 'rsa', '-b', '1024'];
    expect(refused(makeKey('rsa', ...size).secret)).toMatchObject({ kind: 'other-type', message });
    expect(refused(makeKey('rsa-pem', ...size, '-m', 'PEM').secret)).toMatchObject({
      kind: 'other-format',
      message,
    });
  });

  test('other types and formats', () => {
    expect(refused(makeKey('ecdsa', '-t', 'ecdsa').secret)).toMatchObject({
      kind: 'other-type',
      message: '"ecdsa-sha2-nistp256" keys are not supported',
    });
    expect(refused(makeKey('ecdsa-pem', '-t', 'ecdsa', '-m', 'PEM').secret).message).toBe(
      'EC PEM keys are not supported',
    );
    expect(refused(makeKey('pkcs8', '-t', 'rsa', '-b', '1024', '-m', 'PKCS8').secret).message).toBe(
      'PKCS#8 PEM keys are not supported',
    );
  });

  test('a public key, with the advice to name the private one', () => {
    expect(refused(makeKey('public', '-t', 'ed25519').public)).toMatchObject({
      kind: 'other-format',
      message: 'this is a public key',
      hint: 'name the private key, the file without ".pub"',
    });
  });

  test.each(['', '\n', 'hello', '{}'])('something else: %j', (text) => {
    expect(refused(text)).toMatchObject({
      kind: 'other-format',
      message: 'this is not an OpenSSH private key',
    });
  });
});

describe('damage', () => {
  let secret: string;
  let bytes: Buffer;

  beforeAll(() => {
    secret = makeKey('damage', '-t', 'ed25519', '-C', 'c').secret;
    bytes = envelopeBytes(secret);
  });

  test('the test takes keys apart and puts them together again', () => {
    expect(envelope(bytes)).toBe(secret);
  });

  test('cut off anywhere', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(refused(envelope(bytes.subarray(0, length))).kind).toBe('damaged');
    }
    const withoutEnd = secret.slice(0, secret.indexOf('-----END'));
    expect(refused(withoutEnd).message).toContain('the line "-----END OPENSSH PRIVATE KEY-----" is missing');
  });

  test('something after the key, something that is not base64', () => {
    expect(refused(envelope(Buffer.concat([bytes, Buffer.from([0])]))).message).toContain(
      'something follows the key',
    );
    expect(refused(secret.replace('b3BlbnNz', 'b3Bl*nNz')).message).toContain('not base64');
  });

  test('copies of the public key that differ', () => {
    for (const at of allIndexes(bytes, parsed(secret).publicKey)) {
      const altered = Buffer.from(bytes);
      altered.writeUInt8(altered.readUInt8(at) ^ 1, at);
      expect(refused(envelope(altered)).message).toBe(
        'the key is damaged: its copies of the public key differ',
      );
    }
  });

  test('any altered byte is either found or in what cannot be checked here: seed, comment, KDF', () => {
    const { publicKey } = parsed(secret);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const altered = Buffer.from(bytes);
        altered.writeUInt8(altered.readUInt8(at) ^ change, at);
        const result = parseOpensshKey(envelope(altered));
        if (result.ok) expect(result.key.publicKey).toEqual(publicKey);
        else expect(result.message).not.toContain(secret.split('\n')[3]);
      }),
    );
  });
});

function allIndexes(bytes: Buffer, part: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(part); at >= 0; at = bytes.indexOf(part, at + 1)) found.push(at);
  expect(found).toHaveLength(3);
  return found;
}
