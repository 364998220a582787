import type { ExitCode } from '../domain/exit-codes.ts';
import { keepMemoryOutOfCoreDumps } from '../effects/core-dumps.ts';
import { compileWhatRunsOften } from '../effects/machine-code.ts';

/**
 * Everything that is not the generator. What is imported here is loaded only then, each a bundle of its own
 * (scripts/lib/bundle.ts).
 */
export async function run(args: readonly string[]): Promise<ExitCode> {
  compileWhatRunsOften();
  keepMemoryOutOfCoreDumps();
  const [command, name, , directory] = args;
  // the calls of every boot, without the parser of command lines
  if (name !== undefined && !name.startsWith('-') && (args.length === 2 || isRoot(args))) {
    const root = (directory ?? '').replace(/\/+$/, '');
    if (command === 'fetch') {
      const { fetchCommand } = await import('./fetch.ts');
      return fetchCommand(name, root);
    }
    if (command === 'render') {
      const { renderCommand } = await import('./render.ts');
      return renderCommand(name, root);
    }
  }
  if (command === 'resolve-child' && args.length === 1) {
    const { resolveChildCommand } = await import('./resolve-child.ts');
    return resolveChildCommand();
  }
  const { runCommandLine } = await import('./command-line.ts');
  return runCommandLine(args);
}

/** Whether the arguments are `COMMAND NAME --root DIR`, as in a rehearsal of a boot. */
function isRoot(args: readonly string[]): boolean {
  return args.length === 4 && args[2] === '--root' && args[3]?.startsWith('/') === true;
}
