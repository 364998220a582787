import { type AgeVaultResult, parseAgeVault, resolveInAgeVault } from '../domain/age-vault.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { formatProblem } from '../domain/problem.ts';
import type { Provider } from '../domain/provider.ts';

type ReadableAgeVault = AgeVaultResult & { readonly ok: true };

/** How many problems one failure tells of. */
const mostProblems = 5;

/**
 * Resolves references from an age vault: one age file with the JSON that `parseAgeVault` describes, opened
 * anew for each batch.
 *
 * @param path the vault's file
 * @param identities private keys, in the order in which they are tried; see `openAgeFile`
 */
export function ageVaultProvider(options: {
  readonly path: string;
  readonly identities: readonly string[];
}): Provider {
  return {
    async resolve(references) {
      // who asks 1Password does not need age
      const { openAgeFile } = await import('./age-open.ts');
      const { plaintext } = await openAgeFile({ ...options, purpose: 'vault' });
      const { vault } = readAgeVault(plaintext, options.path);
      return new Map(references.map((reference) => [reference, resolveInAgeVault(vault, reference)]));
    },
  };
}

/**
 * Parses the plaintext of an age vault.
 *
 * @param path the vault's file, for messages
 * @throws FailureError with 65 and the first problems
 */
export function readAgeVault(plaintext: Uint8Array, path: string): ReadableAgeVault {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plaintext);
  } catch {
    throw dataFailure(`${path}: its content is not valid UTF-8`);
  }
  const result = parseAgeVault(text, path);
  if (result.ok) return result;
  const more = result.problems.length - mostProblems;
  const lines = result.problems.slice(0, mostProblems).map(formatProblem);
  throw dataFailure(lines.join('; ') + (more > 0 ? `; and ${more} more` : ''));
}

function dataFailure(message: string): FailureError {
  return new FailureError({ class: 'permanent', exitCode: exitCodes.dataError, message });
}
