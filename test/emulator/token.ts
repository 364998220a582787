/** Service accounts and their tokens. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { b64u, fromB64u } from './bytes.ts';
import { toJwk } from './envelope.ts';
import { randomId, randomUpperId } from './ids.ts';

/** One service account; plain JSON, so that it can be kept in a file. All byte strings are in hex. */
export interface ServiceAccount {
  readonly email: string;
  readonly userUuid: string;
  readonly deviceUuid: string;
  readonly secretKey: string;
  readonly salt: string;
  readonly srpX: string;
  /** Unlocks the keyset. */
  readonly muk: string;
  readonly throttle: { readonly seed: string; readonly uuid: string };
  /** Names or ids of the vaults it can see; all where it is missing. */
  readonly vaults?: readonly string[];
}

/** What the emulated service must keep over a restart if tokens and warm clients are to stay valid. */
export interface Account {
  readonly accountUuid: string;
  /** Keys of vaults and files are derived from it, in hex. */
  readonly vaultSeed: string;
  readonly keysetUuid: string;
  /** In hex. */
  readonly keysetKey: string;
  /** PKCS#8 PEM, RSA 2048. */
  readonly privateKey: string;
  /** The first one's token is the emulator's main token. */
  readonly serviceAccounts: ServiceAccount[];
}

export const iterations = 650_000;

const secretKeyAlphabet = '23456789ABCDEFGHJKLMNPQRSTVWXYZ';
const emailAlphabet = 'abcdefghijklmnopqrstuvwxyz234567';

function randomText(alphabet: string, length: number): string {
  return Array.from(randomBytes(length), (byte) => alphabet[byte % alphabet.length]).join('');
}

export function newServiceAccount(vaults?: readonly string[]): ServiceAccount {
  const groups = [6, 6, 5, 5, 5, 5].map((length) => randomText(secretKeyAlphabet, length));
  return {
    email: `${randomText(emailAlphabet, 13)}@1passwordserviceaccounts.com`,
    userUuid: randomUpperId(),
    deviceUuid: randomId(),
    secretKey: ['A3', ...groups].join('-'),
    salt: randomBytes(16).toString('hex'),
    srpX: randomBytes(32).toString('hex'),
    muk: randomBytes(32).toString('hex'),
    throttle: { seed: randomBytes(32).toString('hex'), uuid: randomUpperId() },
    ...(vaults ? { vaults } : {}),
  };
}

export function newAccount(): Account {
  // as PEM at once: a JWK export of the very key object that was generated can deadlock with the collector
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return {
    accountUuid: randomUpperId(),
    vaultSeed: randomBytes(32).toString('hex'),
    keysetUuid: randomId(),
    keysetKey: randomBytes(32).toString('hex'),
    privateKey,
    serviceAccounts: [newServiceAccount()],
  };
}

/** The group of the secret key that names it. */
export function skidOf(account: ServiceAccount): string {
  return account.secretKey.split('-')[1] ?? '';
}

export function userAuthOf(account: ServiceAccount): object {
  return {
    method: 'SRPg-4096',
    alg: 'PBES2g-HS256',
    iterations,
    salt: b64u(Buffer.from(account.salt, 'hex')),
  };
}

/** @param address the service's, such as `http://127.0.0.1:8080` */
export function tokenOf(account: ServiceAccount, address: string): string {
  const content = {
    signInAddress: address,
    userAuth: userAuthOf(account),
    email: account.email,
    srpX: account.srpX,
    muk: toJwk({ kid: 'mp', bytes: Buffer.from(account.muk, 'hex') }),
    secretKey: account.secretKey,
    throttleSecret: account.throttle,
    deviceUuid: account.deviceUuid,
  };
  return `ops_${b64u(Buffer.from(JSON.stringify(content)))}`;
}

/** The account that a token is of, by its e-mail address; undefined if the text is no token at all. */
export function emailOfToken(token: string): string | undefined {
  if (!token.startsWith('ops_')) return undefined;
  try {
    const content: unknown = JSON.parse(Buffer.from(token.slice(4), 'base64').toString('utf8'));
    const email = (content as { email?: unknown } | null)?.email;
    return typeof email === 'string' ? email : undefined;
  } catch {
    return undefined;
  }
}

/** PKCS#8 of an Ed25519 key, up to the seed. */
const ed25519Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

export function ed25519KeyOf(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([ed25519Prefix, seed]), format: 'der', type: 'pkcs8' });
}

/** Why the value of `OP-Throttling-Token` (a PASETO, v4.public) is not good, or undefined if it is. */
export function throttlingTokenProblem(
  account: ServiceAccount,
  token: string,
  now: Date,
): string | undefined {
  const parts = /^v4\.public\.([\w-]+)\.([\w-]+)$/.exec(token);
  if (!parts) return 'not a v4.public token with a footer';
  const signed = fromB64u(parts[1] ?? '');
  const footer = fromB64u(parts[2] ?? '');
  if (signed.length <= 64) return 'too short';
  const payload = signed.subarray(0, -64);
  const message = preAuthenticationEncoding(payload, footer);
  const publicKey = createPublicKey(ed25519KeyOf(Buffer.from(account.throttle.seed, 'hex')));
  if (!verify(null, message, publicKey, signed.subarray(-64))) return 'the signature is wrong';
  const { exp } = JSON.parse(payload.toString('utf8')) as { exp?: string };
  if (!exp || !(Date.parse(exp) > now.getTime())) return 'expired';
  const { kid } = JSON.parse(footer.toString('utf8')) as { kid?: string };
  return kid === account.throttle.uuid ? undefined : 'of another key';
}

/** A throttling token, as a client makes it. */
export function paseto(privateKey: KeyObject, payload: string, footer: string): string {
  const message = preAuthenticationEncoding(Buffer.from(payload), Buffer.from(footer));
  const signed = Buffer.concat([Buffer.from(payload), sign(null, message, privateKey)]);
  return `v4.public.${b64u(signed)}.${b64u(Buffer.from(footer))}`;
}

/** What PASETO signs. */
function preAuthenticationEncoding(payload: Uint8Array, footer: Uint8Array): Buffer {
  const pieces = [Buffer.from('v4.public.'), payload, footer, Buffer.from('B5_THROTTLING_TOKEN')];
  const length = (n: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(n));
    return bytes;
  };
  return Buffer.concat([length(pieces.length), ...pieces.flatMap((piece) => [length(piece.length), piece])]);
}
