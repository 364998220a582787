import type { Setting } from './unit-file.ts';

export const xSecretsSection = 'X-Secrets';

/** What `ini` would take for a line end, what makes systemd refuse a whole file, and what a terminal acts upon. */
const unfit = /[\x7f-\x9f\u2028\u2029]|\p{Noncharacter_Code_Point}/u;
const allUnfit = new RegExp(unfit, 'gu');

/** A setting of `[X-Secrets]`; JSON-quoted, which `ini` undoes, and which no line end or `;` can leave. */
export function xSetting(name: string, value: string): Setting {
  // lone surrogates, which are not UTF-8, JSON escapes itself
  const quoted = JSON.stringify(value);
  return [name, unfit.test(quoted) ? quoted.replace(allUnfit, escapeJson) : quoted];
}

/** How many errors a unit tells; a file of something else than JSON has thousands. */
const mostErrors = 100;

/** What a unit that can only fail tells, as settings. */
export function errorSettings(messages: readonly string[]): Setting[] {
  const told = messages.slice(0, mostErrors);
  const more = messages.length - told.length;
  if (more > 0) told.push(`and ${more} more; unit-secrets check shows all`);
  return told.map((text) => xSetting('Error', text));
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
