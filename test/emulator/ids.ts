/** Identifiers as the service writes them: 16 bytes in unpadded base32, 26 characters. */
import { randomBytes } from 'node:crypto';
import { sha256 } from './bytes.ts';

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** 128 bits in 26 characters of 5 bits leave two bits over, which are zero: hence the few last characters. */
const pattern = /^[a-z2-7]{25}[aeimquy4]$/;

function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let buffer = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(buffer >> bits) & 31];
      buffer &= (1 << bits) - 1;
    }
  }
  if (bits > 0) text += alphabet[(buffer << (5 - bits)) & 31];
  return text;
}

/** Lower case, as vaults, items, files, keys and devices have them. */
export function randomId(): string {
  return base32(randomBytes(16));
}

/** Upper case, as accounts, users and sessions have them. */
export function randomUpperId(): string {
  return randomId().toUpperCase();
}

/** The same id for the same names, always: `idOf('vault', 'Homelab')`. */
export function idOf(...names: readonly string[]): string {
  return base32(sha256(JSON.stringify(names)).subarray(0, 16));
}

export function isId(text: string): boolean {
  return pattern.test(text);
}
