/**
 * One cgroup per container, at the top of the machine's cgroup v2 tree: systemd in a container believes
 * that it owns the tree below, and two that share one would end each other's services.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './run.ts';

export const BOX_SCRIPT = fileURLToPath(new URL('box.sh', import.meta.url));

const PREFIX = 'unit-secrets-test';

/** Process ids are reused: with the start time the pair is unique while the machine is up. */
const NAME = new RegExp(`^${PREFIX}-(?<pid>[0-9]+)-(?<start>[0-9]+)-[0-9]+$`);

let count = 0;

/** A cgroup that no other container has, named after the test process, below the mount point of v2. */
export async function newCgroupName(): Promise<string> {
  const start = await startTime(process.pid);
  if (start === undefined) {
    throw new Error('cannot read /proc/self/stat: is /proc mounted?');
  }
  count += 1;
  return `${PREFIX}-${process.pid}-${start}-${count}`;
}

/** Where this machine shows the cgroup v2 tree: all of /sys/fs/cgroup, or a part beside v1. */
export async function cgroupMount(): Promise<string> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  for (const line of mounts.split('\n')) {
    // 33 24 0:28 / /sys/fs/cgroup rw,nosuid … - cgroup2 cgroup2 rw
    const [mount, fileSystem] = line.split(' - ');
    if (mount !== undefined && fileSystem?.startsWith('cgroup2 ') === true) {
      const [, , , root, mountPoint] = mount.split(' ');
      if (root === '/' && mountPoint !== undefined) {
        return mountPoint;
      }
    }
  }
  throw new Error(
    'the tests boot systemd in containers, which needs cgroup v2, and none is mounted: ' +
      'mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified',
  );
}

/** Ends every process in the cgroup (and below), then removes it; nothing to do when there is none. */
export async function clearCgroup(directory: string): Promise<void> {
  await run(['sh', BOX_SCRIPT, 'clear', directory]);
}

/**
 * Clears what killed test runs may have left: the cgroups whose owner is no more. Normally box.sh has done
 * it already; this is for the case that it was killed too.
 */
export async function sweepAbandonedCgroups(): Promise<void> {
  const mount = await cgroupMount();
  for (const name of await readdir(mount)) {
    const { pid, start } = NAME.exec(name)?.groups ?? {};
    if (pid !== undefined && start !== undefined && (await startTime(Number(pid))) !== start) {
      await clearCgroup(join(mount, name));
    }
  }
}

/** When a process was started, in clock ticks since the machine was; `undefined` if there is none. */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // field 22; the second one, the command, may have blanks and brackets in it
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}
