import type { SizedCredential } from '../domain/credential-size.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { TemplateValues } from '../domain/template.ts';

/** What X-config.service puts into the templates of a service, by the name of the rendered file. */
export type RenderValues = ReadonlyMap<string, TemplateValues>;

/**
 * The text of the file by which X-secrets.service hands them over; JSON.
 *
 * @param credentials what the service has as credentials already
 */
export function serialiseRenderValues(
  values: RenderValues,
  credentials: readonly SizedCredential[] = [],
): string {
  const configs = [...values].map(([name, { names, references }]) => ({
    name,
    names: [...names],
    references: [...references],
  }));
  return JSON.stringify({ configs, credentials });
}

/** What `serialiseRenderValues` was given as credentials; of another version of the program perhaps nothing. */
export function parseCredentialSizes(text: string): readonly SizedCredential[] {
  const { credentials = [] } = JSON.parse(text) as { readonly credentials?: readonly SizedCredential[] };
  return credentials;
}

/** @throws FailureError with 75 for what another version of the program wrote */
export function parseRenderValues(text: string): RenderValues {
  try {
    const { configs } = JSON.parse(text) as {
      readonly configs: readonly {
        readonly name: string;
        readonly names: readonly (readonly [string, string])[];
        readonly references: readonly (readonly [string, string])[];
      }[];
    };
    return new Map(
      configs.map(({ name, names, references }) => [
        name,
        { names: new Map(names), references: new Map(references) },
      ]),
    );
  } catch {
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.temporaryFailure,
      message: 'the values for the templates are not as this version writes them',
      hint: 'fetch them anew: reload the secrets unit',
    });
  }
}
