import { lockDirectory } from './lock-directory.ts';

/** A holder that has not touched its lock for so long is dead, in milliseconds. */
const stale = 20_000;

/**
 * Takes the lock that belongs to a file, the directory `FILE.lock` beside it, waiting for it until the
 * deadline.
 *
 * @param deadline on the monotonic clock, in milliseconds as `performance.now()` counts
 * @returns how to release it; undefined if the deadline passed
 * @throws the file system's error if it cannot be made
 */
export async function takeFileLock(
  target: string,
  deadline: number,
): Promise<(() => Promise<void>) | undefined> {
  while (performance.now() < deadline) {
    let sound = true;
    const release = await lockDirectory(target, {
      stale,
      update: 5_000,
      onCompromised: () => {
        sound = false;
      },
    });
    if (release) {
      // one that was taken over is not ours to release
      return async () => {
        if (sound) await release().catch(() => {});
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 100));
  }
  return undefined;
}
