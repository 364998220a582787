import type { ExitCode } from './exit-codes.ts';

/**
 * Why something could not be had, as data.
 *
 * - `permanent`: asking again with the same unit and token gives the same answer.
 * - `transient`: worth another try.
 * - `rate-limited`: worth another try, but much later.
 */
export interface Failure {
  readonly class: 'permanent' | 'transient' | 'rate-limited';
  readonly exitCode: ExitCode;
  /** One line, lower case, no full stop; names and references only, never a value. */
  readonly message: string;
  /** What to do next, where there is something to do. */
  readonly hint?: string;
}

/** Expected trouble that ends an operation; the only exception that callers are meant to catch. */
export class FailureError extends Error {
  override readonly name = 'FailureError';
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}
