/**
 * The generator against systemd's own systemd-fstab-generator with as many entries: whole processes, warm,
 * run in turns, in memory. Prints ratios; the milliseconds are this machine's.
 *
 *     scripts/bench generator
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary } from '../test/build/binary.ts';

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
const program = await binary();
const work = mkdtempSync('/dev/shm/unit-secrets-bench-');

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

function fstabOf(entries: number): string {
  return Array.from(
    { length: entries },
    (_, index) => `/dev/disk/by-label/l${index} /srv/mount-${index} ext4 defaults,nofail 0 2\n`,
  ).join('');
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function countFiles(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .length;
}

try {
  console.log('entries   fstab ms   ours ms   ratio   (medians; files written by each)');
  for (const { entries, rounds } of sizes) {
    const root = join(work, `root-${entries}`);
    mkdirSync(join(root, 'etc/unit-secrets'), { recursive: true });
    writeFileSync(join(root, 'etc/unit-secrets/manifest.json'), manifestOf(entries));
    writeFileSync(join(root, 'fstab'), fstabOf(entries));
    const [theirs, ours] = [join(work, 'fstab-units'), join(work, 'our-units')];
    const path = { PATH: '/usr/bin:/bin' };
    const commands = [
      {
        argv: [fstabGenerator, theirs, theirs, theirs],
        env: { ...path, SYSTEMD_FSTAB: join(root, 'fstab') },
        clear: theirs,
      },
      { argv: [program, ours, ours, ours], env: { ...path, UNIT_SECRETS_ROOT: root }, clear: ours },
    ];
    const output = execFileSync('python3', [join(import.meta.dirname, 'spawn.py')], {
      input: JSON.stringify({ rounds, commands }),
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [theirTimes = [], ourTimes = []] = JSON.parse(output) as number[][];
    const [fstab, own] = [median(theirTimes) * 1000, median(ourTimes) * 1000];
    const counts = `${countFiles(theirs)}, ${countFiles(ours)}`;
    console.log(
      `${String(entries).padStart(7)} ${fstab.toFixed(1).padStart(10)} ${own.toFixed(1).padStart(9)} ${(own / fstab).toFixed(2).padStart(7)}   (${counts})`,
    );
  }
} finally {
  rmSync(work, { recursive: true });
}
