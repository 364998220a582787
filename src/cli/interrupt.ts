import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';

/**
 * Does something again and again until somebody presses Ctrl-C, which ends it in order: the cursor is as it
 * was.
 *
 * @param interval milliseconds between the end of one and the beginning of the next
 */
export function untilInterrupted(interval: number, work: () => unknown): Promise<ExitCode> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const end = (): void => {
      clearTimeout(timer);
      process.off('SIGINT', end);
      process.off('SIGTERM', end);
      process.stdout.write('\u001b[?25h');
      resolve(exitCodes.ok);
    };
    const next = (): void => {
      try {
        work();
        timer = setTimeout(next, interval);
      } catch (error) {
        process.stdout.write('\u001b[?25h');
        reject(error);
      }
    };
    process.on('SIGINT', end);
    process.on('SIGTERM', end);
    process.stdout.write('\u001b[?25l\u001b[2J');
    next();
  });
}
