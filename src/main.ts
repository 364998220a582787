import { generate } from '../generators/unit-secrets-generator.ts';
import { type ExitCode, exitCodes } from './domain/exit-codes.ts';

/**
 * systemd calls a generator with one or three absolute directories and nothing else
 * (systemd.generator(7)). The name that we are called by says nothing: it may be a link or a copy.
 */
function isGeneratorCall(args: readonly string[]): boolean {
  return (args.length === 1 || args.length === 3) && args.every((arg) => arg.startsWith('/'));
}

/** Everything but the generator is loaded when it is needed: boot waits for the one and not for the others. */
async function main(args: readonly string[]): Promise<ExitCode> {
  const [command, name] = args;
  if (isGeneratorCall(args)) {
    const root = (process.env['UNIT_SECRETS_ROOT'] ?? '').replace(/\/+$/, '');
    return generate(args[0] ?? '', { root, executable: process.execPath });
  }
  // the calls of every boot, without the parser of command lines
  if (command === 'fetch' && name !== undefined && !name.startsWith('-') && args.length === 2) {
    const { fetchCommand } = await import('./cli/fetch.ts');
    return fetchCommand(name, '');
  }
  if (command === 'resolve-child' && args.length === 1) {
    const { resolveChildCommand } = await import('./cli/resolve-child.ts');
    return resolveChildCommand();
  }
  const { runCommandLine } = await import('./cli/command-line.ts');
  return runCommandLine(args);
}

main(process.argv.slice(2)).then(
  (exitCode) => {
    // not exit(): output on a pipe is still on its way
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    // commands report their own errors: only what could not even be loaded ends here
    const kind = error instanceof Error ? error.name : typeof error;
    process.stderr.write(
      `this is a bug in unit-secrets: cannot start: unexpected ${kind} (please report it)\n`,
    );
    process.exitCode = exitCodes.software;
  },
);
