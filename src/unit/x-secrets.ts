import type { Setting } from './unit-file.ts';

export const xSecretsSection = 'X-Secrets';

const separators = /[\u2028\u2029]/;

/** A setting of `[X-Secrets]`; JSON-quoted, which `ini` undoes, and which no line end or `;` can leave. */
export function xSetting(name: string, value: string): Setting {
  // lone surrogates, which are not UTF-8, JSON escapes itself; for \u2028 and \u2029 `ini` would drop the line
  const quoted = JSON.stringify(value);
  if (!separators.test(quoted)) return [name, quoted];
  return [name, quoted.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')];
}

/** The text of the section, from its header to the end of the file: it is always the last one. */
export function xSecretsText(unitText: string): string {
  const start = unitText.lastIndexOf(`\n[${xSecretsSection}]\n`);
  return start < 0 ? '' : unitText.slice(start + 1);
}
