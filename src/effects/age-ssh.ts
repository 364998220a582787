import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import type { Stanza } from './age.ts';

/**
 * SSH keys as age's package agessh (FiloSottile/age) uses them. Stanzas are `ssh-ed25519 TAG SHARE` and
 * `ssh-rsa TAG`. node:crypto does the arithmetic, which is slow in JavaScript without JIT; that one cipher
 * Bun's lacks.
 */

/** An identity that only takes stanzas with its own tag. */
export interface SshIdentity {
  unwrapFileKey(stanzas: Stanza[]): Uint8Array | null;
}

const ed25519Label = 'age-encryption.org/v1/ssh-ed25519';
const fileKeyLength = 16;

/** RSA-OAEP (RFC 8017, section 7.1) as stanzas of the type ssh-rsa use it, but for the key. */
export const rsaOptions = {
  padding: constants.RSA_PKCS1_OAEP_PADDING,
  oaepHash: 'sha256',
  oaepLabel: Buffer.from('age-encryption.org/v1/ssh-rsa'),
} as const;

/** What tells SSH recipients apart in a header: 4 bytes of the fingerprint. */
export function sshTag(wire: Uint8Array): string {
  return unpadded(createHash('sha256').update(wire).digest().subarray(0, 4));
}

/**
 * The type ssh-ed25519: X25519 with the key's Montgomery form, its result multiplied by a tweak that binds it
 * to the SSH key.
 *
 * @param seed the private half, 32 bytes
 * @param wire the public key as SSH sends it
 */
export function sshEd25519Identity(seed: Uint8Array, wire: Uint8Array): SshIdentity {
  const scalar = createHash('sha512').update(seed).digest().subarray(0, 32);
  const own = x25519Key(scalar);
  const publicBytes = rawPublicBytes(own);
  return sshIdentity('ssh-ed25519', wire, ({ args, body }) => {
    const share = Buffer.from(args[2] ?? '', 'base64');
    if (args.length !== 3 || share.length !== 32 || unpadded(share) !== args[2]) throw new Error('stanza');
    return chacha20poly1305(
      ed25519WrappingKey(x25519(own, share), wire, share, publicBytes),
      new Uint8Array(12),
    ).decrypt(body);
  });
}

/** The type ssh-rsa: RSA-OAEP of the file key. */
export function sshRsaIdentity(key: KeyObject, wire: Uint8Array): SshIdentity {
  return sshIdentity('ssh-rsa', wire, ({ args, body }) => {
    if (args.length !== 2) throw new Error('stanza');
    return privateDecrypt({ key, ...rsaOptions }, body);
  });
}

function sshIdentity(type: string, wire: Uint8Array, unwrap: (stanza: Stanza) => Uint8Array): SshIdentity {
  const tag = sshTag(wire);
  return {
    unwrapFileKey(stanzas) {
      let failure: unknown;
      for (const stanza of stanzas) {
        if (stanza.args[0] !== type || stanza.args[1] !== tag) continue;
        try {
          const fileKey = unwrap(stanza);
          if (fileKey.length === fileKeyLength) return new Uint8Array(fileKey);
          throw new Error('file key');
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

/** The body of a stanza for an Ed25519 key; `theirs` is its Montgomery form. */
export function wrapForEd25519(
  fileKey: Uint8Array,
  ephemeral: KeyObject,
  theirs: Uint8Array,
  wire: Uint8Array,
): { readonly share: string; readonly body: Uint8Array } {
  const share = rawPublicBytes(ephemeral);
  const key = ed25519WrappingKey(x25519(ephemeral, theirs), wire, share, theirs);
  return { share: unpadded(share), body: chacha20poly1305(key, new Uint8Array(12)).encrypt(fileKey) };
}

function ed25519WrappingKey(
  shared: Uint8Array,
  wire: Uint8Array,
  share: Uint8Array,
  recipient: Uint8Array,
): Uint8Array {
  const tweak = x25519Key(hkdf(new Uint8Array(), wire));
  return hkdf(x25519(tweak, shared), Buffer.concat([share, recipient]));
}

function hkdf(secret: Uint8Array, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, ed25519Label, 32));
}

/** @throws Error if the other's point is of low order (RFC 7748, section 6.1) */
function x25519(own: KeyObject, other: Uint8Array): Buffer {
  const der = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), other]);
  return diffieHellman({
    privateKey: own,
    publicKey: createPublicKey({ key: der, format: 'der', type: 'spki' }),
  });
}

/** A key by its bytes: node:crypto takes it in the DER of RFC 8410 only. */
function x25519Key(scalar: Uint8Array): KeyObject {
  const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), scalar]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

function rawPublicBytes(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '');
}
