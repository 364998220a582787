import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { log } from '../effects/journal-log.ts';

/** Runs a command to its exit code: expected trouble becomes one line on stderr, a bug says that it is one. */
export async function toExitCode(command: () => ExitCode | Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await command();
  } catch (error) {
    if (error instanceof FailureError) {
      const { message, hint, exitCode } = error.failure;
      log('error', hint === undefined ? message : `${message} (${hint})`);
      return exitCode;
    }
    // the text of an unknown error may hold anything, a value too: its place must do
    const place = error instanceof Error ? (/\bat (\S+)/.exec(error.stack ?? '')?.[1] ?? '') : '';
    const kind = error instanceof Error ? error.name : typeof error;
    const code = error instanceof Error && 'code' in error ? ` ${String(error.code)}` : '';
    log(
      'error',
      `this is a bug in unit-secrets: unexpected ${kind}${code}${place === '' ? '' : ` in ${place}`} (please report it)`,
    );
    return exitCodes.software;
  }
}
