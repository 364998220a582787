/**
 * What Bun reads from the environment before any code of ours runs: options (`--preload` among them), the
 * wish to be the Bun command line, a debugger to listen for, to connect to or to wait for, for ever, and files
 * to write the order of functions to.
 */
const names = [
  'BUN_OPTIONS',
  'BUN_BE_BUN',
  'BUN_INSPECT',
  'BUN_INSPECT_CONNECT_TO',
  'BUN_INSPECT_PRELOAD',
  'BUN_BYTECODE_ORDER_OUT',
  'BUN_BYTECODE_ORDER_NAMES_OUT',
];

/**
 * Alters the first byte of each name in a Bun executable to NUL: no entry of an environment has that in its
 * name, so that Bun never finds one.
 *
 * @throws Error if a name is not there exactly once: then this Bun is not the one that this was tried with
 */
export function lockEnvironmentOut(executable: Buffer): void {
  for (const name of names) {
    const text = `\0${name}\0`;
    const first = executable.indexOf(text);
    if (first < 0 || executable.indexOf(text, first + 1) >= 0) {
      throw new Error(`Bun should hold ${name} exactly once: this version of it needs another look`);
    }
    executable[first + 1] = 0;
  }
}

/** @throws Error if the executable is of another version than the bundler: Bun itself would not notice */
export function requireVersion(executable: Buffer, version: string): void {
  if (!executable.includes(`Bun v${version} (`)) {
    throw new Error(`the executable to put the program into is not Bun ${version}, which the bundler is`);
  }
}
