import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyFileNameError } from '../../src/domain/ssh-key-file.ts';
import {
  formatPublicKey,
  keyFileName,
  type PrivateKey,
  type PublicKey,
  parsePrivateKey,
  parsePublicKey,
  samePublicKey,
} from '../../src/domain/ssh-key-pair.ts';

const kinds = {
  ed25519: ['-t', 'ed25519'],
  rsa: ['-t', 'rsa', '-b', '3072'],
  nistp256: ['-t', 'ecdsa', '-b', '256'],
  nistp384: ['-t', 'ecdsa', '-b', '384'],
  nistp521: ['-t', 'ecdsa', '-b', '521'],
} as const;
type Kind = keyof typeof kinds;
const allKinds = Object.keys(kinds) as Kind[];

let directory: string;
const keys = new Map<string, { secret: string; public: string }>();

/** The halves of a key that ssh-keygen made. */
function key(kind: Kind): { secret: string; public: string } {
  const made = keys.get(kind);
  if (!made) throw new Error(`no key ${kind}`);
  return made;
}

function makeKey(name: string, ...args: string[]): { secret: string; public: string } {
  const path = join(directory, name);
  execFileSync('ssh-keygen', ['-q', '-f', path, '-N', '', ...args]);
  return { secret: readFileSync(path, 'utf8'), public: readFileSync(`${path}.pub`, 'utf8') };
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ssh-key-pair-'));
  for (const kind of allKinds) keys.set(kind, makeKey(kind, ...kinds[kind], '-C', 'me@here now'));
});

afterAll(() => rmSync(directory, { recursive: true }));

function privateKey(text: string): PrivateKey {
  const result = parsePrivateKey(text);
  if (!result.ok) throw new Error(result.message);
  return result.key;
}

function publicKey(text: string): PublicKey {
  const result = parsePublicKey(text);
  if (!result.ok) throw new Error(result.message);
  return result.key;
}

/** What is said about a key that is refused. */
function refusal(result: ReturnType<typeof parsePrivateKey> | ReturnType<typeof parsePublicKey>): string {
  if (result.ok) throw new Error('the key was accepted');
  return result.hint === undefined ? result.message : `${result.message} (${result.hint})`;
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
}

/** The text of a key file with these bytes in it. */
function envelope(bytes: Uint8Array): string {
  const body = Buffer.from(bytes).toString('base64');
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${body}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

/** SSH strings, one behind the other (RFC 4251, section 5). */
function wire(...parts: readonly (string | Uint8Array)[]): string {
  const strings = parts.map((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.from(part).length);
    return Buffer.concat([length, Buffer.from(part)]);
  });
  return Buffer.concat(strings).toString('base64');
}

