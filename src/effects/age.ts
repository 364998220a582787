import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { armor, Decrypter, type Identity, identityToRecipient, type Stanza } from 'age-encryption';
import { type AgeStanza, describeRecipients, parseAgeHeader } from '../domain/age-header.ts';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { type Failure, FailureError } from '../domain/failure.ts';
import { type OpensshEd25519Key, parseOpensshKey } from '../domain/openssh-key.ts';
import { sourcePath } from './source-file.ts';

/** Half a second per MiB without JIT, in units that take ten: much more than tokens and vaults need. */
const largestFile = 4 * 1024 * 1024;
const largestIdentity = 64 * 1024;

const restoreHint = 'restore it, from git for instance';
const armorBegin = '-----BEGIN AGE ENCRYPTED FILE-----';

/** Something that may open a file, and how people know it. */
interface HostKey {
  readonly identity: Identity | string;
  /** Public: type and tag, or the recipient itself. */
  readonly describe: () => Promise<string>;
  /** How to name this key as a recipient to `age`. */
  readonly recipientOption: () => Promise<string>;
}

/**
 * Opens an age file (age-encryption.org/v1, binary or armored) with keys of this host.
 *
 * @param path the file, at most 4 MiB
 * @param identities files in the order in which they are tried: unencrypted OpenSSH keys of type
 *   ssh-ed25519, or age identity files (`AGE-SECRET-KEY-1…`, "#" comments); one that is missing or unusable
 *   is passed over if another opens the file
 * @returns the plaintext
 * @throws FailureError; by exit code:
 *   - 66: the file is missing (permanent), or the keys are (transient: they may not be mounted yet)
 *   - 77: the file or the keys are not readable; or this host is not a recipient of the file
 *   - 65: the file or a key is damaged, or is something else
 *   - 78: a key that cannot be used: encrypted, of another type
 *   - 74: an I/O error (transient)
 */
export async function openAgeFile(options: {
  readonly path: string;
  readonly identities: readonly string[];
}): Promise<Uint8Array> {
  const { path, identities } = options;
  const file = dearmor(path, readLimited(path, largestFile));
  const header = parseAgeHeader(file);
  if (!header.ok) throw dataFailure(path, header.message, header.hint);

  const failures: Failure[] = [];
  const keys: HostKey[] = [];
  for (const identity of identities) {
    try {
      keys.push(...readIdentities(identity));
    } catch (error) {
      if (!(error instanceof FailureError)) throw error;
      failures.push(error.failure);
    }
  }
  if (keys.length === 0) throw withoutKeys(path, failures);

  const decrypter = new Decrypter();
  for (const { identity } of keys) decrypter.addIdentity(identity);
  // identities are asked in order, the last one only if no other matched
  let unmatched = false;
  decrypter.addIdentity({
    unwrapFileKey: () => {
      unmatched = true;
      return null;
    },
  });
  try {
    return await decrypter.decrypt(file);
  } catch {
    // the library's own messages are not passed on: some of them quote what they were given
    if (unmatched) throw await notRecipient(path, header.stanzas, keys, failures);
    throw dataFailure(path, 'the file is damaged: it was altered or cut off', restoreHint);
  }
}

function dearmor(path: string, bytes: Uint8Array): Uint8Array {
  if (!startOf(bytes).startsWith(armorBegin)) return bytes;
  try {
    return armor.decode(Buffer.from(bytes).toString('latin1'));
  } catch {
    throw dataFailure(path, 'the file is damaged: its armor was altered or cut off', restoreHint);
  }
}

function startOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 1024)).toString('latin1').trimStart();
}

/** Reads an identity file: an OpenSSH key, or lines of age keys. */
function readIdentities(path: string): HostKey[] {
  const bytes = readKey(path);
  if (startOf(bytes).startsWith(armorBegin) || startOf(bytes).startsWith('age-encryption.org/')) {
    throw configurationFailure(
      path,
      'the key is itself encrypted with age',
      'use a key that opens without help at boot',
    );
  }
  const text = Buffer.from(bytes).toString('utf8');
  const lines = text.split('\n').map((line) => line.trim());
  if (!lines.some((line) => line.startsWith('AGE-'))) return [readOpensshKey(path, text)];
  const keys: HostKey[] = [];
  for (const [index, line] of lines.entries()) {
    if (line !== '' && !line.startsWith('#')) keys.push(nativeKey(`${path}:${index + 1}`, line));
  }
  return keys;
}

