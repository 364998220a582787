import { mkdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { isAlive } from './processes.ts';
import { remove, writeNew } from './secret-directory.ts';

export interface Lock {
  /** False once somebody else has taken or removed the lock. */
  readonly sound: () => boolean;
  /** Settles when it is lost. */
  readonly lost: Promise<undefined>;
  release(): Promise<void>;
}

/** How often the holder touches its lock, in milliseconds. */
const touchInterval = 2_000;
/** A lock that nobody has touched for so long, as we have watched it ourselves, is taken over. */
const staleAfter = 15_000;
/** proper-lockfile would compare the lock's time with the wall clock, which jumps: it never finds one stale. */
const never = 2 ** 46;

/**
 * The host-wide lock: a directory that its holder touches, and beside it a file that names the holder. One
 * whose holder is dead is had at once, one whose holder hangs after 15 s of the monotonic clock.
 *
 * Should two hold it for a moment, both do the same work; the one that lost it notices within 2 s.
 */
export class HostLock {
  readonly #target: string;
  readonly #path: string;
  readonly #holder: string;
  /** The lock as it was seen last, and since when. */
  #seen: { readonly mtime: number; readonly since: number } | undefined;

  /** @param directory where it is made */
  constructor(directory: string) {
    this.#target = `${directory}/fetch`;
    this.#path = `${this.#target}.lock`;
    this.#holder = `${directory}/holder`;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /**
   * @returns undefined if somebody else holds it
   * @throws the file system's error
   */
  async tryTake(): Promise<Lock | undefined> {
    if (this.#isHeld()) return undefined;
    // not before it is needed: most that wait never take it
    const { lockDirectory } = await import('./lock-directory.ts');
    const { promise: lost, resolve } = Promise.withResolvers<undefined>();
    let sound = true;
    const release = await lockDirectory(this.#target, {
      stale: never,
      update: touchInterval,
      onCompromised: () => {
        sound = false;
        resolve(undefined);
      },
    });
    if (!release) return undefined;
    const ino = this.#inode();
    try {
      writeNew(this.#holder, JSON.stringify({ pid: process.pid, ino }), 0o600);
    } catch {
      // no room: then, should we be killed, others wait until the lock is stale
    }
    return {
      sound: () => sound,
      lost,
      release: async () => {
        const holder = this.#readHolder();
        const named = holder?.pid === process.pid && holder.ino === ino;
        try {
          if (named) remove(this.#holder);
        } catch {
          // a directory that has become read-only: the lock is stale in 15 s
        }
        // one that was taken over or removed is not ours to release; some file systems use an inode again
        if (this.#inode() !== ino || !(sound || named)) return;
        if (sound) await release().catch(() => {});
        // whose time somebody has changed is still ours: left there, all would wait until it is stale
        else removeDirectory(this.#path);
      },
    };
  }

  #inode(): number | undefined {
    return statSync(this.#path, { throwIfNoEntry: false })?.ino;
  }

  /** Looks without waiting; removes a lock that its holder will not release any more. */
  #isHeld(): boolean {
    const lock = statSync(this.#path, { throwIfNoEntry: false });
    if (!lock) return false;
    const now = performance.now();
    if (this.#seen?.mtime !== lock.mtimeMs) this.#seen = { mtime: lock.mtimeMs, since: now };
    if (now - this.#seen.since < staleAfter && !this.#isHolderDead(lock.ino)) return true;
    this.#seen = undefined;
    remove(this.#holder);
    removeDirectory(this.#path);
    return false;
  }

  /** Only if the file is about this very lock: its writer may be between the two. */
  #isHolderDead(ino: number): boolean {
    const holder = this.#readHolder();
    return holder?.ino === ino && !isAlive(holder.pid);
  }

  /** Who holds which lock, as far as the file tells. */
  #readHolder(): { readonly pid: number; readonly ino: unknown } | undefined {
    try {
      const holder: unknown = JSON.parse(readFileSync(this.#holder, 'utf8'));
      if (typeof holder !== 'object' || holder === null) return undefined;
      if (!('pid' in holder) || typeof holder.pid !== 'number' || !('ino' in holder)) return undefined;
      return { pid: holder.pid, ino: holder.ino };
    } catch {
      return undefined;
    }
  }
}

function removeDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}