describe.each(allKinds)('%s', (kind) => {
  test('its two files hold the same public key, with comment', () => {
    const own = privateKey(key(kind).secret).publicKey;
    const given = publicKey(key(kind).public);
    expect(own).toEqual(given);
    expect(samePublicKey(own, given)).toBe(true);
    expect(`${formatPublicKey(own)}\n`).toBe(key(kind).public);
    expect(own.comment).toBe('me@here now');
  });

  test('has the fingerprint that ssh-keygen prints', () => {
    const printed = execFileSync('ssh-keygen', ['-lf', join(directory, kind)], { encoding: 'utf8' });
    const { wire } = privateKey(key(kind).secret).publicKey;
    expect(printed).toContain(`SHA256:${createHash('sha256').update(wire).digest('base64').slice(0, 43)} `);
  });

  test('ssh-keygen reads its text, whatever layout it came in', () => {
    const { secret, public: line } = key(kind);
    const body = bytesOf(secret).toString('base64');
    const layouts = [
      secret,
      secret.trimEnd(),
      secret.replaceAll('\n', '\r\n'),
      `\n\n${secret}\n `,
      envelope(bytesOf(secret)),
      `-----BEGIN OPENSSH PRIVATE KEY-----${body}-----END OPENSSH PRIVATE KEY-----`,
    ];
    for (const layout of layouts) expect(privateKey(layout).text).toBe(secret);
    const path = join(directory, `${kind}.again`);
    writeFileSync(path, privateKey(layouts[5] ?? '').text, { mode: 0o600 });
    expect(execFileSync('ssh-keygen', ['-y', '-f', path], { encoding: 'utf8' })).toBe(line);
  });

  test('a key that is cut off anywhere is refused', () => {
    const bytes = bytesOf(key(kind).secret);
    for (let length = 0; length < bytes.length; length += 7) {
      expect(refusal(parsePrivateKey(envelope(bytes.subarray(0, length))))).toMatch(/^is damaged: /);
    }
    const blob = Buffer.from(publicKey(key(kind).public).wire);
    const type = publicKey(key(kind).public).type;
    for (let length = 0; length < blob.length; length += 3) {
      const cut = blob.subarray(0, length).toString('base64');
      expect(refusal(parsePublicKey(`${type} ${cut}`))).toMatch(/^(is damaged|has \d+ bits|is not)/);
    }
  });

  test('a key with a bit flipped is refused, but for its comment', () => {
    const bytes = bytesOf(key(kind).secret);
    const { halves, publicKey: own } = privateKey(key(kind).secret);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (index, bit) => {
        const copy = Buffer.from(bytes);
        copy.writeUInt8(copy.readUInt8(index) ^ (1 << bit), index);
        const result = parsePrivateKey(envelope(copy));
        if (!result.ok) return;
        // the secret half alone is for the caller to check
        const other = result.key.halves && Buffer.compare(result.key.halves.secret, halves?.secret ?? copy);
        if (other) return;
        expect(samePublicKey(result.key.publicKey, own)).toBe(true);
        // the comment's length, which may take in the padding, and the comment
        const start = bytes.lastIndexOf(own.comment);
        expect(index >= start - 4 && index < start + own.comment.length).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('private keys that are refused', () => {
  const pem = (format: 'pkcs8' | 'pkcs1', passphrase?: string): string =>
    generateKeyPairSync('rsa', { modulusLength: 2048 })
      .privateKey.export({
        type: format,
        format: 'pem',
        ...(passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }),
      })
      .toString();

  test('PKCS#8, as 1Password gives it when not asked otherwise', () => {
    const ed25519 = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
    for (const text of [ed25519.toString(), pem('pkcs8')]) {
      expect(refusal(parsePrivateKey(text))).toBe(
        'is in the format PKCS#8, which ssh does not always take (for a key in 1Password, end its reference with "?ssh-format=openssh")',
      );
    }
  });

  test('PEM of a type', () => {
    expect(refusal(parsePrivateKey(pem('pkcs1')))).toMatch(
      /^is in the format RSA PEM \(ssh-keygen -p .*"\?ssh-format=openssh"\)$/,
    );
  });

  test('with a passphrase, in any format', () => {
    const openssh = makeKey('encrypted', '-t', 'ed25519', '-N', 'correct horse').secret;
    const rsa = makeKey('encrypted-rsa', '-t', 'rsa', '-m', 'PEM', '-N', 'correct horse').secret;
    for (const text of [openssh, rsa, pem('pkcs8', 'correct horse'), pem('pkcs1', 'correct horse')]) {
      expect(refusal(parsePrivateKey(text))).toMatch(/^is encrypted with a passphrase/);
    }
  });

  test('more than one', () => {
    const { secret } = key('ed25519');
    expect(refusal(parsePrivateKey(secret + key('rsa').secret))).toMatch(/^is more than one key/);
    const bytes = bytesOf(secret);
    // the number of keys stands behind the magic and three strings: "none", "none", ""
    bytes.writeUInt32BE(2, 15 + 8 + 8 + 4);
    expect(refusal(parsePrivateKey(envelope(bytes)))).toBe('is more than one key');
  });

  test('something else', () => {
    expect(refusal(parsePrivateKey(' \n'))).toBe('is empty');
    expect(refusal(parsePrivateKey('Hunter2'))).toMatch(/^is not an OpenSSH private key \(it begins with/);
    expect(refusal(parsePrivateKey(key('ed25519').public))).toMatch(/^is a public key/);
    expect(refusal(parsePrivateKey(`${key('ed25519').secret}more`))).toBe('is followed by something else');
    expect(refusal(parsePrivateKey('-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA'))).toMatch(/is missing$/);
    expect(refusal(parsePrivateKey(envelope(Buffer.from('x')).replace('eA==', '!')))).toMatch(/not base64$/);
  });

  test('halves of different keys', () => {
    // the same lengths: the public half in front stands for the one of another key
    const [one, other] = [key('rsa').secret, makeKey('other-rsa', ...kinds.rsa, '-C', '').secret].map(
      bytesOf,
    );
    const start = 15 + 8 + 8 + 4 + 4;
    const mixed = Buffer.from(one ?? '');
    other?.copy(mixed, start, start, start + 4 + publicKey(key('rsa').public).wire.length);
    expect(refusal(parsePrivateKey(envelope(mixed)))).toBe('is damaged: its halves do not belong together');
  });

  test.each(['Hunter2 is my secret', 'ssh-Hunter2 AAAA', '-----BEGIN Hunter2', 'AAAAHunter2'])(
    'without telling what was there: %s',
    (text) => {
      expect(refusal(parsePrivateKey(text))).not.toContain('Hunter2');
      expect(refusal(parsePublicKey(text))).not.toContain('Hunter2');
    },
  );
});

describe('public keys', () => {
  test('blank lines and blanks around are no trouble', () => {
    const line = key('ed25519').public.trim();
    expect(formatPublicKey(publicKey(`\r\n \t${line.replaceAll(' ', '  ')} \r\n\n`))).toBe(line);
  });

  test('a comment is one line, without control characters', () => {
    const [type, blob] = key('ed25519').public.split(' ');
    const { comment } = publicKey(`${type} ${blob} Peña\u2028ssh-rsa\u0085\u001b[31m`);
    expect(comment).toBe('Peña ssh-rsa [31m');
    expect(formatPublicKey(publicKey(`${type} ${blob}`))).toBe(`${type} ${blob}`);
  });

  test('of security keys are keys', () => {
    const blob = wire('sk-ssh-ed25519@openssh.com', new Uint8Array(32), 'ssh:');
    expect(publicKey(`sk-ssh-ed25519@openssh.com ${blob}`).type).toBe('sk-ssh-ed25519@openssh.com');
    const point = Buffer.concat([Buffer.from([4]), Buffer.alloc(64)]);
    const ecdsa = wire('sk-ecdsa-sha2-nistp256@openssh.com', 'nistp256', point, 'ssh:');
    expect(publicKey(`sk-ecdsa-sha2-nistp256@openssh.com ${ecdsa} me`).comment).toBe('me');
  });

  test.each([
    ['', /^is empty$/],
    ['\n \n', /^is empty$/],
    ['Hunter2', /^is not a public key of OpenSSH/],
    [`ssh-ed25519 ${wire('ssh-rsa', 'e', 'n')}`, /another type than it says$/],
    [`ssh-rsa ${wire('ssh-rsa', 'e', Buffer.alloc(96, 0xff))}`, /^has 768 bits, which sshd refuses/],
    [`ssh-ed25519 ${wire('ssh-ed25519', Buffer.alloc(31))}`, /wrong lengths$/],
    [`ssh-ed25519 ${wire('ssh-ed25519', Buffer.alloc(32), 'more')}`, /something follows the key$/],
    [
      `ecdsa-sha2-nistp256 ${wire('ecdsa-sha2-nistp256', 'nistp384', Buffer.alloc(65, 4))}`,
      /curve is not that of its type$/,
    ],
    ['ssh-ed25519 !', /not base64$/],
    ['ssh-ed25519', /cut off$/],
    ['ssh-dss AAAA', /^is of the type "ssh-dss" \(supported are/],
    ['ssh-ed25519-cert-v01@openssh.com AAAA', /^is a certificate/],
    ['from="10.0.0.0/8" ssh-ed25519 AAAA', /^has options in front/],
  ])('refused: %s', (text, message) => {
    expect(refusal(parsePublicKey(text))).toMatch(message);
  });

  test('refused: two, or a private one', () => {
    expect(refusal(parsePublicKey(key('ed25519').public + key('rsa').public))).toMatch(/^is more than one/);
    expect(refusal(parsePublicKey(key('ed25519').secret))).toMatch(/^is a private key/);
  });
});

describe('the file name', () => {
  test.each([
    ['ssh-ed25519', 'id_ed25519'],
    ['ssh-rsa', 'id_rsa'],
    ['ecdsa-sha2-nistp256', 'id_ecdsa'],
    ['ecdsa-sha2-nistp384', 'id_ecdsa'],
    ['ecdsa-sha2-nistp521', 'id_ecdsa'],
  ])('for %s is what ssh looks for: %s', (type, name) => {
    expect(keyFileName(type)).toBe(name);
    expect(keyFileNameError(name)).toBeUndefined();
  });

  test.each(['github', 'id_ed25519.work', '_x', 'A-1'])('%s can be chosen', (name) => {
    expect(keyFileNameError(name)).toBeUndefined();
  });

  test.each(['', '.', '..', '.hidden', 'a/b', '../x', 'a b', 'ü', 'x\n', 'x'.repeat(201)])(
    '%j is none',
    (name) => {
      expect(keyFileNameError(name)).toMatch(/^a key file is named with/);
    },
  );

  test.each(['authorized_keys', 'authorized_keys2', 'config', 'known_hosts', 'rc', 'environment'])(
    '%s is taken',
    (name) => {
      expect(keyFileNameError(name)).toBe(`ssh uses ~/.ssh/${name} for something else`);
    },
  );

  test('is that of the private half', () => {
    expect(keyFileNameError('id_rsa.pub')).toMatch(/^it names the private key/);
  });
});
