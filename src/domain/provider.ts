import type { Failure } from './failure.ts';

/** What became of one secret reference. */
export type Resolution =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly failure: Failure };

/**
 * The seam between the fetch engine and whatever keeps the secrets.
 *
 * `resolve` answers for every reference it was given, in one batch: a bad reference has a failure of its
 * own and does not touch the others. It rejects with a `FailureError` where nothing can be said of any of
 * them (no network, token refused, vault file damaged).
 */
export interface Provider {
  resolve(references: readonly string[]): Promise<ReadonlyMap<string, Resolution>>;
}
