import { createClient } from '@1password/sdk';

/** The answer of the child process, one JSON text on its standard output. */
export type BatchAnswer =
  | { readonly ok: false; readonly message: string }
  | {
      readonly ok: true;
      readonly results: Readonly<Record<string, { readonly value: string } | { readonly error: string }>>;
    };

/**
 * Resolves references with the official SDK: one sign-in, one batch. Runs in a process of its own, as the
 * SDK has no timeout, can trap, and blocks the event loop while it signs in.
 */
export async function resolveWithSdk(
  token: string,
  references: readonly string[],
  version: string,
): Promise<BatchAnswer> {
  try {
    // the client is kept referenced until the end: the SDK frees what it thinks nobody holds
    const client = await createClient({
      auth: token,
      integrationName: 'unit-secrets',
      integrationVersion: version,
    });
    const response = await client.secrets.resolveAll([...references]);
    const results: Record<string, { value: string } | { error: string }> = Object.create(null);
    for (const reference of references) {
      const one = response.individualResponses[reference];
      if (one?.content) results[reference] = { value: one.content.secret };
      else results[reference] = { error: one?.error?.type ?? 'other' };
    }
    void client;
    return { ok: true, results };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : 'unknown error' };
  }
}
