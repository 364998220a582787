import { generate } from '../generators/unit-secrets-generator.ts';
import { type ExitCode, exitCodes } from './domain/exit-codes.ts';

/**
 * systemd calls a generator with one or three absolute directories and nothing else
 * (systemd.generator(7)). The name that we are called by says nothing: it may be a link or a copy.
 */
function isGeneratorCall(args: readonly string[]): boolean {
  if (args.length !== 1 && args.length !== 3) return false;
  // a loop: what JavaScript's library does with functions the engine compiles anew in each process, 60 us here
  for (const arg of args) if (!arg.startsWith('/')) return false;
  return true;
}

async function main(args: readonly string[]): Promise<ExitCode> {
  if (isGeneratorCall(args)) {
    const root = process.env['UNIT_SECRETS_ROOT']?.replace(/\/+$/, '') ?? '';
    return generate(args[0] ?? '', { root, executable: process.execPath });
  }
  // boot waits for the generator, so that nothing else is loaded before (scripts/lib/bundle.ts)
  const { run } = await import('./cli/entry.ts');
  return run(args);
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
