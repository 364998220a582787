import { exitCodes } from './exit-codes.ts';
import type { Failure } from './failure.ts';
import type { Resolution } from './provider.ts';

/** What one try came to for one service: all of its values, or why not. */
export type Answer =
  | { readonly ok: true; readonly values: ReadonlyMap<string, string> }
  | {
      readonly ok: false;
      readonly failure: Failure;
      /** From 0 up to, not including, 1: shared by all that this failure was answered to, so that they come back together. */
      readonly jitter?: number;
    };

/** The answer to a service that asked for some of the references that were resolved. */
export function answerOf(
  references: readonly string[],
  resolutions: ReadonlyMap<string, Resolution>,
): Answer {
  const values = new Map<string, string>();
  const failures: Failure[] = [];
  for (const reference of references) {
    const resolution = resolutions.get(reference);
    if (resolution?.ok) values.set(reference, resolution.value);
    else failures.push(resolution?.failure ?? unanswered);
  }
  if (failures.length === 0) return { ok: true, values };
  // what cannot be helped by another try comes first, then what forbids one; else the first speaks for all
  const permanent = failures.filter((failure) => failure.class === 'permanent');
  const [first = unanswered] = [
    ...permanent,
    ...failures.filter((failure) => failure.class === 'rate-limited'),
    ...failures,
  ];
  const messages = [...new Set(permanent.map(({ message }) => message))];
  return { ok: false, failure: messages.length > 1 ? { ...first, message: messages.join('; ') } : first };
}

const unanswered: Failure = {
  class: 'transient',
  exitCode: exitCodes.temporaryFailure,
  message: 'the provider left references unanswered',
};
