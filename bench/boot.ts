/**
 * What services wait for at boot, in a container with a real systemd: 1, 10 and 50 services with five references
 * each that start together and ask 1Password (the emulator) for the first time. Wall time is from `systemctl
 * start` to its end; memory the sum of PSS over all our processes at its highest.
 *
 * Then the same units with a program that only sleeps in the place of ours: what systemd's sandbox takes before any of
 * them runs, also without the credential, whose file systems each of the others has to get rid of
 * (docs/decisions/0012-fifty-at-once.md).
 *
 * Then the share of `systemctl daemon-reload` that is the generator's: with its link and without, in turns.
 *
 *     npx node bench/boot.ts
 */
import { binary } from '../test/build/binary.ts';
import { bootEmulated } from '../test/systemd/emulated.ts';
import { idleService } from '../test/systemd/machine.ts';
import { sample } from './sample.ts';
import { median, quantile } from './statistics.ts';

const counts = [1, 10, 50];
const rounds = 8;
const perService = 5;
const most = Math.max(...counts);

/** Drop-ins for a unit that fetches: it is started as soon as its program is, and needs nobody who needs it. */
const asleep = `[Unit]
StopWhenUnneeded=no
[Service]
Type=exec
ExecStart=
ExecStart=/bin/sleep infinity
`;
const sandboxVariants = {
  'as they are': asleep,
  'without LoadCredential=': `${asleep}LoadCredential=\nSetCredential=\n`,
};

const names = Array.from({ length: most }, (_, at) => `app${at}`);
const fields = Array.from({ length: perService }, (_, at) => `field${at}`);
const items = Object.fromEntries(
  names.map((name) => [name, Object.fromEntries(fields.map((field) => [field, `${name}: ${field}`]))]),
);
await binary();
await using emulated = await bootEmulated({ items, manifest: manifestOf(names), files: unitFiles() });
const { machine } = emulated;
const { stdout: namespaceLink } = await machine.exec(['readlink', '/proc/1/ns/pid']);
const namespace = namespaceLink.trim();

await startTogether();
console.log();
await sandboxes();
console.log();
await reloads();

function manifestOf(services: readonly string[]): string {
  const entries = services.map((name) => [
    name,
    {
      environment: Object.fromEntries(
        fields.map((field) => [field.toUpperCase(), `op://Homelab/${name}/${field}`]),
      ),
    },
  ]);
  return JSON.stringify({ version: 1, services: Object.fromEntries(entries) });
}

function unitFiles(): Record<string, string> {
  return Object.fromEntries(names.map((name) => [`/etc/systemd/system/${name}.service`, idleService]));
}

async function startTogether(): Promise<void> {
  const found = counts.map((count) => ({
    count,
    requests: [] as number[],
    wall: [] as number[],
    cpu: [] as number[],
    memory: [] as number[],
  }));
  // one round more, so that everything is in the page cache before it counts
  for (let round = -1; round < rounds; round++) {
    for (const figures of found) {
      const before = await requestsUntilNow();
      const services = names.slice(0, figures.count);
      const units = services.map((name) => `${name}.service`);
      // to look at memory takes time itself, so that it has rounds of its own
      const looks = round % 2 === 0;
      const sampler = looks
        ? sample((executable) => executable.endsWith('/unit-secrets'), namespace)
        : undefined;
      const begin = performance.now();
      await machine.exec(['systemctl', 'start', ...units]);
      const wall = (performance.now() - begin) / 1000;
      const memory = sampler?.stop().memory;
      if (round >= 0) {
        if (memory === undefined) figures.wall.push(wall);
        else figures.memory.push(memory);
        figures.cpu.push(await cpuOf(services.map((name) => `${name}-secrets.service`)));
        figures.requests.push((await requestsUntilNow()) - before);
      }
      await machine.exec(['systemctl', 'stop', ...units]);
      await machine.waitFor(
        ['bash', '-c', '! systemctl --quiet is-active "app*-secrets.service"'],
        'the secrets to be gone',
      );
    }
  }
  const alone = found[0];
  if (!alone) return;
  console.log(
    `services with ${perService} references each, started together (medians of ${rounds} rounds, spread p25 to p75)`,
  );
  console.log('services  requests  wall s (of one)           CPU s  memory MB (of one)');
  for (const { count, requests, wall, cpu, memory } of found) {
    const of = (own: readonly number[], one: readonly number[]): string =>
      `${(median(own) / median(one)).toFixed(2)}×`;
    const spread = `${quantile(wall, 0.25).toFixed(2)} to ${quantile(wall, 0.75).toFixed(2)}`;
    console.log(
      [
        String(count).padStart(8),
        String(median(requests)).padStart(9),
        `${median(wall).toFixed(2).padStart(7)} (${of(wall, alone.wall)}, ${spread})`.padEnd(27),
        median(cpu).toFixed(1).padStart(5),
        `${Math.round(median(memory))} (${of(memory, alone.memory)})`.padStart(12),
      ].join(' '),
    );
  }
}

