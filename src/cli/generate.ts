import { plan } from '../../generators/unit-secrets-generator.ts';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { formatProblem } from '../domain/problem.ts';
import { log } from '../effects/journal-log.ts';
import { writeFiles } from '../effects/unit-writer.ts';
import { paths } from '../unit/paths.ts';
import { toExitCode } from './report-failure.ts';

/** `generate --output DIR`: what the generator does, by hand; problems go to stderr instead of the kernel's log. */
export function generateCommand(options: {
  readonly output: string;
  readonly root: string;
}): Promise<ExitCode> {
  return toExitCode(async () => {
    const result = await plan({ root: options.root, executable: process.execPath });
    if (!result) {
      log('info', `nothing to do: there is no ${options.root}${paths.manifest}`);
      return exitCodes.ok;
    }
    for (const problem of result.problems) log('error', formatProblem(problem));
    let failures: readonly string[];
    try {
      failures = writeFiles(options.output, result.files, result.links);
    } catch (error) {
      throw new FailureError({
        class: 'permanent',
        exitCode: exitCodes.cannotCreate,
        message: `cannot write units to ${options.output}: ${error instanceof Error ? error.message : 'unknown error'}`,
      });
    }
    for (const failure of failures) log('error', failure);
    if (failures.length > 0) return exitCodes.cannotCreate;
    const count = result.files.length + result.links.length;
    log('info', `wrote ${count} file${count === 1 ? '' : 's'} to ${options.output}`);
    return result.problems.length > 0 ? exitCodes.problems : exitCodes.ok;
  });
}