function readKey(path: string): Uint8Array {
  try {
    return readLimited(path, largestIdentity);
  } catch (error) {
    if (!(error instanceof FailureError) || error.failure.exitCode !== exitCodes.noInput) throw error;
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.noInput,
      message: `${path}: the key is missing (not mounted yet?)`,
      hint: '"ssh-keygen -A" makes missing host keys; files must then be encrypted anew for them',
    });
  }
}

function nativeKey(place: string, text: string): HostKey {
  if (!text.startsWith('AGE-SECRET-KEY-1')) {
    throw configurationFailure(
      place,
      'this kind of age key is not supported',
      'lines begin with "AGE-SECRET-KEY-1" or "#"',
    );
  }
  try {
    new Decrypter().addIdentity(text);
  } catch {
    throw dataFailure(place, 'the age key is damaged');
  }
  return {
    identity: text,
    describe: async () => `X25519 (${await identityToRecipient(text)})`,
    recipientOption: async () => `-r ${await identityToRecipient(text)}`,
  };
}

function readOpensshKey(path: string, text: string): HostKey {
  const result = parseOpensshKey(text);
  if (!result.ok) {
    const fail = result.kind === 'damaged' ? dataFailure : configurationFailure;
    throw fail(path, result.message, result.hint);
  }
  const { key } = result;
  const derived = rawPublicKey(privateKey('ed25519', key.seed));
  if (!derived.equals(key.publicKey))
    throw dataFailure(path, 'the key is damaged: its halves do not belong together');
  return {
    identity: sshEd25519Identity(key),
    describe: async () => `${path} is ssh-ed25519 (tag ${sshTag(key.wire)})`,
    recipientOption: async () => `-R ${path}.pub`,
  };
}

const sshLabel = 'age-encryption.org/v1/ssh-ed25519';

/**
 * The recipient type ssh-ed25519 as age's package agessh defines it: X25519 with the key's Montgomery form,
 * its result multiplied by a tweak that binds it to the SSH key. node:crypto does the arithmetic, which is
 * slow in JavaScript without JIT.
 */
function sshEd25519Identity(key: OpensshEd25519Key): Identity {
  const scalar = createHash('sha512').update(key.seed).digest().subarray(0, 32);
  const own = privateKey('x25519', scalar);
  const tweak = privateKey('x25519', hkdf(new Uint8Array(), key.wire));
  const tag = sshTag(key.wire);
  const unwrap = ({ args, body }: Stanza): Uint8Array => {
    if (args.length !== 3 || body.length !== 32) throw new Error('not the shape of an ssh-ed25519 stanza');
    const share = Buffer.from(args[2] ?? '', 'base64');
    const shared = x25519(tweak, x25519(own, share));
    const wrappingKey = hkdf(shared, Buffer.concat([share, rawPublicKey(own)]));
    // Bun's node:crypto lacks this cipher
    return chacha20poly1305(wrappingKey, new Uint8Array(12)).decrypt(body);
  };
  return {
    unwrapFileKey(stanzas) {
      let failure: unknown;
      for (const stanza of stanzas) {
        if (stanza.args[0] !== 'ssh-ed25519' || stanza.args[1] !== tag) continue;
        try {
          return unwrap(stanza);
        } catch (error) {
          failure = error;
        }
      }
      // a stanza with our tag that does not open: damaged, not "for somebody else"
      if (failure !== undefined) throw failure;
      return null;
    },
  };
}

/** What tells SSH recipients apart in a header: 4 bytes of the fingerprint. */
function sshTag(wire: Uint8Array): string {
  return createHash('sha256').update(wire).digest().subarray(0, 4).toString('base64').replaceAll('=', '');
}

