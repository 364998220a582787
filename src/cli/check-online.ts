import type { Manifest, NamedValue } from '../domain/manifest.ts';
import { quoteName } from '../domain/problem.ts';
import { parseTemplate, templateNeeds } from '../domain/template.ts';
import { parseValue, referencesOf } from '../domain/value.ts';
import type { Finding } from './check.ts';
import { openProvider } from './open-provider.ts';

/** A reference, and who wants it. */
interface Wanted {
  readonly reference: string;
  readonly service: string;
}

/**
 * Asks the provider, once for all, whether each reference of a manifest exists; values are not looked at.
 *
 * @param file what is named as the place of what is wrong
 * @param readTemplate the text of a template; undefined for one that cannot be read, which is told elsewhere
 * @throws FailureError if the provider cannot be asked at all
 */
export async function findMissingReferences(
  manifest: Manifest,
  file: string,
  root: string,
  readTemplate: (path: string) => string | undefined,
): Promise<Finding[]> {
  const wanted = wantedBy(manifest, readTemplate);
  const references = [...new Set(wanted.map(({ reference }) => reference))];
  if (references.length === 0) return [];
  const provider = await openProvider(manifest, root);
  const resolutions = await provider.resolve(references);
  return wanted.flatMap(({ reference, service }): Finding[] => {
    const resolution = resolutions.get(reference);
    if (!resolution || resolution.ok) return [];
    const { message } = resolution.failure;
    const named = message.includes(reference) ? message : `${quoteName(reference)}: ${message}`;
    return [{ severity: 'error', file, message: named, hint: `for ${service}`, service }];
  });
}

function wantedBy(manifest: Manifest, readTemplate: (path: string) => string | undefined): Wanted[] {
  const of = (service: string, values: readonly NamedValue[]): Wanted[] => {
    const parsed = values.map(([, text]) => parseValue(text));
    const references = referencesOf(parsed.flatMap((one) => (one.ok ? [one.parts] : [])));
    return references.map((reference) => ({ reference, service }));
  };
  const services = manifest.legible.flatMap((service) => {
    const { environment, credentials, files, configs } = service;
    const inFiles = files.map(({ name, value }): NamedValue => [name, value]);
    const inConfigs = configs.flatMap(({ values }) => values);
    const inTemplates = configs.flatMap(({ template }) => {
      const parsed = parseTemplate(readTemplate(template) ?? '');
      return templateNeeds(parsed.parts).references;
    });
    const { name } = service.name;
    return [
      ...of(name, [...environment, ...credentials, ...inFiles, ...inConfigs]),
      ...inTemplates.map((reference) => ({ reference, service: name })),
    ];
  });
  const keys = manifest.sshKeys.flatMap(({ name, privateKey, publicKey }) =>
    of(
      name.name,
      [privateKey, publicKey].flatMap((value): NamedValue[] => (value === undefined ? [] : [['', value]])),
    ),
  );
  return [...services, ...keys];
}
