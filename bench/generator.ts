/**
 * The generator against others with as many entries: whole processes, run in turns, in memory. Prints medians of wall
 * time and of CPU time, how they spread, and their ratios to systemd's own systemd-fstab-generator; then memory, and
 * time with the programs out of the page cache. Trust the ratios; of those, where the machine is shared, the CPU's.
 *
 *     npx node bench/generator.ts [--rounds FACTOR] [--others DIR]
 *
 * --rounds   how many times the usual number of rounds, such as 0.2 for a quick look
 * --others   where Debian's packages systemd-zram-generator, netplan.io and libnetplan0 are unpacked
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { binary } from '../test/build/binary.ts';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '1' }, others: { type: 'string', default: '/' } },
});
const fstabGenerator = '/usr/lib/systemd/system-generators/systemd-fstab-generator';
if (!existsSync(fstabGenerator)) {
  console.error(`bench: ${fstabGenerator} is missing: install Debian's package systemd`);
  process.exit(1);
}
const sizes = [
  { entries: 1, rounds: 300 },
  { entries: 10, rounds: 300 },
  { entries: 100, rounds: 100 },
  { entries: 1000, rounds: 30 },
];

interface Command {
  readonly name: string;
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly clear: readonly string[];
}

const program = await binary();
const work = mkdtempSync('/dev/shm/unit-secrets-bench-');
const path = { PATH: '/usr/bin:/bin' };

/** Writes a file with as many lines or entries, and says where. */
function write(root: string, file: string, text: string): string {
  const whole = join(root, file);
  mkdirSync(join(whole, '..'), { recursive: true });
  writeFileSync(whole, text, { mode: 0o600 });
  return whole;
}

function times(entries: number, text: (index: number) => string): string {
  return Array.from({ length: entries }, (_, index) => text(index)).join('');
}

function manifestOf(entries: number): string {
  const services = Object.fromEntries(
    Array.from({ length: entries }, (_, index) => [
      `service-${index}`,
      {
        environment: {
          TOKEN: `op://Homelab/Service ${index}/token`,
          URL: `x://u:{{ op://Homelab/Service ${index}/password }}@h`,
        },
      },
    ]),
  );
  return JSON.stringify({ version: 1, services }, undefined, 2);
}

/** A generator in a directory of its own for its units. */
function generator(name: string, file: string, env: Readonly<Record<string, string>>, root: string): Command {
  const units = join(root, `units-${name}`);
  return { name, path: file, argv: [file, units, units, units], env: { ...path, ...env }, clear: [units] };
}

function commandsFor(entries: number, root: string): Command[] {
  const fstab = times(entries, (i) => `/dev/disk/by-label/l${i} /srv/mount-${i} ext4 defaults,nofail 0 2\n`);
  write(root, 'etc/unit-secrets/manifest.json', manifestOf(entries));
  const commands = [
    generator('fstab', fstabGenerator, { SYSTEMD_FSTAB: write(root, 'fstab', fstab) }, root),
    generator('ours', program, { UNIT_SECRETS_ROOT: root }, root),
  ];
  const zram = join(options.others, 'lib/systemd/system-generators/zram-generator');
  if (existsSync(zram)) {
    write(
      root,
      'etc/systemd/zram-generator.conf',
      times(entries, (i) => `[zram${i}]\nzram-size = 100\nfs-type = ext4\nmount-point = /srv/z${i}\n\n`),
    );
    write(root, 'proc/meminfo', 'MemTotal: 4000000 kB\n');
    commands.push(generator('zram', zram, { ZRAM_GENERATOR_ROOT: root }, root));
  }
  const netplan = join(options.others, 'usr/libexec/netplan/generate');
  if (existsSync(netplan)) {
    const yaml = `network:\n  version: 2\n  ethernets:\n${times(entries, (i) => `    eth${i}:\n      dhcp4: true\n`)}`;
    write(root, 'netplan/etc/netplan/a.yaml', yaml);
    const units = join(root, 'units-netplan');
    commands.push({
      name: 'netplan',
      path: netplan,
      // it tells by its name that it is called as a generator
      argv: [
        '/lib/systemd/system-generators/netplan',
        '--root-dir',
        join(root, 'netplan'),
        units,
        units,
        units,
      ],
      env: { ...path, LD_LIBRARY_PATH: join(options.others, `usr/lib/${machineLibraries()}`) },
      clear: [units, join(root, 'netplan/run')],
    });
  }
  return commands;
}

