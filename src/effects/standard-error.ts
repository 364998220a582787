import { writeSync } from 'node:fs';

/** Writes to standard error; what nobody takes any more is no reason to fail. */
export function writeErr(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // nobody is left to be told
  }
}
