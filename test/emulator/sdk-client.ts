/** The unmodified SDK, for the tests that need more of it than the program does. */
import { type Client, createClient } from '@1password/sdk';

export type { Client };

export function openClient(token: string): Promise<Client> {
  return createClient({ auth: token, integrationName: 'emulator test', integrationVersion: 'v1.0.0' });
}
