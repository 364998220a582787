import { writeSync } from 'node:fs';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { manifestSchema } from '../domain/manifest-schema.ts';

/** The text of `schema`, and of schema/manifest.schema.json. */
export function schemaText(): string {
  return `${JSON.stringify(manifestSchema, undefined, 2)}\n`;
}

/** `schema`: prints the JSON Schema of the manifest. */
export function schemaCommand(): ExitCode {
  const bytes = Buffer.from(schemaText());
  for (let written = 0; written < bytes.length; ) written += writeSync(1, bytes, written);
  return exitCodes.ok;
}
