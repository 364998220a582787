import { createPrivateKey, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { formatPublicKey, type PublicKey, parsePrivateKey, type RsaNumbers } from '../domain/ssh-key-pair.ts';
import { sshWire, toBytes, toNumber } from '../domain/ssh-wire.ts';
import { type AgeIdentity, isArmored, isNativeIdentity, nativeRecipientOf } from './age.ts';
import { type SshIdentity, sshEd25519Identity, sshRsaIdentity, sshTag } from './age-ssh.ts';
import { log } from './journal-log.ts';
import { configurationFailure, dataFailure, type LimitedFile, readLimited } from './read-limited.ts';
import { belongTogether } from './user-keys.ts';

const largestIdentity = 64 * 1024;

/** What a key is known by, nothing secret. */
export interface KeyFacts {
  /** The file that it is in. */
  readonly path: string;
  /** `ssh-ed25519`, `ssh-rsa` or `X25519`. */
  readonly type: string;
  /** Of an SSH key: how recipients of a file name it. */
  readonly tag?: string;
  /** Of an age key: its public half. */
  readonly recipient?: string;
}

/** For people: type and tag, or the recipient itself. */
export function describeKey({ path, type, tag, recipient }: KeyFacts): string {
  return recipient === undefined ? `${path} is ${type} (tag ${tag})` : `${type} (${recipient})`;
}

/** Something that may open a file, and how people know it. */
export interface HostKey {
  readonly identity: AgeIdentity;
  readonly about: () => Promise<KeyFacts>;
  /** The public key that names it as a recipient: `ssh-… AAAA…` or `age1…`. */
  readonly recipient: () => Promise<string>;
}

/**
 * Reads an identity file: an SSH private key (OpenSSH's own format, or PEM: PKCS#1 for RSA, PKCS#8), or lines
 * of age keys (`AGE-SECRET-KEY-1…`, "#" comments). Warns of a key that others can read.
 *
 * @throws FailureError; by exit code: 66 missing (transient), 77 not readable, 65 damaged, 78 a key that cannot
 *   be used: encrypted, of another type; 74 I/O
 */
export function readIdentities(path: string): HostKey[] {
  const { bytes, mode } = readKey(path);
  const keys = parseIdentities(path, bytes);
  // group and read alone is how some distributions have host keys: root:ssh_keys, 0640
  if ((mode & 0o037) !== 0) {
    log(
      'warning',
      `${path}: the private key has the mode ${mode.toString(8).padStart(4, '0')}: others can read or change it (chmod 600 ${path})`,
    );
  }
  return keys;
}

function parseIdentities(path: string, bytes: Uint8Array): HostKey[] {
  const text = Buffer.from(bytes).toString('utf8');
  if (isArmored(bytes) || text.startsWith('age-encryption.org/')) {
    throw configurationFailure(
      path,
      'the key is itself encrypted with age',
      'use a key that opens without help at boot',
    );
  }
  const lines = text.split('\n').map((line) => line.trim());
  if (!lines.some((line) => line.startsWith('AGE-'))) return [readSshKey(path, text)];
  const keys: HostKey[] = [];
  for (const [index, line] of lines.entries()) {
    if (line !== '' && !line.startsWith('#')) keys.push(nativeKey(path, index + 1, line));
  }
  return keys;
}

function readKey(path: string): LimitedFile {
  try {
    return readLimited(path, largestIdentity);
  } catch (error) {
    if (!(error instanceof FailureError) || error.failure.exitCode !== exitCodes.noInput) throw error;
    const why = existsSync(dirname(path))
      ? 'the key is missing (not generated yet?)'
      : `the key is missing, and so is ${dirname(path)} (not mounted yet?)`;
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.noInput,
      message: `${path}: ${why}`,
      hint: '"ssh-keygen -A" makes missing host keys; files must then be encrypted anew for them',
    });
  }
}

function nativeKey(path: string, line: number, text: string): HostKey {
  const place = `${path}:${line}`;
  if (!text.startsWith('AGE-SECRET-KEY-1')) {
    throw configurationFailure(
      place,
      'this kind of age key is not supported',
      'lines begin with "AGE-SECRET-KEY-1" or "#"',
    );
  }
  if (!isNativeIdentity(text)) throw dataFailure(place, 'the age key is damaged');
  return {
    identity: text,
    about: async () => ({ path, type: 'X25519', recipient: await nativeRecipientOf(text) }),
    recipient: () => nativeRecipientOf(text),
  };
}

