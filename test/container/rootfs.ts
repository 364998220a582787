/**
 * The Debian trees that test containers boot from: made once by debootstrap, kept outside of the checkout,
 * never written to afterwards (every container puts an overlay above).
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withFileLock } from './lock.ts';
import { debianMirror } from './mirror.ts';
import { run } from './run.ts';

export type Suite = 'bullseye' | 'bookworm' | 'trixie' | 'sid';

/** procps for tests that look at processes; everything else that a test needs it names itself. */
const BASE_PACKAGES = ['dbus', 'procps', 'systemd'];

/**
 * Units that a container of a few seconds has no use for. Terminals because there is none; the timers
 * because a job of theirs in the middle of a test would be noise.
 */
const MASKED_UNITS = [
  'apt-daily-upgrade.timer',
  'apt-daily.timer',
  'console-getty.service',
  'container-getty@.service',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'getty-static.service',
  'getty@.service',
  'ldconfig.service',
  'man-db.timer',
  'serial-getty@.service',
  'systemd-firstboot.service',
  'systemd-hwdb-update.service',
  'systemd-journal-catalog-update.service',
  'systemd-networkd-wait-online.service',
  'systemd-pstore.service',
];

/** Without a machine-id every boot would be a first boot, with presets applied. */
const MACHINE_ID = '7f1d6a4c0b9e4f0c8a3b5d2e1c4f6a90';

/** Done in the new tree ($1), the units to mask after it. Part of the recipe, so of the cache's name. */
const FINISH = `
set -eu
root=$1; shift
echo ${MACHINE_ID} >"$root/etc/machine-id"
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
for unit; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log \\
  "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/*
# newer than /usr: else ConditionNeedsUpdate= makes every boot redo the caches of an upgrade
touch "$root/etc/.updated" "$root/var/.updated"
`;

export interface RootfsOptions {
  readonly suite?: Suite;
  /** Debian packages besides the base: each set is a tree of its own in the cache. */
  readonly packages?: readonly string[];
}

/** Where the trees, the downloaded packages and the containers' console logs are kept. */
export function cacheDirectory(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'unit-secrets');
}

/** The path of a finished tree; builds it (about a minute, needs the mirror) when there is none yet. */
export async function rootfs(options: RootfsOptions = {}): Promise<string> {
  const suite = options.suite ?? 'bookworm';
  const packages = [...new Set([...BASE_PACKAGES, ...(options.packages ?? [])])].sort();
  const parent = join(cacheDirectory(), 'rootfs');
  const name = `${suite}-${recipeHash(suite, packages)}`;
  const tree = join(parent, name);
  if (await isDirectory(tree)) {
    return tree;
  }
  await mkdir(parent, { recursive: true });
  return withFileLock(join(parent, `${name}.lock`), async () => {
    // another process may have built it while this one waited for the lock
    if (!(await isDirectory(tree))) {
      await build(suite, packages, parent, tree);
    }
    return tree;
  });
}

function recipeHash(suite: Suite, packages: readonly string[]): string {
  const recipe = JSON.stringify({ suite, packages, MASKED_UNITS, FINISH });
  return createHash('sha256').update(recipe).digest('hex').slice(0, 12);
}

/** Called with the lock held. A tree has its final name only when it is complete. */
async function build(suite: Suite, packages: readonly string[], parent: string, tree: string): Promise<void> {
  await removeUnfinished(tree, parent);
  const unfinished = `${tree}.unfinished-${process.pid}`;
  const packageCache = join(cacheDirectory(), 'packages');
  await mkdir(packageCache, { recursive: true });
  const mirror = await debianMirror();
  console.error(`building a Debian ${suite} root file system from ${mirror} (once; kept in ${parent})`);
  const debootstrap = [
    'debootstrap',
    '--variant=minbase',
    `--include=${packages.join(',')}`,
    `--cache-dir=${packageCache}`,
    suite,
    unfinished,
    mirror,
  ];
  try {
    await run([...PRIVATE_NAMESPACES, ...debootstrap], {
      timeoutMs: 15 * 60_000,
      env: { ...process.env, ...(await aptProxy()), DEBIAN_FRONTEND: 'noninteractive' },
    });
  } catch (error) {
    const log = await run(['tail', '-n', '20', join(unfinished, 'debootstrap/debootstrap.log')], {
      check: false,
    });
    await rm(unfinished, { recursive: true, force: true });
    throw new Error(
      `debootstrap of ${suite} from ${mirror} failed; is the mirror reachable, is debootstrap installed?\n${log.stdout}`,
      { cause: error },
    );
  }
  await run(['sh', '-c', FINISH, 'finish', unfinished, ...MASKED_UNITS]);
  await rename(unfinished, tree);
}

/**
 * debootstrap mounts /proc in the new tree and starts programs there: in namespaces of their own both are
 * gone when it is, even if it was killed.
 */
const PRIVATE_NAMESPACES = [
  ...['setpriv', '--pdeathsig', 'KILL'],
  ...[
    'unshare',
    '--mount',
    '--propagation',
    'private',
    '--pid',
    '--fork',
    '--kill-child=KILL',
    '--mount-proc',
  ],
];

async function removeUnfinished(tree: string, parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (path.startsWith(`${tree}.unfinished-`)) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

/** debootstrap downloads with wget, which knows apt's proxy only from the environment. */
async function aptProxy(): Promise<NodeJS.ProcessEnv> {
  const { stdout } = await run(['apt-config', 'dump', '--format', '%v', 'Acquire::http::Proxy'], {
    check: false,
  });
  return stdout === '' || process.env['http_proxy'] !== undefined ? {} : { http_proxy: stdout };
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
