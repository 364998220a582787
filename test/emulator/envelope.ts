/** The form of everything encrypted: `{cty, kid, enc, iv, data}`. */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { b64u, fromB64u } from './bytes.ts';

export interface SymmetricKey {
  readonly kid: string;
  readonly bytes: Uint8Array;
}

export interface SymmetricJwk {
  readonly alg: 'A256GCM';
  readonly ext: true;
  readonly k: string;
  readonly key_ops: readonly ['encrypt', 'decrypt'];
  readonly kty: 'oct';
  readonly kid: string;
}

export interface Envelope {
  readonly cty: 'b5+jwk+json';
  readonly kid: string;
  readonly enc: 'A256GCM' | 'RSA-OAEP';
  readonly iv?: string;
  readonly data: string;
}

const tagLength = 16;

export function toJwk(key: SymmetricKey): SymmetricJwk {
  return {
    alg: 'A256GCM',
    ext: true,
    k: b64u(key.bytes),
    key_ops: ['encrypt', 'decrypt'],
    kty: 'oct',
    kid: key.kid,
  };
}

/** Ciphertext and tag. */
export function encryptBytes(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @param value bytes as they are, anything else as JSON */
export function seal(key: SymmetricKey, value: unknown): Envelope {
  const iv = randomBytes(12);
  const plain = value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value));
  const data = b64u(encryptBytes(key.bytes, iv, plain));
  return { cty: 'b5+jwk+json', kid: key.kid, enc: 'A256GCM', iv: b64u(iv), data };
}

/** The value inside, or undefined if the envelope is not one of this key. */
export function open(key: SymmetricKey, envelope: unknown): unknown {
  if (typeof envelope !== 'object' || envelope === null) return undefined;
  const { cty, kid, enc, iv, data } = envelope as Record<string, unknown>;
  if (cty !== 'b5+jwk+json' || kid !== key.kid || enc !== 'A256GCM') return undefined;
  if (typeof iv !== 'string' || typeof data !== 'string') return undefined;
  const bytes = fromB64u(data);
  if (bytes.length < tagLength) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, fromB64u(iv));
    decipher.setAuthTag(bytes.subarray(-tagLength));
    const plain = Buffer.concat([decipher.update(bytes.subarray(0, -tagLength)), decipher.final()]);
    return JSON.parse(plain.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** For the owner of the private key whose id is `kid`. */
export function sealForOwner(publicKey: KeyObject, kid: string, value: unknown): Envelope {
  const data = publicEncrypt(
    { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' },
    Buffer.from(JSON.stringify(value)),
  );
  return { cty: 'b5+jwk+json', kid, enc: 'RSA-OAEP', data: b64u(data) };
}
