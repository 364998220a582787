import { mkdirSync } from 'node:fs';
import { lock } from 'proper-lockfile';

export interface Lock {
  /** False once the lock may have been taken over, for instance after the wall clock jumped. */
  readonly sound: () => boolean;
  release(): Promise<void>;
}

/**
 * Takes the host-wide lock, waiting for it until the deadline.
 *
 * @param directory where the lock's directory is made; it must exist
 * @param deadline on the monotonic clock, in milliseconds as `performance.now()` counts
 * @returns undefined if the deadline passed
 */
export async function takeLock(directory: string, deadline: number): Promise<Lock | undefined> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return takeFileLock(`${directory}/fetch`, deadline);
}

/**
 * Takes the lock that belongs to a file, the directory `FILE.lock` beside it, likewise.
 *
 * @throws the file system's error if that cannot be made
 */
export async function takeFileLock(target: string, deadline: number): Promise<Lock | undefined> {
  while (performance.now() < deadline) {
    let sound = true;
    try {
      const release = await lock(target, {
        realpath: false,
        stale: 20_000,
        update: 5_000,
        onCompromised: () => {
          sound = false;
        },
      });
      return {
        sound: () => sound,
        release: async () => {
          // one that was taken over is not ours to release
          if (sound) await release().catch(() => {});
        },
      };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ELOCKED')) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 100));
    }
  }
  return undefined;
}
