import { CutOff, decodeBase64, decodeText, encodeBase64, SshReader, sameBytes } from './ssh-wire.ts';

/** A public key as OpenSSH writes it: `TYPE BASE64 COMMENT` (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"). */
export interface PublicKey {
  readonly type: string;
  /** The key as SSH sends it (RFC 4253, section 6.6): what fingerprints are made of. */
  readonly wire: Uint8Array;
  /** One line without control characters; may be empty. */
  readonly comment: string;
}

export type Curve = 'ed25519' | 'prime256v1' | 'secp384r1' | 'secp521r1';

/** The two halves of a key on a curve; that they belong together takes cryptography to tell. */
export interface CurveHalves {
  readonly curve: Curve;
  /** Ed25519: the seed; else the scalar, as long as the field. */
  readonly secret: Uint8Array;
  /** Ed25519: 32 bytes; else the uncompressed point. */
  readonly public: Uint8Array;
}

/** The numbers of an RSA key (RFC 8017, section 3.2). */
export interface RsaNumbers {
  readonly n: bigint;
  readonly e: bigint;
  readonly d: bigint;
  readonly p: bigint;
  readonly q: bigint;
  /** The inverse of q modulo p. */
  readonly qi: bigint;
}

export interface PrivateKey {
  /** The file that ssh reads: OpenSSH's own format, LF, 70 columns, whatever the layout was. */
  readonly text: string;
  /** The public half that is written in it. */
  readonly publicKey: PublicKey;
  /** What is still to be checked, of a key on a curve. */
  readonly halves?: CurveHalves;
  /** Of an RSA key; its arithmetic has been checked. */
  readonly rsa?: RsaNumbers;
}

/** In messages nothing of a key is told, and of a type only what looks like one. */
export type Parsed<T> =
  | { readonly ok: true; readonly key: T }
  | {
      readonly ok: false;
      /**
       * - `encrypted`: a key that needs a passphrase
       * - `unsupported`: a well-formed key of another type, or too weak
       * - `damaged`: begins like a key, but is none
       * - `other`: something else
       */
      readonly kind: 'encrypted' | 'unsupported' | 'damaged' | 'other';
      /** To follow "the private key" or "the public key": `is …`, `has …`. */
      readonly message: string;
      readonly hint?: string;
    };

interface KeyType {
  /** What ssh looks for by itself (ssh(1), `-i`); absent where the private half is not a file of ours. */
  readonly file?: string;
  readonly curve?: Curve;
  /** The curve's name in the key (RFC 5656, section 10.1). */
  readonly curveName?: string;
  /** How long a coordinate is. */
  readonly size?: number;
}

const nistp256 = { curve: 'prime256v1', curveName: 'nistp256', size: 32 } as const;
const ed25519 = { curve: 'ed25519', size: 32 } as const;
const types: ReadonlyMap<string, KeyType> = new Map<string, KeyType>([
  ['ssh-ed25519', { ...ed25519, file: 'id_ed25519' }],
  ['ssh-rsa', { file: 'id_rsa' }],
  ['ecdsa-sha2-nistp256', { ...nistp256, file: 'id_ecdsa' }],
  ['ecdsa-sha2-nistp384', { curve: 'secp384r1', curveName: 'nistp384', size: 48, file: 'id_ecdsa' }],
  ['ecdsa-sha2-nistp521', { curve: 'secp521r1', curveName: 'nistp521', size: 66, file: 'id_ecdsa' }],
  // openssh-portable, PROTOCOL.u2f: the private half stays in a security key
  ['sk-ssh-ed25519@openssh.com', ed25519],
  ['sk-ecdsa-sha2-nistp256@openssh.com', nistp256],
]);

const begin = '-----BEGIN OPENSSH PRIVATE KEY-----';
const end = '-----END OPENSSH PRIVATE KEY-----';
const magic = 'openssh-key-v1\0';
/** What sshd takes at least (sshd_config(5), "RequiredRSASize"). */
const smallestRsa = 1024;

const askForOpenssh = 'for a key in 1Password, end its reference with "?ssh-format=openssh"';
const supported = 'supported are ssh-ed25519, ssh-rsa and ecdsa-sha2-nistp256, 384 and 521';

/** The file name that ssh expects for a key of this type. */
export function keyFileName(type: string): string {
  return types.get(type)?.file ?? 'id_unknown';
}

/** A public key's line, without its newline. */
export function formatPublicKey({ type, wire, comment }: PublicKey): string {
  return `${type} ${encodeBase64(wire)}${comment === '' ? '' : ` ${comment}`}`;
}

/** Whether two public keys are the same, comments aside. */
export function samePublicKey(a: PublicKey, b: PublicKey): boolean {
  return sameBytes(a.wire, b.wire);
}

