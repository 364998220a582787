import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { fragmentSchema, manifestSchema } from '../domain/manifest-schema.ts';
import { toExitCode } from './report-failure.ts';
import { print } from './terminal.ts';

/** The text of `schema`, and of schema/manifest.schema.json. */
export function schemaText(): string {
  return `${JSON.stringify(manifestSchema, undefined, 2)}\n`;
}

/** The text of `schema --fragment`, and of schema/fragment.schema.json. */
export function fragmentSchemaText(): string {
  return `${JSON.stringify(fragmentSchema, undefined, 2)}\n`;
}

/** `schema`: prints the JSON Schema of manifest.json, or of a file below manifest.d. */
export function schemaCommand(options: { readonly fragment: boolean }): Promise<ExitCode> {
  return toExitCode(() => {
    print(options.fragment ? fragmentSchemaText() : schemaText());
    return exitCodes.ok;
  });
}
