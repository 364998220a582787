import { createPublicKey, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import type { PublicKey } from '../domain/ssh-key-pair.ts';
import { SshReader, toBytes } from '../domain/ssh-wire.ts';
import { Stanza } from './age.ts';
import { rsaOptions, sshTag, wrapForEd25519 } from './age-ssh.ts';

/** As for agessh: smaller RSA keys are no recipients. */
export const smallestRsaBits = 2048;

export interface SshRecipient {
  wrapFileKey(fileKey: Uint8Array): Stanza[];
}

/**
 * A recipient for an SSH public key of type ssh-ed25519 or ssh-rsa.
 *
 * @returns undefined for a key that cannot be one: of another type, too small, or no point of its curve
 */
export function sshRecipient(publicKey: PublicKey): SshRecipient | undefined {
  if (publicKey.type === 'ssh-ed25519') return ed25519Recipient(publicKey.wire);
  if (publicKey.type === 'ssh-rsa') return rsaRecipient(publicKey.wire);
  return undefined;
}

function ed25519Recipient(wire: Uint8Array): SshRecipient | undefined {
  let montgomery: Uint8Array;
  try {
    const point = ed25519.Point.fromBytes(wire.slice(-32));
    if (point.isSmallOrder()) return undefined;
    montgomery = ed25519.utils.toMontgomery(wire.slice(-32));
  } catch {
    return undefined;
  }
  return {
    wrapFileKey(fileKey) {
      const { privateKey } = generateKeyPairSync('x25519');
      const { share, body } = wrapForEd25519(fileKey, privateKey, montgomery, wire);
      return [new Stanza(['ssh-ed25519', sshTag(wire), share], body)];
    },
  };
}

function rsaRecipient(wire: Uint8Array): SshRecipient | undefined {
  const reader = new SshReader(wire);
  reader.string(); // the type
  const [e, n] = [reader.number(), reader.number()];
  if (n.toString(2).length < smallestRsaBits) return undefined;
  const text = (number: bigint): string => Buffer.from(toBytes(number)).toString('base64url');
  const key = createPublicKey({ key: { kty: 'RSA', n: text(n), e: text(e) }, format: 'jwk' });
  return {
    wrapFileKey: (fileKey) => [
      new Stanza(['ssh-rsa', sshTag(wire)], new Uint8Array(publicEncrypt({ key, ...rsaOptions }, fileKey))),
    ],
  };
}
