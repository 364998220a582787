import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { manifestSchema } from '../domain/manifest-schema.ts';
import { toExitCode } from './report-failure.ts';
import { print } from './terminal.ts';

/** The text of `schema`, and of schema/manifest.schema.json. */
export function schemaText(): string {
  return `${JSON.stringify(manifestSchema, undefined, 2)}\n`;
}

/** `schema`: prints the JSON Schema of the manifest. */
export function schemaCommand(): Promise<ExitCode> {
  return toExitCode(() => {
    print(schemaText());
    return exitCodes.ok;
  });
}