const useOther = 'use an ssh-ed25519 or ssh-rsa key';

function readSshKey(path: string, text: string): HostKey {
  const label = /^\s*-----BEGIN ((?:[A-Z0-9]+ )*)PRIVATE KEY-----/.exec(text)?.[1]?.trim();
  if (label !== undefined && label !== 'OPENSSH') return readPemKey(path, text, label);
  const result = parsePrivateKey(text);
  if (!result.ok) {
    if (result.kind === 'damaged') throw dataFailure(path, `the key ${result.message}`);
    if (result.kind === 'encrypted') throw encrypted(path);
    if (result.kind === 'unsupported')
      throw configurationFailure(path, `the key ${result.message}`, useOther);
    if (/^\s*(?:ssh|ecdsa|sk)-\S+ AAAA/.test(text)) {
      throw configurationFailure(
        path,
        'this is a public key',
        'name the private key, the file without ".pub"',
      );
    }
    throw configurationFailure(
      path,
      'this is not a private key',
      'an SSH private key begins with "-----BEGIN OPENSSH PRIVATE KEY-----", an age key with "AGE-SECRET-KEY-1"',
    );
  }
  const { publicKey, halves, rsa } = result.key;
  if (rsa) return sshKey(path, publicKey, sshRsaIdentity(rsaKey(rsa), publicKey.wire));
  if (halves?.curve !== 'ed25519') {
    throw configurationFailure(path, `${publicKey.type} keys cannot open age files`, useOther);
  }
  if (!belongTogether(halves)) {
    throw dataFailure(path, 'the key is damaged: its halves do not belong together');
  }
  return sshKey(path, publicKey, sshEd25519Identity(halves.secret, publicKey.wire));
}

/** Keys as OpenSSL writes them: `RSA` is PKCS#1 (RFC 8017, appendix A.1.2), no label PKCS#8 (RFC 5208). */
function readPemKey(path: string, text: string, label: string): HostKey {
  if (label === 'ENCRYPTED' || /^Proc-Type: 4,ENCRYPTED/m.test(text)) throw encrypted(path);
  if (label !== 'RSA' && label !== '') {
    throw configurationFailure(path, `${label} PEM keys cannot open age files`, useOther);
  }
  let key: KeyObject;
  let jwk: { n?: string; e?: string; d?: string; x?: string };
  try {
    key = createPrivateKey(text);
    jwk =
      key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'ed25519'
        ? key.export({ format: 'jwk' })
        : {};
  } catch {
    throw dataFailure(path, 'the key is damaged, or of a type that is not known here', useOther);
  }
  const bytes = (value = ''): Uint8Array => new Uint8Array(Buffer.from(value, 'base64url'));
  if (key.asymmetricKeyType === 'ed25519') {
    const wire = sshWire('ssh-ed25519', bytes(jwk.x));
    const publicKey = { type: 'ssh-ed25519', wire, comment: '' };
    return sshKey(path, publicKey, sshEd25519Identity(bytes(jwk.d), wire));
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw configurationFailure(path, 'keys of this type cannot open age files', useOther);
  }
  const wire = sshWire('ssh-rsa', toNumber(bytes(jwk.e)), toNumber(bytes(jwk.n)));
  return sshKey(path, { type: 'ssh-rsa', wire, comment: '' }, sshRsaIdentity(key, wire));
}

function encrypted(path: string): FailureError {
  return configurationFailure(
    path,
    'the key is encrypted with a passphrase, which nobody can give at boot',
    'use a key without one, such as the host key',
  );
}

function sshKey(path: string, publicKey: PublicKey, identity: SshIdentity): HostKey {
  return {
    identity,
    about: async () => ({ path, type: publicKey.type, tag: sshTag(publicKey.wire) }),
    recipient: async () => formatPublicKey(publicKey),
  };
}

function rsaKey({ n, e, d, p, q, qi }: RsaNumbers): KeyObject {
  const text = (number: bigint): string => Buffer.from(toBytes(number)).toString('base64url');
  const own = { n: text(n), e: text(e), d: text(d), p: text(p), q: text(q), qi: text(qi) };
  const key = { kty: 'RSA', ...own, dp: text(d % (p - 1n)), dq: text(d % (q - 1n)) };
  return createPrivateKey({ key, format: 'jwk' });
}
