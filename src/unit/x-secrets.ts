import type { Setting } from './unit-file.ts';

export const xSecretsSection = 'X-Secrets';

/** What `ini` would take for a line end, and what makes systemd refuse a whole file. */
const unfit = /[\u2028\u2029]|\p{Noncharacter_Code_Point}/u;
const allUnfit = new RegExp(unfit, 'gu');

/** A setting of `[X-Secrets]`; JSON-quoted, which `ini` undoes, and which no line end or `;` can leave. */
export function xSetting(name: string, value: string): Setting {
  // lone surrogates, which are not UTF-8, JSON escapes itself
  const quoted = JSON.stringify(value);
  return [name, unfit.test(quoted) ? quoted.replace(allUnfit, escapeJson) : quoted];
}

/** A character as JSON escapes it: by its UTF-16 code units. */
function escapeJson(character: string): string {
  let escaped = '';
  for (let index = 0; index < character.length; index++)
    escaped += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
  return escaped;
}

/** The text of the section, from its header to the end of the file: it is always the last one. */
export function xSecretsText(unitText: string): string {
  const start = unitText.lastIndexOf(`\n[${xSecretsSection}]\n`);
  return start < 0 ? '' : unitText.slice(start + 1);
}