/** Parses a text that holds one public key, without options, and nothing else. */
export function parsePublicKey(text: string): Parsed<PublicKey> {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const [line] = lines;
  if (line === undefined) return refused('is empty');
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text)) {
    return refused('is a private key', 'were the references of the two exchanged?');
  }
  if (lines.length > 1) return refused('is more than one line', 'give one key, as "TYPE BASE64 COMMENT"');
  const [type = '', blob = '', ...comment] = line.trim().split(/[ \t]+/);
  const known = types.get(type);
  if (!known) return unknownPublicKey(type, [blob, ...comment]);
  const wire = decodeBase64(blob);
  if (!wire) return damaged('it is not base64');
  return readAll(wire, (reader) => {
    if (decodeText(reader.string()) !== type) return damaged('it holds a key of another type than it says');
    const problem = readPublicPart(reader, known);
    if (problem) return problem;
    return { ok: true, key: { type, wire, comment: cleanComment(comment.join(' ')) } };
  });
}

function unknownPublicKey(type: string, others: readonly string[]): Refusal {
  if (type.endsWith('-cert-v01@openssh.com'))
    return unsupported('is a certificate', 'give the plain key it is for');
  // only what looks like a type is quoted: anything may have been stored in the wrong place
  if (/^(?:ssh|ecdsa|sk)-[a-z0-9@.-]{1,60}$/.test(type))
    return unsupported(`is of the type "${type}"`, supported);
  if (others.some((word) => types.has(word))) {
    return refused('has options in front', 'give the key alone, as "TYPE BASE64 COMMENT"');
  }
  return refused('is not a public key of OpenSSH', 'it looks like "ssh-ed25519 AAAA… comment"');
}

/**
 * Parses an OpenSSH private key file (openssh-portable, PROTOCOL.key) with one unencrypted key.
 * Checked are the structure, the check numbers, the padding, that all copies of the public half agree, and
 * for RSA the numbers. For keys on a curve the caller checks the `halves`.
 */
export function parsePrivateKey(text: string): Parsed<PrivateKey> {
  const trimmed = text.trim();
  if (!trimmed.startsWith(begin)) return otherFormat(trimmed);
  const stop = trimmed.indexOf(end);
  if (stop < 0) return damaged(`the line "${end}" is missing`);
  if (trimmed.includes('-----BEGIN', begin.length)) return refused('is more than one key', 'give one');
  if (trimmed.length > stop + end.length) return refused('is followed by something else');
  const bytes = decodeBase64(trimmed.slice(begin.length, stop));
  if (!bytes) return damaged('it is not base64');
  return readAll(bytes, (reader) => readEnvelope(reader, bytes));
}

function otherFormat(text: string): Refusal {
  if (text === '') return refused('is empty');
  const label = /^-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----/.exec(text)?.[1]?.trim();
  if (label === 'ENCRYPTED' || (label !== undefined && text.includes('ENCRYPTED'))) return encrypted();
  if (label === '') return refused('is in the format PKCS#8, which ssh does not always take', askForOpenssh);
  if (label !== undefined) {
    return refused(
      `is in the format ${label} PEM`,
      `ssh-keygen -p -N "" -f FILE rewrites it in OpenSSH's; ${askForOpenssh}`,
    );
  }
  if (types.has(text.split(' ', 1)[0] ?? '')) {
    return refused('is a public key', 'were the references of the two exchanged?');
  }
  return refused('is not an OpenSSH private key', `it begins with "${begin}"; ${askForOpenssh}`);
}

function encrypted(): Refusal {
  return refuse(
    'encrypted',
    'is encrypted with a passphrase, which nobody can give at boot',
    'ssh-keygen -p -N "" -f FILE takes it off',
  );
}

function readEnvelope(reader: SshReader, bytes: Uint8Array): Parsed<PrivateKey> {
  if (decodeText(reader.take(magic.length)) !== magic)
    return damaged(`"${magic.slice(0, -1)}" is not where it should be`);
  const cipher = decodeText(reader.string());
  const derivation = decodeText(reader.string());
  reader.string(); // the options of the key derivation
  const count = reader.uint32();
  if (count !== 1) return count === 0 ? damaged('it holds no key') : refused('is more than one key');
  const wire = reader.string();
  const hidden = reader.string();
  if (cipher !== 'none' || derivation !== 'none') return encrypted();

  return readAll(wire, (outer) => {
    const type = decodeText(outer.string());
    const known = types.get(type);
    if (!/^[a-z0-9@.-]{1,64}$/.test(type)) return damaged('its type is unreadable');
    if (known?.file === undefined) return unsupported(`is of the type "${type}"`, supported);
    const problem = readPublicPart(outer, known);
    if (problem) return problem;
    const secret = new SshReader(hidden);
    const checkNumber = secret.uint32();
    if (secret.uint32() !== checkNumber) return damaged('its check numbers differ');
    if (decodeText(secret.string()) !== type) return damaged('its halves are of different types');
    const secrets = readPrivatePart(secret, type, known, wire);
    if (!secrets) return damaged('its halves do not belong together');
    const comment = cleanComment(decodeText(secret.string()));
    if (!secret.rest().every((byte, index) => byte === index + 1))
      return damaged('its padding is not as it should be');
    return {
      ok: true,
      key: { text: formatPrivateKey(bytes), publicKey: { type, wire, comment }, ...secrets },
    };
  });
}

