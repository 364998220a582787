import { readFileSync, writeSync } from 'node:fs';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';

/**
 * Writes all of a text to standard output before it returns: whoever reads a pipe may be slow, or gone, which is no
 * error.
 *
 * @throws FailureError with 74 if it cannot be written
 */
export function writeOut(text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > 0 && wasClosed()) throw unwritable('EBADF');
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(1, bytes, written);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
      // whoever reads has seen enough, as `head` does
      if (code === 'EPIPE') return;
      // a pipe that does not block is full: try again
      if (code !== 'EAGAIN') throw unwritable(code);
    }
  }
}

function unwritable(code: string | undefined): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.ioError,
    message: `standard output cannot be written${code === undefined ? '' : ` (${code})`}`,
  });
}

let closed: boolean | undefined;

/**
 * Whether this process was started without a standard output. Bun then opens /dev/null in its place, with O_CLOEXEC,
 * which no descriptor that is inherited has: what is written would be lost without a word.
 */
function wasClosed(): boolean {
  if (closed !== undefined) return closed;
  // Node.js sets the flag on all that it inherits
  if (process.versions['bun'] === undefined) return false;
  try {
    // proc_pid_fdinfo(5): the flags are octal, those of open(2)
    const [, flags = '0'] = /^flags:\s*([0-7]+)/m.exec(readFileSync('/proc/self/fdinfo/1', 'utf8')) ?? [];
    closed = (Number.parseInt(flags, 8) & 0o2000000) !== 0;
  } catch {
    // no /proc: it cannot be told
    closed = false;
  }
  return closed;
}