const machineLibraries = (): string => `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

interface Run {
  readonly wall: number;
  readonly cpu: number;
  readonly memory: number;
}

function run(rounds: number, commands: readonly Command[], more: Readonly<Record<string, unknown>>): Run[][] {
  const output = execFileSync('python3', [join(import.meta.dirname, 'spawn.py')], {
    input: JSON.stringify({ rounds: Math.ceil(rounds * Number(options.rounds)), commands, ...more }),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
    maxBuffer: 1e8,
  });
  const runs = JSON.parse(output) as [number, number, number][][];
  return runs.map((list) =>
    list.map(([wall, cpu, memory]) => ({ wall: wall * 1e3, cpu: cpu * 1e3, memory })),
  );
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
}

function countFiles(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter(
    (entry) => !entry.isDirectory(),
  ).length;
}

/** Median and middle half, and the ratio of the medians to the first one's. */
function show(runs: readonly Run[], first: readonly Run[], what: 'wall' | 'cpu'): string {
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) =>
    quantile(
      runs.map((one) => one[what]),
      share,
    ),
  ) as [number, number, number];
  const ratio =
    middle /
    quantile(
      first.map((one) => one[what]),
      0.5,
    );
  const spread = `${low.toFixed(1)}-${high.toFixed(1)}`;
  return `${middle.toFixed(1).padStart(8)} (${spread.padStart(13)}) ${ratio.toFixed(2).padStart(5)}`;
}

/** The program and what it is linked with. */
function filesOf(file: string, env: Readonly<Record<string, string>>): string[] {
  const linked = execFileSync('ldd', [file], { encoding: 'utf8', env: { ...env } });
  const libraries = [...linked.matchAll(/(\/\S+) \(/g)].map(([, library = '']) => realpathSync(library));
  return [file, ...libraries];
}

try {
  if (!existsSync(join(options.others, 'usr/libexec/netplan/generate'))) {
    console.log(`zram-generator and netplan are not compared: to have them,
  apt-get download systemd-zram-generator netplan.io libnetplan0
  for package in *.deb; do dpkg -x $package others; done
and call this with --others others\n`);
  }
  console.log(
    'entries  generator   wall ms       (middle half) ratio   CPU ms       (middle half) ratio  files',
  );
  for (const { entries, rounds } of sizes) {
    const root = join(work, String(entries));
    const commands = commandsFor(entries, root);
    const runs = run(rounds, commands, {});
    for (const [index, { name, clear }] of commands.entries()) {
      const [own = [], first = []] = [runs[index], runs[0]];
      const files = clear.reduce((sum, directory) => sum + countFiles(directory), 0);
      console.log(
        `${String(entries).padStart(7)}  ${name.padEnd(8)} ${show(own, first, 'wall')} ${show(own, first, 'cpu')} ${String(files).padStart(6)}`,
      );
    }
    rmSync(root, { recursive: true });
  }
  const commands = commandsFor(10, join(work, 'ten'));
  const evict = commands.flatMap(({ path: file, env }) => filesOf(file, env));
  const canMeasure = existsSync('/usr/bin/time');
  if (!canMeasure) console.log("\npeak memory is not measured: install Debian's package time");
  const memory = canMeasure ? run(10, commands, { memory: true }) : [];
  const cold = run(10, commands, { evict });
  console.log('\nwith 10 entries   peak memory MB   wall ms, programs not in the page cache');
  for (const [index, { name }] of commands.entries()) {
    const peak =
      quantile(
        (memory[index] ?? []).map((one) => one.memory),
        0.5,
      ) / 1024;
    const spread = show(cold[index] ?? [], cold[0] ?? [], 'wall');
    console.log(`${name.padEnd(17)} ${peak.toFixed(1).padStart(14)}   ${spread}`);
  }
} finally {
  rmSync(work, { recursive: true });
}
