import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import * as vectors from 'cctv-age';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAgeHeader } from '../../src/domain/age-header.ts';
import { decodeArmor, decryptAge, encodeArmor, isArmored } from '../../src/effects/age.ts';
import { type Recipient, readRecipientOption } from '../../src/effects/age-recipients.ts';
import { sealAge } from '../../src/effects/age-seal.ts';
import { readIdentities } from '../../src/effects/identity-file.ts';

interface Vector {
  readonly expect: string;
  readonly payload?: string;
  readonly identities: readonly string[];
  readonly passphrases: readonly string[];
  readonly file: Buffer;
}

/** The format is described in the package's README.md, "Test file format". */
function parseVector(bytes: Uint8Array): Vector {
  const text = Buffer.from(bytes);
  const end = text.indexOf('\n\n');
  const lines = text.subarray(0, end).toString('utf8').split('\n');
  const all = (key: string) =>
    lines.filter((line) => line.startsWith(`${key}: `)).map((line) => line.slice(key.length + 2));
  const body = text.subarray(end + 2);
  const [payload] = all('payload');
  return {
    expect: all('expect')[0] ?? '',
    ...(payload === undefined ? {} : { payload }),
    identities: all('identity'),
    passphrases: all('passphrase'),
    file: all('compressed')[0] === 'zlib' ? inflateSync(body) : body,
  };
}

/** Opens a file as `openAgeFile` does, from its bytes; gives the part that is wrong, or the plaintext. */
async function open(bytes: Uint8Array, identities: readonly string[]): Promise<string | Uint8Array> {
  let file = bytes;
  if (isArmored(bytes)) {
    try {
      file = decodeArmor(bytes);
    } catch {
      return 'armor';
    }
  }
  if (!parseAgeHeader(file).ok) return 'header';
  const result = await decryptAge(file, identities);
  return result.ok ? result.plaintext : result.reason;
}

/**
 * What the vectors expect, in our words. A header whose MAC is wrong is as altered as one that cannot be
 * parsed; a file that does not begin as armor should is no age file at all, which is said of its header.
 */
const inOurWords: Readonly<Record<string, readonly string[]>> = {
  'no match': ['no-match'],
  'HMAC failure': ['header'],
  'header failure': ['header'],
  'payload failure': ['payload'],
  'armor failure': ['armor', 'header'],
};

/** The nonce that begins the payload is cut off: of that part we say so, the vectors say "header". */
const withoutNonce = ['stream_no_nonce', 'stream_short_nonce'];

describe('the public test vectors (C2SP CCTV)', () => {
  const parsed = Object.entries(vectors as Readonly<Record<string, Uint8Array>>).map(
    ([name, bytes]) => [name, parseVector(bytes)] as const,
  );
  /** Passphrases and the hybrid post-quantum type are for people; nobody is there at boot. */
  const isForUs = ({ identities, passphrases }: Vector): boolean =>
    passphrases.length === 0 && identities.every((identity) => identity.startsWith('AGE-SECRET-KEY-1'));

  test('are there', () => {
    expect(parsed.length).toBeGreaterThan(100);
    expect(parsed.filter(([, vector]) => isForUs(vector)).length).toBeGreaterThan(70);
  });

  test.each(parsed.filter(([, vector]) => isForUs(vector)))('%s', async (name, vector) => {
    const outcome = await open(vector.file, vector.identities);
    if (vector.expect === 'success') {
      if (typeof outcome === 'string') throw new Error(outcome);
      expect(createHash('sha256').update(outcome).digest('hex')).toBe(vector.payload);
    } else {
      expect(withoutNonce.includes(name) ? ['payload'] : inOurWords[vector.expect]).toContain(outcome);
    }
  });

  test.each(parsed.filter(([, vector]) => !isForUs(vector)))(
    'of what is not supported nothing opens: %s',
    async (_, { file, identities }) => {
      const ours = identities.filter((identity) => identity.startsWith('AGE-SECRET-KEY-1'));
      expect(typeof (await open(file, ours))).toBe('string');
    },
  );
});