async function sandboxes(): Promise<void> {
  console.log('the same units with /bin/sleep in the place of fetch, started together (medians of 5 rounds)');
  console.log('services  units                    wall s  CPU ms of each');
  for (const [name, text] of Object.entries(sandboxVariants)) {
    for (const service of names)
      await machine.writeFile(`/run/systemd/system/${service}-secrets.service.d/asleep.conf`, text);
    await machine.exec(['systemctl', 'daemon-reload']);
    for (const count of counts) {
      const units = names.slice(0, count).map((service) => `${service}-secrets.service`);
      const [wall, cpu]: [number[], number[]] = [[], []];
      for (let round = 0; round < 5; round++) {
        const begin = performance.now();
        await machine.exec(['systemctl', 'start', ...units]);
        wall.push((performance.now() - begin) / 1000);
        cpu.push(((await cpuOf(units)) * 1000) / count);
        await machine.exec(['systemctl', 'stop', ...units]);
      }
      console.log(
        `${String(count).padStart(8)}  ${name.padEnd(23)} ${median(wall).toFixed(2).padStart(7)}  ${median(cpu).toFixed(0).padStart(14)}`,
      );
    }
  }
  await machine.exec(['bash', '-c', 'rm -r /run/systemd/system/app*-secrets.service.d']);
  await machine.exec(['systemctl', 'daemon-reload']);
}

/** What units have taken since they were started, in seconds, as systemd has counted it. */
async function cpuOf(units: readonly string[]): Promise<number> {
  const { stdout } = await machine.exec([
    'systemctl',
    'show',
    '--property=CPUUsageNSec',
    '--value',
    ...units,
  ]);
  return stdout.split('\n').reduce((sum, line) => sum + (Number(line) || 0), 0) / 1e9;
}

async function requestsUntilNow(): Promise<number> {
  return ((await emulated.control('GET', '/control/requests')).match(/"status":/g) ?? []).length;
}

async function reloads(): Promise<void> {
  const link = '/usr/lib/systemd/system-generators/unit-secrets-generator';
  console.log('systemctl daemon-reload, with the generator and without (medians of 21, in turns)');
  console.log('services  with ms  without ms  ours');
  for (const count of [1, 10, 50]) {
    await machine.writeFile('/etc/unit-secrets/manifest.json', manifestOf(names.slice(0, count)));
    // the times are bash's own, so that entering the container is not part of them
    const script = `
      reload() { local begin=$EPOCHREALTIME; systemctl daemon-reload; local end=$EPOCHREALTIME
        echo "$1 $(( \${end/[.,]/} - \${begin/[.,]/} ))"; }
      for ((round = 0; round < 21; round++)); do
        ln -sfn /usr/bin/unit-secrets ${link}; reload with
        rm ${link}; reload without
      done
      ln -sfn /usr/bin/unit-secrets ${link}; systemctl daemon-reload`;
    const { stdout } = await machine.exec(['bash', '-c', script], { timeoutMs: 120_000 });
    const times = (kind: string): readonly number[] =>
      [...stdout.matchAll(new RegExp(`^${kind} (\\d+)$`, 'gm'))].map(
        ([, microseconds]) => Number(microseconds) / 1000,
      );
    const [own, bare] = [median(times('with')), median(times('without'))];
    console.log(
      `${String(count).padStart(8)} ${own.toFixed(0).padStart(8)} ${bare.toFixed(0).padStart(11)}  ${Math.round((1 - bare / own) * 100)} %`,
    );
  }
}
