/** What Bun has built in; only what is used here. */
interface BunHasher {
  update(text: string): BunHasher;
  digest(encoding: 'hex'): string;
}
declare const Bun: { readonly CryptoHasher: new (algorithm: 'sha256') => BunHasher } | undefined;

/**
 * The first 16 hex digits of the SHA-256 of a text. A marker's name comes from it: enough digits that no
 * two sets of a machine's life meet.
 */
export function shortHash(text: string): string {
  return sha256().update(text).digest('hex').slice(0, 16);
}

/** Without an import: to load node:crypto takes 2 ms, a third of a whole run of the generator. */
function sha256(): BunHasher {
  if (typeof Bun !== 'undefined') return new Bun.CryptoHasher('sha256');
  return process.getBuiltinModule('node:crypto').createHash('sha256');
}
