import type { Position } from '../domain/text-position.ts';
import { cutTo, textWidth } from '../domain/text-width.ts';

/** How much of a long line is shown, in columns; half of it on each side of the place. */
const usual = 120;

/**
 * The line of a text that a problem is in, with a caret below the place; undefined if there is no such line, or
 * nothing on it.
 *
 *     12 |   "enviroment": {
 *        |   ^
 *
 * @param columns of the terminal, which must not wrap it
 */
export function snippetOf(text: string, { line, column }: Position, columns = usual): string | undefined {
  const whole = text.split(/\r\n|\n|\r/)[line - 1];
  // of what is covered as a whole there is nothing to see
  if (whole === undefined || /^[\s·]*$/.test(whole)) return undefined;
  const number = String(line);
  // what stands in front of the text, and an ellipsis on each side
  const room = Math.max(20, Math.min(usual, columns - number.length - 7));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a tab would move the caret, others the terminal
  const visible = (part: string): string => part.replace(/[\0-\x1f\x7f-\x9f\ufeff]/g, ' ');
  // no more of a line of megabytes than can be shown
  const most = 4 * room;
  const [left, right] = [
    visible(whole.slice(Math.max(0, column - 1 - most), column - 1)),
    visible(whole.slice(column - 1, column - 1 + most)),
  ];
  const fits = textWidth(left + right) <= room;
  const before = fits ? left : tail(left, room / 2);
  const after = fits ? right : cutTo(right, room - textWidth(before) + 1);
  const lead = before.length < column - 1 ? `…${before}` : before;
  const caret = `${' '.repeat(textWidth(lead))}^`;
  return `  ${number} | ${lead}${after}\n  ${' '.repeat(number.length)} | ${caret}`;
}

/** As much of the end of a text as fits. */
function tail(text: string, width: number): string {
  const characters = [...text];
  let used = 0;
  let start = characters.length;
  while (start > 0 && used + textWidth(characters[start - 1] ?? '') <= width) {
    start--;
    used += textWidth(characters[start] ?? '');
  }
  return characters.slice(start).join('');
}
