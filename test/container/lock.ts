/**
 * A lock between processes that the kernel lets go of when its owner dies. Node has no flock(2), and a
 * lock file with a process id in it can outlive its owner: so flock(1) holds it, for as long as its
 * standard input, a pipe from here, stays open.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const holder = spawn('flock', ['--exclusive', path, 'sh', '-c', 'echo locked && exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const ended = once(holder, 'exit');
  const answered = await Promise.race([
    once(holder.stdout, 'data').then(() => true),
    ended.then(() => false),
  ]);
  if (!answered) {
    throw new Error(`cannot lock ${path} (is its directory writable?)`);
  }
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
