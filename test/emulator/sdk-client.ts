/** The unmodified SDK, as the program uses it, and for the tests that need more of it. */
import { type Client, createClient } from '@1password/sdk';
import type { BatchAnswer } from '../../src/domain/batch.ts';
import { resolveWith, signIn } from '../../src/effects/onepassword-sdk.ts';

export type { Client };

export function openClient(token: string): Promise<Client> {
  return createClient({ auth: token, integrationName: 'emulator test', integrationVersion: 'v1.0.0' });
}

/** One sign-in and one batch. */
export async function resolveWithSdk(
  token: string,
  references: readonly string[],
  version: string,
): Promise<BatchAnswer> {
  const result = await signIn(token, version);
  return 'client' in result ? resolveWith(result.client, references) : { ok: false, message: result.message };
}
