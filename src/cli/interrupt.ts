import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';

/**
 * Does something again and again, and when the terminal is resized, until somebody presses Ctrl-C, which ends it
 * in order: the cursor is as it was.
 *
 * @param interval milliseconds between the end of one and the beginning of the next
 */
export function untilInterrupted(interval: number, work: () => unknown): Promise<ExitCode> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const restore = (): void => {
      clearTimeout(timer);
      process.off('SIGINT', end);
      process.off('SIGTERM', end);
      process.off('SIGWINCH', next);
      process.stdout.write('\u001b[?25h');
    };
    const end = (): void => {
      restore();
      resolve(exitCodes.ok);
    };
    const next = (): void => {
      clearTimeout(timer);
      try {
        work();
        timer = setTimeout(next, interval);
      } catch (error) {
        restore();
        reject(error);
      }
    };
    process.on('SIGINT', end);
    process.on('SIGTERM', end);
    // the terminal is another size: what is there has moved
    process.on('SIGWINCH', next);
    process.stdout.write('\u001b[?25l\u001b[2J');
    next();
  });
}
