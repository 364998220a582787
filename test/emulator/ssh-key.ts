/** What the service stores along with an SSH key. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { fromB64u, sha256 } from './bytes.ts';
import { ed25519KeyOf } from './token.ts';

export interface SshKeyAttributes {
  readonly privateKey: string;
  readonly publicKey: string;
  readonly fingerprint: string;
  readonly keyType: { readonly t: 'ed25519' } | { readonly t: 'rsa'; readonly c: number };
}

/** A key that depends on nothing but the seed of 32 bytes, as PKCS#8 PEM. */
export function madeUpKey(seed: Uint8Array): string {
  return ed25519KeyOf(seed).export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** @param pem PKCS#8, Ed25519 or RSA */
export function sshKeyAttributes(pem: string): SshKeyAttributes {
  const jwk = createPublicKey(createPrivateKey(pem)).export({ format: 'jwk' });
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') {
    return attributes(pem, 'ssh-ed25519', [fromB64u(jwk.x ?? '')], { t: 'ed25519' });
  }
  if (jwk.kty !== 'RSA') throw new Error('not an Ed25519 or RSA key');
  const modulus = fromB64u(jwk.n ?? '');
  const parts = [positive(fromB64u(jwk.e ?? '')), positive(modulus)];
  return attributes(pem, 'ssh-rsa', parts, { t: 'rsa', c: modulus.length * 8 });
}

function attributes(
  pem: string,
  kind: string,
  parts: readonly Uint8Array[],
  keyType: SshKeyAttributes['keyType'],
): SshKeyAttributes {
  const blob = Buffer.concat([Buffer.from(kind), ...parts].flatMap((part) => [length(part), part]));
  return {
    privateKey: pem,
    publicKey: `${kind} ${blob.toString('base64')}`,
    fingerprint: `SHA256:${sha256(blob).toString('base64').replace(/=+$/, '')}`,
    keyType,
  };
}

function length(part: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(part.length);
  return bytes;
}

/** As RFC 4251's mpint, which would be negative with its first bit set. */
function positive(bytes: Buffer): Buffer {
  return (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
}
