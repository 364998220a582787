import { parse } from 'ini';
import { xSecretsSection, xSecretsText } from '../unit/x-secrets.ts';

/**
 * Reads the `[X-Secrets]` section of a unit that we wrote: every setting may be repeated, values are
 * JSON-quoted, which `ini` undoes.
 *
 * @returns undefined if there is no such section
 */
export function readXSecrets(unitText: string): ReadonlyMap<string, readonly string[]> | undefined {
  const text = xSecretsText(unitText);
  if (text === '') return undefined;
  const parsed = parse(text, { bracketedArray: false }) as Record<string, Record<string, unknown>>;
  const settings = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(parsed[xSecretsSection] ?? {})) {
    settings.set(name, Array.isArray(value) ? value.map(String) : [String(value)]);
  }
  return settings;
}
