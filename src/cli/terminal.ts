import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';

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

/** Writes to standard output, all of it: whoever reads a pipe may be slow, or gone. */
export function print(text: string): void {
  const bytes = Buffer.from(text);
  try {
    for (let written = 0; written < bytes.length; ) {
      try {
        written += writeSync(1, bytes, written);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
        // a pipe that is full for now, in the non-blocking mode of somebody else
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
      }
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error;
  }
}

/** What `--json` prints. */
export function printJson(value: unknown): void {
  print(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** Whether somebody looks at standard output. */
export function isTerminal(): boolean {
  return isatty(1);
}

/** Columns of the terminal; undefined where there is none. */
export function terminalWidth(): number | undefined {
  return isatty(1) ? process.stdout.columns || undefined : undefined;
}
