import { writeSync } from 'node:fs';

/** Writes all of a text to standard output before it returns. */
export function writeOut(text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(1, bytes, written);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      // whoever reads has seen enough, as `head` does
      if (code === 'EPIPE') return;
      // a pipe that does not block is full: try again
      if (code !== 'EAGAIN') throw error;
    }
  }
}
