/**
 * A container's place on the machine without a running system in it: a private mount namespace with an
 * overlay on tmpfs, and a cgroup. It stays over power cycles, so /etc and /var do as well.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { BOX_SCRIPT, cgroupMount, clearCgroup, newCgroupName, sweepAbandonedCgroups } from './cgroup.ts';

/** The merged tree, as paths are in the box's mount namespace. */
export const BOX_ROOT = '/run/box/root';

/** Once per test process: looking again would find nothing new. */
let swept: Promise<void> | undefined;

export class Box {
  /** Unique on this machine: names the cgroup and the log. */
  readonly name: string;
  /** The box's cgroup, as the test process sees it. */
  readonly cgroup: string;
  readonly #holder: ChildProcessByStdio<Writable, Readable, null>;
  readonly #ended: Promise<unknown>;

  private constructor(name: string, cgroup: string, holder: ChildProcessByStdio<Writable, Readable, null>) {
    this.name = name;
    this.cgroup = cgroup;
    this.#holder = holder;
    this.#ended = once(holder, 'exit');
  }

  static async open(tree: string): Promise<Box> {
    if (process.getuid?.() !== 0) {
      throw new Error('the container tests need root (mounts, namespaces, cgroups): run them with sudo');
    }
    swept ??= sweepAbandonedCgroups();
    await swept;
    const name = await newCgroupName();
    const cgroup = join(await cgroupMount(), name);
    // detached: Ctrl-C at a terminal goes to the whole group, and box.sh is who cleans up after it
    const holder = spawn(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', BOX_SCRIPT, 'hold', tree, `/${name}`],
      { stdio: ['pipe', 'pipe', 'inherit'], detached: true },
    );
    holder.stdin.on('error', () => {});
    const box = new Box(name, cgroup, holder);
    const ready = await Promise.race([
      once(holder.stdout, 'data').then(() => true),
      box.#ended.then(() => false),
    ]);
    if (!ready) {
      throw new Error(
        'cannot set up a container: mounting needs CAP_SYS_ADMIN, overlayfs and a writable cgroup v2 tree ' +
          '(in an unprivileged container of another kind they are missing); the reason is on standard error',
      );
    }
    // should somebody forget to close the box, that must not keep the test process alive
    holder.stdout.destroy();
    holder.unref();
    return box;
  }

  /** Put before a command, runs it among the box's mounts. */
  get enter(): readonly string[] {
    return ['nsenter', `--mount=/proc/${this.#holder.pid}/ns/mnt`, '--'];
  }

  /** Ends whatever runs in the box, at once. */
  async clear(): Promise<void> {
    await clearCgroup(this.cgroup);
  }

  /** Ends everything; box.sh then removes the cgroup, and with it goes the last hold on the mounts. */
  async close(): Promise<void> {
    this.#holder.ref();
    this.#holder.stdin.end();
    await this.#ended;
  }
}
