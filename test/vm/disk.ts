/** The disks of virtual machines: made of a Debian tree once, kept in the cache, changed without a mount. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { binary } from '../build/binary.ts';
import { withFileLock } from '../container/lock.ts';
import { cacheDirectory, rootfs, type Suite } from '../container/rootfs.ts';
import { run } from '../container/run.ts';
import { makePackages, packageIn } from '../packaging/packages.ts';

const guest = join(import.meta.dirname, 'guest');

const packages = [
  'iproute2',
  'linux-image-amd64',
  'openssh-server',
  'systemd-sysv',
  'systemd-timesyncd',
  'udev',
  'zstd',
];

/** What a machine boots from; none of the files is to be written to. */
export interface Installation {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  /** The public half of the host's SSH key. */
  readonly hostKey: string;
}

/**
 * A Debian with its own kernel, sshd, and unit-secrets from the package as it is now. The first time for a
 * release takes minutes and the mirror, the first time for a program some ten seconds.
 */
export async function installation(suite: Suite): Promise<Installation> {
  const tree = await rootfs({ suite, packages });
  const name = `${suite}-${await recipeHash(tree)}`;
  const parent = join(cacheDirectory(), 'vm');
  const directory = join(parent, name);
  await mkdir(parent, { recursive: true });
  await withFileLock(join(parent, 'lock'), async () => {
    const others = (await readdir(parent)).filter((other) => other.startsWith(`${suite}-`));
    if (others.includes(name)) return;
    // of earlier programs: each is some hundred megabytes
    for (const other of others) await rm(join(parent, other), { recursive: true });
    await prepare(tree, directory);
  });
  return {
    disk: join(directory, 'disk.img'),
    kernel: join(directory, 'vmlinuz'),
    initrd: join(directory, 'initrd.img'),
    hostKey: await readFile(join(tree, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8'),
  };
}

async function recipeHash(tree: string): Promise<string> {
  const hash = createHash('sha256').update(basename(tree));
  hash.update(await readFile(await binary()));
  const names = (await readdir(guest, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const path of names) hash.update(path).update(await readFile(path));
  return hash.digest('hex').slice(0, 12);
}

async function prepare(tree: string, directory: string): Promise<void> {
  console.error(`making a disk of ${basename(tree)} (kept in ${dirname(directory)})`);
  const made = await makePackages('deb');
  const deb = packageIn(made, /\.deb$/);
  const unfinished = `${directory}.unfinished`;
  try {
    await mkdir(unfinished);
    await run(
      [
        ...['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child=KILL'],
        ...['sh', join(guest, 'prepare.sh'), tree, unfinished, deb, guest],
      ],
      { timeoutMs: 10 * 60_000 },
    );
    await rename(unfinished, directory);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
    await rm(dirname(deb), { recursive: true });
  }
}

/** A copy that may be written to; it takes no more room than what is in it. */
export async function copyDisk(from: string, to: string): Promise<void> {
  await run(['cp', '--sparse=always', '--reflink=auto', from, to]);
}

/** An empty disk. */
export async function emptyDisk(path: string, size: string): Promise<void> {
  await rm(path, { force: true });
  await run(['truncate', '--size', size, path]);
}

/** A disk whose first bytes are a text, filled up with line ends. */
export async function textDisk(path: string, text: string): Promise<void> {
  const length = Math.ceil((text.length * 3 + 1) / 4096) * 4096;
  await writeFile(path, Buffer.from(text).toString('latin1').padEnd(length, '\n'), {
    encoding: 'latin1',
    mode: 0o600,
  });
}

/** A small file system with these files; all are root's, with mode 0600. */
export async function fileDisk(
  path: string,
  label: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<void> {
  await emptyDisk(path, '16M');
  await run(['mke2fs', '-q', '-t', 'ext4', '-L', label, '-E', 'root_owner=0:0', path]);
  await changeDisk(path, { write: files });
}

export interface DiskChanges {
  /** Path in the file system → content; a file that is there is replaced. Directories must exist. */
  readonly write?: Readonly<Record<string, string | Uint8Array>>;
  readonly remove?: readonly string[];
  /** Link → target. */
  readonly link?: Readonly<Record<string, string>>;
}

/** Changes an ext4 file system in a file, by debugfs(8). */
export async function changeDisk(
  disk: string,
  { write = {}, remove = [], link = {} }: DiskChanges,
): Promise<void> {
  const directory = join(tmpdir(), `unit-secrets-disk-${process.pid}`);
  await mkdir(directory, { mode: 0o700 });
  try {
    const commands = [...remove, ...Object.keys(write), ...Object.keys(link)].map((path) => `rm ${path}`);
    for (const [index, [path, content]] of Object.entries(write).entries()) {
      const source = join(directory, String(index));
      await writeFile(source, content, { mode: 0o600 });
      commands.push(`write ${source} ${path}`, `set_inode_field ${path} mode 0100600`);
    }
    for (const [path, target] of Object.entries(link)) commands.push(`symlink ${path} ${target}`);
    const { stderr } = await run(['debugfs', '-w', '-f', '-', disk], { input: `${commands.join('\n')}\n` });
    // it ends with 0 in any case; what was not there to be removed is no error
    const errors = stderr
      .split('\n')
      .filter((line) => line !== '' && !/^debugfs [0-9.]+ |^rm: File not found/.test(line));
    if (errors.length > 0) throw new Error(`cannot change ${disk}: ${errors.join('; ')}`);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Which of these texts are in a file, as bytes: deleted files and free space included. */
export async function textsIn(path: string, texts: readonly string[]): Promise<string[]> {
  // not on a command line
  const input = texts.map((text) => `${text}\n`).join('');
  const { code, stdout } = await run(['grep', '-aoF', '-f', '-', path], { input, check: false });
  if (code > 1) throw new Error(`cannot search ${path}`);
  const found = new Set(stdout.split('\n'));
  return texts.filter((text) => found.has(text));
}
