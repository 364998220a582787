/** An Ed25519 key pair out of an OpenSSH private key file. */
export interface OpensshEd25519Key {
  readonly type: 'ssh-ed25519';
  /** The private half (RFC 8032), 32 bytes. */
  readonly seed: Uint8Array;
  /** The public half, 32 bytes; that it belongs to the seed is for the caller to check. */
  readonly publicKey: Uint8Array;
  /** The public key as SSH sends it (RFC 8709, section 4): what fingerprints are made of. */
  readonly wire: Uint8Array;
  readonly comment: string;
}

/**
 * - `encrypted`: a well-formed OpenSSH key that needs a passphrase
 * - `other-type`: a well-formed OpenSSH key of another type
 * - `other-format`: not in OpenSSH's own format (PEM, PuTTY, a public key…)
 * - `damaged`: begins like an OpenSSH key, but is none
 */
export type OpensshKeyResult =
  | { readonly ok: true; readonly key: OpensshEd25519Key }
  | {
      readonly ok: false;
      readonly kind: 'encrypted' | 'other-type' | 'other-format' | 'damaged';
      /** What is wrong, to follow the file's name and a colon; nothing of the key is in it. */
      readonly message: string;
      readonly hint?: string;
    };

type Refusal = OpensshKeyResult & { readonly ok: false };

const begin = '-----BEGIN OPENSSH PRIVATE KEY-----';
const end = '-----END OPENSSH PRIVATE KEY-----';
const magic = 'openssh-key-v1\0';
const rsaMessage = 'ssh-rsa host keys are not supported by this version yet';
const useEd25519 = 'use an ssh-ed25519 key; "ssh-keygen -A" makes missing host keys';

/**
 * Parses an OpenSSH private key file (openssh-portable, PROTOCOL.key) with one unencrypted ssh-ed25519 key.
 * Checked are the structure, the check numbers, the padding, and that all copies of the public key agree.
 */
export function parseOpensshKey(text: string): OpensshKeyResult {
  const trimmed = text.trimStart();
  if (!trimmed.startsWith(begin)) return otherFormat(trimmed);
  const stop = trimmed.indexOf(end);
  if (stop < 0) return damaged(`the line "${end}" is missing`);
  const bytes = decodeBase64(trimmed.slice(begin.length, stop));
  if (!bytes) return damaged('it is not base64');
  try {
    return parseEnvelope(new Reader(bytes));
  } catch (error) {
    if (error instanceof CutOff) return damaged('it is cut off');
    throw error;
  }
}

function parseEnvelope(reader: Reader): OpensshKeyResult {
  if (decodeText(reader.take(magic.length)) !== magic)
    return damaged(`"${magic.slice(0, -1)}" is not where it should be`);
  const cipher = decodeText(reader.string());
  reader.string(); // the name of the key derivation
  reader.string(); // its options
  if (reader.uint32() !== 1) return damaged('it must hold exactly one key');
  const wire = reader.string();
  const hidden = reader.string();
  if (!reader.atEnd) return damaged('something follows the key');

  const outer = new Reader(wire);
  const type = decodeText(outer.string());
  if (!/^[a-z0-9@.-]{1,64}$/.test(type)) return damaged('its type is unreadable');
  if (type === 'ssh-rsa') return { ok: false, kind: 'other-type', message: rsaMessage, hint: useEd25519 };
  if (type !== 'ssh-ed25519') {
    const message = `${JSON.stringify(type)} keys are not supported`;
    return { ok: false, kind: 'other-type', message, hint: useEd25519 };
  }
  if (cipher !== 'none') {
    return {
      ok: false,
      kind: 'encrypted',
      message: 'the key is encrypted with a passphrase, which nobody can give at boot',
      hint: 'use a key without one, such as the host key',
    };
  }
  return parsePrivatePart(new Reader(hidden), outer.string(), wire);
}

function parsePrivatePart(reader: Reader, publicKey: Uint8Array, wire: Uint8Array): OpensshKeyResult {
  const checkNumber = reader.uint32();
  if (reader.uint32() !== checkNumber) return damaged('its check numbers differ');
  if (decodeText(reader.string()) !== 'ssh-ed25519') return damaged('its halves are of different types');
  const copy = reader.string();
  const secret = reader.string();
  const comment = decodeText(reader.string());
  const padded = reader.rest().every((byte, index) => byte === index + 1);
  if (publicKey.length !== 32 || secret.length !== 64 || !padded)
    return damaged('its parts have wrong lengths');
  if (!equal(copy, publicKey) || !equal(secret.subarray(32), publicKey)) {
    return damaged('its copies of the public key differ');
  }
  return { ok: true, key: { type: 'ssh-ed25519', seed: secret.subarray(0, 32), publicKey, wire, comment } };
}

function otherFormat(text: string): Refusal {
  const label = /^-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----/.exec(text)?.[1]?.trim();
  const refuse = (message: string, hint: string): Refusal => ({
    ok: false,
    kind: 'other-format',
    message,
    hint,
  });
  if (label === 'RSA') return refuse(rsaMessage, useEd25519);
  if (label !== undefined)
    return refuse(`${label === '' ? 'PKCS#8' : label} PEM keys are not supported`, useEd25519);
  if (/^(ssh-|ecdsa-|sk-)\S+ AAAA/.test(text)) {
    return refuse('this is a public key', 'name the private key, the file without ".pub"');
  }
  return refuse('this is not an OpenSSH private key', `it begins with "${begin}"`);
}

function damaged(what: string): Refusal {
  return { ok: false, kind: 'damaged', message: `the key is damaged: ${what}` };
}

function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function decodeBase64(text: string): Uint8Array | undefined {
  const dense = text.replace(/\s/g, '');
  try {
    return Uint8Array.from(atob(dense), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

class CutOff extends Error {}

/** Reads the data types of RFC 4251, section 5. */
class Reader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#offset) throw new CutOff();
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#offset);
  }

  uint32(): number {
    return this.take(4).reduce((sum, byte) => sum * 256 + byte, 0);
  }

  string(): Uint8Array {
    return this.take(this.uint32());
  }
}
