/** One boot of a virtual machine, from power-on to power-off. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../container/run.ts';
import { emptyDisk } from './disk.ts';

export interface Boot {
  readonly kernel: string;
  readonly initrd: string;
  /** Written to, as are the others but for `needles`. */
  readonly disk: string;
  /** A file system for /srv. */
  readonly config: string;
  readonly swap: string;
  /** What the machine looks for. */
  readonly needles: string;
  /** Gets what comes over the serial line. */
  readonly console: string;
  /** More words for the kernel's command line. */
  readonly append?: readonly string[];
  /** What the machine's clock says at power-on, `YYYY-MM-DDTHH:MM:SS` in UTC. */
  readonly clock?: string;
  readonly network?: boolean;
  readonly timeoutMs: number;
}

/** What the machine reported: name of a file → its text. */
export type Report = ReadonlyMap<string, string>;

/** Boots, waits until the machine has switched itself off, and gives its report. */
export async function boot(options: Boot): Promise<Report> {
  const directory = await mkdtemp(join(tmpdir(), 'unit-secrets-vm-'));
  try {
    const report = join(directory, 'report');
    await emptyDisk(report, '32M');
    await power(options, report);
    const { code } = await run(['tar', '-xf', report, '-C', directory], { check: false });
    if (code !== 0) throw new Error(`the machine went off without a report: see ${options.console}`);
    const files = join(directory, 'boot-report');
    const names = await readdir(files);
    return new Map(
      await Promise.all(
        names.map(async (name) => [name, await readFile(join(files, name), 'utf8')] as const),
      ),
    );
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function power(options: Boot, report: string): Promise<void> {
  const { kernel, initrd, append = [], clock, network = true } = options;
  const disk = (name: string, path: string, more = ''): string[] => [
    ...[
      '-drive',
      `if=none,id=${name},file=${path},format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap${more}`,
    ],
    ...['-device', `virtio-blk-pci,drive=${name},serial=${name}`],
  ];
  const words = [
    'root=LABEL=root',
    'ro',
    'console=ttyS0,115200',
    'panic=-1',
    'loglevel=4',
    'mitigations=off',
    'systemd.show_status=error',
    ...append,
  ];
  const args = [
    ...['-no-user-config', '-nodefaults', '-display', 'none', '-no-reboot'],
    // the same everywhere, whatever this machine can do and however busy it is: the virtual machine's time
    // passes with its instructions, one in each nanosecond, and it has one processor since two share that time;
    // one of 2008, without AVX, as old machines at home are
    ...['-machine', 'q35,accel=tcg', '-cpu', 'Nehalem', '-icount', 'shift=0', '-m', '1024'],
    ...['-serial', `file:${options.console}`],
    ...['-kernel', kernel, '-initrd', initrd, '-append', words.join(' ')],
    ...disk('root', options.disk),
    ...disk('config', options.config),
    ...disk('swap', options.swap),
    ...disk('needles', options.needles, ',readonly=on'),
    ...disk('report', report),
    ...['-device', 'virtio-rng-pci'],
    ...(clock === undefined ? [] : ['-rtc', `base=${clock}`]),
    ...(network
      ? ['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile=']
      : ['-nic', 'none']),
  ];
  // a session of its own, since processors are shared by session (sched(7), autogroup). a run that is killed
  // leaves no machine behind
  const program = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args];
  const machine = spawn('setpriv', program, {
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const timer = setTimeout(() => machine.kill('SIGKILL'), options.timeoutMs);
  try {
    const [code] = (await once(machine, 'exit')) as [number | null];
    if (code === null) throw new Error(`not off after ${options.timeoutMs / 1000} s: see ${options.console}`);
    if (code !== 0) throw new Error(`qemu ended with ${code}: see ${options.console}`);
  } finally {
    clearTimeout(timer);
  }
}

/** As `sha256sum` says it. */
export function digestOf(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}