describe('what is sealed here', () => {
  let directory: string;
  /** Paths of private keys, and what names their public halves to `--recipient`. */
  const keys: Record<string, { readonly path: string; readonly recipient: string }> = {};

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'age-seal-'));
    for (const [name, ...options] of [
      ['ed25519', '-t', 'ed25519'],
      ['rsa2048', '-t', 'rsa', '-b', '2048'],
      ['rsa4096', '-t', 'rsa', '-b', '4096'],
    ] as const) {
      const path = join(directory, name);
      execFileSync('ssh-keygen', ['-q', '-N', '', '-C', 'root@test', '-f', path, ...options]);
      keys[name] = { path, recipient: `${path}.pub` };
    }
    const path = join(directory, 'x25519');
    execFileSync('age-keygen', ['-o', path], { stdio: 'ignore' });
    keys['x25519'] = {
      path,
      recipient: execFileSync('age-keygen', ['-y', path], { encoding: 'utf8' }).trim(),
    };
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const recipient = (name: string): Recipient[] => readRecipientOption(keys[name]?.recipient ?? '');
  const pathOf = (name: string): string => keys[name]?.path ?? '';
  const identities = (name: string) => readIdentities(pathOf(name)).map(({ identity }) => identity);

  /** Has the real age open something. */
  function ageOpens(file: Uint8Array, key: string): Buffer {
    const path = join(directory, 'sealed.age');
    writeFileSync(path, file);
    return execFileSync('age', ['-d', '-i', key, path], { maxBuffer: 64 * 1024 * 1024 });
  }

  const chunk = 64 * 1024;
  const sizes = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 10 * 1024 * 1024];

  test.each(['ed25519', 'rsa2048', 'rsa4096', 'x25519'])('age opens it, for %s', async (name) => {
    for (const size of sizes) {
      const plaintext = randomBytes(size);
      for (const armored of size > 3 * chunk ? [false] : [false, true]) {
        const sealed = await sealAge(plaintext, recipient(name), { armored });
        expect(isArmored(sealed)).toBe(armored);
        expect(ageOpens(sealed, pathOf(name)).equals(plaintext)).toBe(true);
      }
    }
  });

  test.each(['ed25519', 'rsa2048', 'rsa4096', 'x25519'])('what age seals opens, for %s', async (name) => {
    const option = name === 'x25519' ? '-r' : '-R';
    for (const size of sizes) {
      const plaintext = randomBytes(size);
      const file = execFileSync('age', [option, keys[name]?.recipient ?? ''], {
        input: plaintext,
        maxBuffer: 64 * 1024 * 1024,
      });
      const result = await decryptAge(file, identities(name));
      expect(result.ok && plaintext.equals(result.plaintext)).toBe(true);
    }
  });

  test('for many recipients, each of whom opens it', async () => {
    const many = Array.from({ length: 30 }, (_, index) => {
      const path = join(directory, `many-${index}`);
      execFileSync('ssh-keygen', ['-q', '-N', '', '-t', 'ed25519', '-f', path]);
      return path;
    });
    const all = [
      ...many.flatMap((path) => readRecipientOption(`${path}.pub`)),
      ...Object.keys(keys).flatMap(recipient),
    ];
    const sealed = await sealAge(Buffer.from('text'), all, { armored: false });
    for (const path of [...many, ...Object.values(keys).map(({ path: one }) => one)]) {
      expect(ageOpens(sealed, path).toString()).toBe('text');
      const result = await decryptAge(
        sealed,
        readIdentities(path).map(({ identity }) => identity),
      );
      expect(result.ok && Buffer.from(result.plaintext).toString()).toBe('text');
    }
  });

  test('armor is as age writes it', async () => {
    const sealed = await sealAge(randomBytes(1000), recipient('ed25519'), { armored: true });
    const text = Buffer.from(sealed).toString('latin1');
    expect(text).toMatch(
      /^-----BEGIN AGE ENCRYPTED FILE-----\n(?:[A-Za-z0-9+/]{64}\n)+[A-Za-z0-9+/=]{1,64}\n-----END AGE ENCRYPTED FILE-----\n$/,
    );
    expect(encodeArmor(decodeArmor(sealed))).toEqual(sealed);
  });

  test('no file that was altered or cut off in any way opens, with any key', async () => {
    const names = ['ed25519', 'rsa2048', 'x25519'];
    const plaintext = Buffer.from('service account token');
    const sealed = await sealAge(plaintext, names.flatMap(recipient), { armored: false });
    const opened = await decryptAge(sealed, identities('rsa2048'));
    expect(opened.ok).toBe(true);
    const length = sealed.length;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.oneof(
          fc.record({ kind: fc.constant('flip' as const), at: fc.nat(length - 1), bit: fc.nat(7) }),
          fc.record({ kind: fc.constant('cut' as const), at: fc.nat(length - 1) }),
          fc.record({ kind: fc.constant('drop' as const), at: fc.nat(length - 1) }),
          fc.record({ kind: fc.constant('insert' as const), at: fc.nat(length), byte: fc.nat(255) }),
        ),
        async (name, change) => {
          const bytes = [...sealed];
          if (change.kind === 'flip') bytes[change.at] = (bytes[change.at] ?? 0) ^ (1 << change.bit);
          if (change.kind === 'cut') bytes.length = change.at;
          if (change.kind === 'drop') bytes.splice(change.at, 1);
          if (change.kind === 'insert') bytes.splice(change.at, 0, change.byte);
          const altered = Uint8Array.from(bytes);
          if (Buffer.from(altered).equals(sealed)) return;
          expect((await decryptAge(altered, identities(name))).ok).toBe(false);
        },
      ),
      { numRuns: 600 },
    );
  });

  test('every byte of the header counts', async () => {
    const sealed = await sealAge(Buffer.from('x'), recipient('ed25519'), { armored: false });
    for (let at = 0; at < sealed.length; at++) {
      const altered = Uint8Array.from(sealed);
      altered[at] = (altered[at] ?? 0) ^ 1;
      expect((await decryptAge(altered, identities('ed25519'))).ok).toBe(false);
    }
  });

  test('keys that cannot be recipients', () => {
    const small = join(directory, 'small');
    execFileSync('ssh-keygen', ['-q', '-N', '', '-t', 'rsa', '-b', '1024', '-f', small]);
    expect(() => readRecipientOption(`${small}.pub`)).toThrow('this ssh-rsa key cannot be a recipient');
    const wire = (point: string): string =>
      Buffer.concat([
        Buffer.from('0000000b7373682d6564323535313900000020', 'hex'),
        Buffer.from(point, 'hex'),
      ]).toString('base64');
    // the neutral point, one of order 8, and what is on no curve
    for (const point of [
      `01${'00'.repeat(31)}`,
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      `02${'00'.repeat(31)}`,
    ]) {
      expect(() => readRecipientOption(`ssh-ed25519 ${wire(point)}`)).toThrow('cannot be a recipient');
    }
    expect(readFileSync(`${small}.pub`, 'utf8')).toMatch(/^ssh-rsa /);
  });
});
