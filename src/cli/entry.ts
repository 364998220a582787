import type { ExitCode } from '../domain/exit-codes.ts';
import { compileWhatRunsOften } from '../effects/machine-code.ts';

/** Everything that is not the generator; loaded by main.ts only when it is needed, like each command here. */
export async function run(args: readonly string[]): Promise<ExitCode> {
  compileWhatRunsOften();
  const [command, name] = args;
  // the calls of every boot, without the parser of command lines
  if (command === 'fetch' && name !== undefined && !name.startsWith('-') && args.length === 2) {
    const { fetchCommand } = await import('./fetch.ts');
    return fetchCommand(name, '');
  }
  if (command === 'render' && name !== undefined && !name.startsWith('-') && args.length === 2) {
    const { renderCommand } = await import('./render.ts');
    return renderCommand(name, '');
  }
  if (command === 'resolve-child' && args.length === 1) {
    const { resolveChildCommand } = await import('./resolve-child.ts');
    return resolveChildCommand();
  }
  const { runCommandLine } = await import('./command-line.ts');
  return runCommandLine(args);
}