/** Reads a public key behind its type; gives what is wrong with it. */
function readPublicPart(reader: SshReader, type: KeyType): Refusal | undefined {
  if (type.curve === undefined) {
    reader.string(); // the exponent
    const bits = reader.number().toString(2).length;
    if (bits >= smallestRsa) return undefined;
    return unsupported(`has ${bits} bits, which sshd refuses: at least ${smallestRsa}`);
  }
  if (type.curveName !== undefined && decodeText(reader.string()) !== type.curveName)
    return damaged('its curve is not that of its type');
  const point = reader.string();
  const whole =
    type.curveName === undefined
      ? point.length === type.size
      : point.length === 1 + 2 * (type.size ?? 0) && point[0] === 4;
  if (!whole) return damaged('its parts have wrong lengths');
  // a security key's: the application that it is for
  if (type.file === undefined) reader.string();
  return undefined;
}

/** Reads the private half and checks that its copy of the public one is the same. */
function readPrivatePart(
  reader: SshReader,
  type: string,
  { curve, curveName, size = 0 }: KeyType,
  wire: Uint8Array,
): Pick<PrivateKey, 'halves' | 'rsa'> | undefined {
  const outer = new SshReader(wire);
  outer.string(); // the type
  if (curve === undefined) return readRsa(reader, outer);
  if (curveName === undefined) {
    const own = outer.string();
    const copy = reader.string();
    const secret = reader.string();
    const agree = sameBytes(copy, own) && secret.length === 2 * size && sameBytes(secret.subarray(size), own);
    return agree ? { halves: { curve, secret: secret.subarray(0, size), public: own } } : undefined;
  }
  outer.string(); // the curve
  const own = outer.string();
  if (`ecdsa-sha2-${decodeText(reader.string())}` !== type || !sameBytes(reader.string(), own))
    return undefined;
  const scalar = withoutZeros(reader.string());
  if (scalar.length > size) return undefined;
  const secret = new Uint8Array(size);
  secret.set(scalar, size - scalar.length);
  return { halves: { curve, secret, public: own } };
}

/** Reads the numbers of an RSA key and checks them against each other (RFC 8017, section 3.2). */
function readRsa(reader: SshReader, outer: SshReader): { readonly rsa: RsaNumbers } | undefined {
  const [exponent, modulus] = [outer.number(), outer.number()];
  const [n, e, d] = [reader.number(), reader.number(), reader.number()];
  const [qi, p, q] = [reader.number(), reader.number(), reader.number()];
  if (n !== modulus || e !== exponent || p < 3n || q < 3n || p * q !== n) return undefined;
  const agree = (e * d) % (p - 1n) === 1n && (e * d) % (q - 1n) === 1n && (qi * q) % p === 1n;
  return agree ? { rsa: { n, e, d, p, q, qi } } : undefined;
}

function formatPrivateKey(bytes: Uint8Array): string {
  const lines = encodeBase64(bytes).match(/.{1,70}/g) ?? [];
  return [begin, ...lines, end, ''].join('\n');
}

/** A comment must not begin a new line where it is written. */
function cleanComment(comment: string): string {
  return comment.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}

type Refusal = Parsed<never> & { readonly ok: false };

function refuse(kind: Refusal['kind'], message: string, hint?: string): Refusal {
  return { ok: false, kind, message, ...(hint === undefined ? {} : { hint }) };
}

function refused(message: string, hint?: string): Refusal {
  return refuse('other', message, hint);
}

function unsupported(message: string, hint?: string): Refusal {
  return refuse('unsupported', message, hint);
}

function damaged(what: string): Refusal {
  return refuse('damaged', `is damaged: ${what}`);
}

/** Reads bytes to their end. */
function readAll<T>(bytes: Uint8Array, read: (reader: SshReader) => Parsed<T>): Parsed<T> {
  const reader = new SshReader(bytes);
  try {
    const result = read(reader);
    return result.ok && !reader.atEnd ? damaged('something follows the key') : result;
  } catch (error) {
    if (error instanceof CutOff) return damaged('it is cut off');
    throw error;
  }
}

function withoutZeros(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? new Uint8Array() : bytes.subarray(first);
}
