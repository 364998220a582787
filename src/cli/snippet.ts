import type { Position } from '../domain/text-position.ts';

/** How much of a long line is shown on each side of the place. */
const around = 60;

/**
 * The line of a text that a problem is in, with a caret below the place; undefined if there is no such line.
 *
 *     12 |   "enviroment": {
 *        |   ^
 */
export function snippetOf(text: string, { line, column }: Position): string | undefined {
  const whole = text.split(/\r\n|\n|\r/)[line - 1];
  if (whole === undefined || whole.trim() === '') return undefined;
  const start = Math.max(0, column - 1 - around);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a tab would move the caret, others the terminal
  const visible = (part: string): string => part.replace(/[\0-\x1f\x7f-\x9f]/g, ' ');
  const shown = visible(whole.slice(start, column - 1 + around));
  const ellipses = [start > 0 ? '…' : '', column - 1 + around < whole.length ? '…' : ''] as const;
  const number = String(line);
  const caret = `${' '.repeat(ellipses[0].length + column - 1 - start)}^`;
  return `  ${number} | ${ellipses[0]}${shown}${ellipses[1]}\n  ${' '.repeat(number.length)} | ${caret}`;
}

const string = /"(?:[^"\\\r\n]|\\.)*"/g;
const references = /^"op:\/\/|\{\{/;

/**
 * A text in JSON with the strings in it that are values covered, as long as they were: names and references
 * are for everybody to see, and what else somebody wrote there perhaps not.
 */
export function withoutValues(json: string): string {
  return json.replace(string, (quoted, offset: number) => {
    const isName = /^\s*:/.test(json.slice(offset + quoted.length, offset + quoted.length + 20));
    if (isName || references.test(quoted)) return quoted;
    return `"${'·'.repeat(quoted.length - 2)}"`;
  });
}
