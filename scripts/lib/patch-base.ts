import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Variables with which anyone who sets our environment could run code of theirs in us, before any code of
 * ours: Bun reads them at start.
 */
const names = ['BUN_OPTIONS', 'BUN_BE_BUN'];

/**
 * Alters one byte of each name in a Bun executable, so that it looks for a variable that nobody sets.
 *
 * @throws Error if a name is not there exactly once: then this Bun is not the one that this was tried with
 */
export function lockEnvironmentOut(path: string): void {
  const bytes = readFileSync(path);
  for (const name of names) {
    const first = bytes.indexOf(name);
    if (first < 0 || bytes.indexOf(name, first + 1) >= 0) {
      throw new Error(`${path} should hold ${name} exactly once: this version of Bun needs another look`);
    }
    bytes[first + 3] = 0x01;
  }
  writeFileSync(path, bytes);
}
