/**
 * SRP-6a as the service does it (group 4096 of RFC 5054, SHA-256), all of it pure: random numbers are
 * arguments. Both sides are here, so that the published test vector can be checked value by value.
 */
import { b64u, fromB64u, hmacSha256, sha256 } from './bytes.ts';

/** RFC 3526, group 16. */
const modulusHex =
  'ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd' +
  'ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed' +
  'ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f' +
  '83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b' +
  'e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510' +
  '15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7' +
  'abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c' +
  'bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a92108011a723c12a787e6d7' +
  '88719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8dbbbc2db04de8ef92e8efc141fbecaa6' +
  '287c59474e6bc05d99b2964fa090c3a2233ba186515be7ed1f612970cee2d7afb81bdd762170481cd0069127d5b05aa9' +
  '93b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199ffffffffffffffff';

export const N: bigint = BigInt(`0x${modulusHex}`);
export const g = 5n;
const modulusBytes = 512;

export function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

export function bigIntOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}

/** Big-endian, as long as the modulus. */
export function pad(n: bigint): Buffer {
  return Buffer.from(n.toString(16).padStart(2 * modulusBytes, '0'), 'hex');
}

/** Big-endian without leading zero bytes. */
function bytesOf(n: bigint): Buffer {
  const hex = n.toString(16);
  return Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex');
}

/** The multiplier. */
export const k: bigint = bigIntOf(sha256(pad(N), pad(g)));

/** What the service keeps of the secret x. */
export function verifierOf(x: Uint8Array): bigint {
  return modPow(g, bigIntOf(x), N);
}

export function clientPublic(a: Uint8Array): bigint {
  return modPow(g, bigIntOf(a), N);
}

export function serverPublic(b: Uint8Array, v: bigint): bigint {
  return (k * v + modPow(g, bigIntOf(b), N)) % N;
}

export function scramblerOf(A: bigint, B: bigint): bigint {
  return bigIntOf(sha256(pad(A), pad(B)));
}

/** The hash is over the number as hexadecimal text, not over its bytes. */
function sessionKeyOf(S: bigint): Buffer {
  return sha256(S.toString(16));
}

export function serverSessionKey(A: bigint, B: bigint, v: bigint, b: Uint8Array): Buffer {
  return sessionKeyOf(modPow(A * modPow(v, scramblerOf(A, B), N), bigIntOf(b), N));
}

export function clientSessionKey(A: bigint, B: bigint, x: Uint8Array, a: Uint8Array): Buffer {
  const base = (B + N - ((k * verifierOf(x)) % N)) % N;
  return sessionKeyOf(modPow(base, bigIntOf(a) + scramblerOf(A, B) * bigIntOf(x), N));
}

export function identityOf(skid: string, email: string): string {
  return b64u(sha256(sha256(skid), sha256(email)));
}

export interface Exchange {
  readonly identity: string;
  readonly salt: Uint8Array;
  readonly A: bigint;
  readonly B: bigint;
  readonly sessionKey: Uint8Array;
}

/** The client's proof that it has the session key, base64url. */
export function clientVerifyHash({ identity, salt, A, B, sessionKey }: Exchange): string {
  const groupHash = sha256(bytesOf(N));
  const generatorHash = sha256(bytesOf(g));
  const mixed = groupHash.map((byte, index) => byte ^ (generatorHash[index] ?? 0));
  return b64u(sha256(mixed, sha256(identity), salt, bytesOf(A), bytesOf(B), sessionKey));
}

/** The service's proof, which answers the client's. */
export function serverVerifyHash(A: bigint, clientHash: string, sessionKey: Uint8Array): string {
  return b64u(sha256(bytesOf(A), fromB64u(clientHash), sessionKey));
}

const macLabel = 'He never wears a Mac, in the pouring rain. Very strange.';

export function macKeyOf(sessionKey: Uint8Array): Buffer {
  return hmacSha256(sessionKey, macLabel);
}

/**
 * The value of `X-AgileBits-MAC`.
 *
 * @param host without its port
 * @param target path and query as in the request line
 */
export function requestMac(
  macKey: Uint8Array,
  request: {
    readonly session: string;
    readonly method: string;
    readonly host: string;
    readonly target: string;
  },
  requestId: string,
): string {
  const [path, query = ''] = splitOnce(request.target, '?');
  const message = `${request.session}|${request.method}|${request.host}${path}?${query}|v1|${requestId}`;
  return `v1|${requestId}|${b64u(hmacSha256(macKey, message).subarray(0, 12))}`;
}

function splitOnce(text: string, separator: string): [string, string?] {
  const index = text.indexOf(separator);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}
