/**
 * The command that starts this program again. A compiled program is its own executable; run from source,
 * it is the runtime with the entry point.
 */
export function selfCommand(...args: readonly string[]): readonly [string, ...string[]] {
  const script = process.argv[1];
  const compiled = script === undefined || script.startsWith('/$bunfs/');
  return compiled ? [process.execPath, ...args] : [process.execPath, script, ...args];
}
