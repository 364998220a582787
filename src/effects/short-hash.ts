import { createHash } from 'node:crypto';

/** A marker's name comes from this: enough digits that no two sets of a machine's life meet. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
