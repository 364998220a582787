import type { Setting } from './unit-file.ts';

export const xSecretsSection = 'X-Secrets';

/** A setting of `[X-Secrets]`; JSON-quoted, which `ini` undoes, and which no line end or `;` can leave. */
export function xSetting(name: string, value: string): Setting {
  // U+2028 and the like are fine in a unit file, but lone surrogates are not UTF-8: JSON escapes them
  return [name, JSON.stringify(value)];
}

/** The text of the section, from its header to the end of the file: it is always the last one. */
export function xSecretsText(unitText: string): string {
  const start = unitText.lastIndexOf(`\n[${xSecretsSection}]\n`);
  return start < 0 ? '' : unitText.slice(start + 1);
}
