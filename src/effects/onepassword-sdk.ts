import { type Client, createClient } from '@1password/sdk';
import type { BatchAnswer } from '../domain/batch.ts';

export type { Client };

/** Signs in, with the official SDK. Runs in a process of its own, as the SDK has no timeout and can trap. */
export async function signIn(
  token: string,
  version: string,
): Promise<{ readonly client: Client } | { readonly message: string }> {
  try {
    const client = await createClient({
      auth: token,
      integrationName: 'unit-secrets',
      integrationVersion: version,
    });
    return { client };
  } catch (error) {
    return { message: messageOf(error) };
  }
}

/** Resolves references in one batch. The client has to be kept: the SDK frees what it thinks nobody holds. */
export async function resolveWith(client: Client, references: readonly string[]): Promise<BatchAnswer> {
  try {
    const response = await client.secrets.resolveAll([...references]);
    const results: Record<string, { value: string } | { error: string }> = Object.create(null);
    for (const reference of references) {
      const one = response.individualResponses[reference];
      if (one?.content) results[reference] = { value: one.content.secret };
      else results[reference] = { error: one?.error?.type ?? 'other' };
    }
    return { ok: true, results };
  } catch (error) {
    return { ok: false, message: messageOf(error) };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
