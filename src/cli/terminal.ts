import { isatty } from 'node:tty';
import { writeOut } from '../effects/standard-output.ts';

const codes = { bold: 1, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36, dim: 2 } as const;

export type Colour = keyof typeof codes;

/** Whether colours go to standard output: a terminal, and nobody asked for none (no-color.org). */
export function hasColours(descriptor: 1 | 2 = 1): boolean {
  const none = process.env['NO_COLOR'];
  return isatty(descriptor) && (none === undefined || none === '') && process.env['TERM'] !== 'dumb';
}

/** A text in a colour, where there are colours. */
export function paint(colour: Colour, text: string, descriptor: 1 | 2 = 1): string {
  return hasColours(descriptor) && text !== '' ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}

/**
 * Writes to standard output, all of it.
 *
 * @throws FailureError with 74 if it cannot be written
 */
export function print(text: string): void {
  writeOut(text);
}

/** What `--json` prints. */
export function printJson(value: unknown): void {
  print(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** Whether somebody looks at standard output. */
export function isTerminal(): boolean {
  return isatty(1);
}

/** How large the terminal is that standard output is; undefined where it is none, or does not say. */
export function terminalSize(): { readonly columns: number; readonly rows: number } | undefined {
  if (!isatty(1)) return undefined;
  const [columns, rows] = process.stdout.getWindowSize();
  return columns > 0 && rows > 0 ? { columns, rows } : undefined;
}
