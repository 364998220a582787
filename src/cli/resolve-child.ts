import { readFileSync, writeSync } from 'node:fs';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { resolveWithSdk } from '../effects/onepassword-sdk.ts';
import { version } from '../version.ts';

/**
 * `resolve-child`, started by a fetcher only: reads `{"token", "references"}` from standard input and
 * writes a `BatchAnswer`, both JSON.
 */
export async function resolveChildCommand(): Promise<ExitCode> {
  const request = readRequest();
  if (!request) return exitCodes.usage;
  const answer = await resolveWithSdk(request.token, request.references, version);
  const bytes = Buffer.from(JSON.stringify(answer));
  for (let written = 0; written < bytes.length; ) written += writeSync(1, bytes, written);
  return exitCodes.ok;
}

function readRequest(): { readonly token: string; readonly references: readonly string[] } | undefined {
  try {
    const request: unknown = JSON.parse(readFileSync(0, 'utf8'));
    if (typeof request !== 'object' || request === null) return undefined;
    if (!('token' in request) || typeof request.token !== 'string') return undefined;
    if (!('references' in request) || !Array.isArray(request.references)) return undefined;
    return { token: request.token, references: request.references.map(String) };
  } catch {
    return undefined;
  }
}
