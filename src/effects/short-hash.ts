/** What Bun has built in; only what is used here. */
declare const Bun:
  | { readonly CryptoHasher: { hash(algorithm: 'sha256', text: string, encoding: 'hex'): string } }
  | undefined;

/**
 * The first 16 hex digits of the SHA-256 of a text. A marker's name comes from it: enough digits that no
 * two sets of a machine's life meet.
 */
export function shortHash(text: string): string {
  return sha256(text).slice(0, 16);
}

/** Without an import: to load node:crypto takes 2 ms, a third of a whole run of the generator. */
function sha256(text: string): string {
  if (typeof Bun !== 'undefined') return Bun.CryptoHasher.hash('sha256', text, 'hex');
  return process.getBuiltinModule('node:crypto').createHash('sha256').update(text).digest('hex');
}