function hkdf(secret: Uint8Array, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, sshLabel, 32));
}

function x25519(own: KeyObject, other: Uint8Array): Buffer {
  const der = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), other]);
  return diffieHellman({
    privateKey: own,
    publicKey: createPublicKey({ key: der, format: 'der', type: 'spki' }),
  });
}

/** Keys by their bytes: node:crypto takes them in the DER of RFC 8410 only. */
function privateKey(type: 'x25519' | 'ed25519', bytes: Uint8Array): KeyObject {
  const oid = type === 'x25519' ? '6e' : '70';
  const der = Buffer.concat([Buffer.from(`302e020100300506032b65${oid}04220420`, 'hex'), bytes]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

function rawPublicKey(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
}

/** No key could be used at all: the first one's trouble decides, the others are mentioned. */
function withoutKeys(path: string, [first, ...others]: readonly Failure[]): FailureError {
  if (!first) return configurationFailure(path, 'no key was named to open it with');
  const message = [first, ...others].map((failure) => failure.message).join('; ');
  return new FailureError({ ...first, message: `${path} cannot be opened: ${message}` });
}

async function notRecipient(
  path: string,
  stanzas: readonly AgeStanza[],
  keys: readonly HostKey[],
  failures: readonly Failure[],
): Promise<FailureError> {
  const own = await Promise.all(keys.map((key) => key.describe()));
  const options = await Promise.all(keys.slice(0, 1).map((key) => key.recipientOption()));
  const notes = failures.map((failure) => `; ${failure.message}`).join('');
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.noPermission,
    message: `${path}: this host is not a recipient: the file is for ${describeRecipients(stanzas)}; here ${own.join(', ')}${notes}`,
    hint: `encrypt it anew, for this host too: age ${options.join(' ')} -R OTHER.pub -o ${path} PLAINTEXT`,
  });
}

/**
 * Reads a regular file of limited size.
 *
 * @throws FailureError
 */
function readLimited(path: string, limit: number): Uint8Array {
  let descriptor: number | undefined;
  try {
    // O_NONBLOCK: the open of a FIFO would wait for a writer
    descriptor = openSync(sourcePath(path), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const status = fstatSync(descriptor);
    if (!status.isFile()) {
      throw dataFailure(
        path,
        status.isDirectory() ? 'this is a directory, not a file' : 'this is not a regular file',
      );
    }
    const buffer = Buffer.alloc(limit + 1);
    let length = 0;
    while (length < buffer.length) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (count === 0) break;
      length += count;
    }
    if (length > limit) throw dataFailure(path, `the file is larger than ${limit / 1024} KiB`);
    return buffer.subarray(0, length);
  } catch (error) {
    if (error instanceof FailureError) throw error;
    throw readFailure(path, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function readFailure(path: string, error: unknown): FailureError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const message = isLink(path) ? 'is a symbolic link to something that does not exist' : 'does not exist';
    return new FailureError({
      class: 'permanent',
      exitCode: exitCodes.noInput,
      message: `${path}: ${message}`,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new FailureError({
      class: 'permanent',
      exitCode: exitCodes.noPermission,
      message: `${path}: cannot be read: permission denied`,
      hint: 'run as root, or change its owner or mode',
    });
  }
  if (code === 'ELOOP') return dataFailure(path, 'is a loop of symbolic links');
  return new FailureError({
    class: 'transient',
    exitCode: exitCodes.ioError,
    message: `${path}: cannot be read (${code})`,
  });
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

function dataFailure(place: string, message: string, hint?: string): FailureError {
  return permanent(exitCodes.dataError, place, message, hint);
}

function configurationFailure(place: string, message: string, hint?: string): FailureError {
  return permanent(exitCodes.configuration, place, message, hint);
}

function permanent(exitCode: ExitCode, place: string, message: string, hint?: string): FailureError {
  const text = `${place}: ${message}`;
  return new FailureError({
    class: 'permanent',
    exitCode,
    message: text,
    ...(hint === undefined ? {} : { hint }),
  });
}
