import { writeSync } from 'node:fs';
import type { BatchAnswer } from '../domain/batch.ts';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { type Client, resolveWith, signIn } from '../effects/onepassword-sdk.ts';
import { version } from '../version.ts';

/**
 * `resolve-child`, started by a fetcher only. Standard input: a line `{"token"}`, then a line `{"references"}`
 * for each call; standard output: a `BatchAnswer` for each of them on a line, without results for the first.
 * Ends with its input, whatever it is waiting for.
 */
export function resolveChildCommand(): Promise<ExitCode> {
  return new Promise(() => {
    let client: Client | undefined;
    let text = '';
    let busy = Promise.resolve();
    process.stdin.setEncoding('utf8');
    process.stdin.on('data', (chunk: string) => {
      text += chunk;
      for (let newline = text.indexOf('\n'); newline >= 0; newline = text.indexOf('\n')) {
        const line = text.slice(0, newline);
        text = text.slice(newline + 1);
        busy = busy.then(() => handle(line));
      }
    });
    // not by itself: the SDK may be waiting for an answer that never comes
    process.stdin.once('end', () => process.exit(exitCodes.ok));

    async function handle(line: string): Promise<void> {
      const request = parse(line);
      if (request?.token !== undefined) {
        const result = await signIn(request.token, version);
        if ('client' in result) client = result.client;
        answer('client' in result ? { ok: true, results: {} } : { ok: false, message: result.message });
      } else if (request?.references !== undefined && client !== undefined) {
        answer(await resolveWith(client, request.references));
      } else {
        process.exit(exitCodes.usage);
      }
    }
  });
}

function answer(batch: BatchAnswer): void {
  const bytes = Buffer.from(`${JSON.stringify(batch)}\n`);
  for (let written = 0; written < bytes.length; ) written += writeSync(1, bytes, written);
}

function parse(
  line: string,
): { readonly token?: string; readonly references?: readonly string[] } | undefined {
  try {
    const request: unknown = JSON.parse(line);
    if (typeof request !== 'object' || request === null) return undefined;
    if ('token' in request && typeof request.token === 'string') return { token: request.token };
    if (!('references' in request) || !Array.isArray(request.references)) return undefined;
    return { references: request.references.map(String) };
  } catch {
    return undefined;
  }
}
