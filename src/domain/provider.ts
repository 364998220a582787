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

/** A provider that keeps something open, to be asked many times. */
export interface Session {
  /** Resolves when it can be asked, which it prepares from the start; rejects with a `FailureError`. */
  ready(within: number): Promise<void>;
  /**
   * Resolves as a `Provider` does.
   *
   * @param within milliseconds until it gives up, with a transient failure; the session is of no use then
   */
  resolve(references: readonly string[], within: number): Promise<ReadonlyMap<string, Resolution>>;
  /** Whether it can still be asked. */
  readonly isOpen: () => boolean;
  /** Ends it at once, whatever it does. */
  close(): void;
}
