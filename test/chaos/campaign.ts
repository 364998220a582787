/** A campaign: chaos, then peace, again and again, until time is up or something that must never be was seen. */
import { performance } from 'node:perf_hooks';
import type { Suite } from '../container/rootfs.ts';
import { filesWith, needlePath } from '../systemd/looking.ts';
import type { Violation } from './observer.ts';
import { type PlantName, plants } from './plants.ts';
import { type Action, Script } from './script.ts';
import { canary, fetchingUnit, names } from './services.ts';
import { ChaosMachine } from './world.ts';

export interface CampaignOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly suite: Suite;
  readonly say: (text: string) => void;
  /** Something that must be seen, done after the first peace: the campaign can fail. */
  readonly plant?: PlantName | undefined;
}

export interface Outcome {
  readonly violation: Violation | undefined;
  readonly steps: number;
}

/** How many steps there are between two times of peace. */
const stepsOfChaos = 60;
/** After each so many times of peace, the power goes. */
const peacesPerBoot = 3;
/** What the journal and systemd tell is searched after so many steps. */
const stepsPerAudit = 20;
const atOnce = 12;

/** The emulator's own, and what is searched for. */
const exceptions = [
  '/proc',
  '/sys',
  '/etc/op',
  '/run/unit-secrets',
  '/run/credentials',
  '/run/epsilon',
  '/run/epsilon-else',
  needlePath,
];

export async function runCampaign(options: CampaignOptions): Promise<Outcome> {
  const { seed, minutes, suite, say, plant } = options;
  let violation: Violation | undefined;
  await using world = await ChaosMachine.boot(suite, (found) => {
    violation ??= found;
  });
  const version = (await world.machine.exec('systemctl --version | head -n 1')).stdout.trim();
  say(
    `${version}; the wall clock is the host's and cannot be set here: jumps of it are played by the lock's times`,
  );

  const script = new Script(seed);
  const kinds = new Map<string, number>();
  const log: string[] = [];
  const heals: number[] = [];
  let steps = 0;
  let peaces = 0;
  let boots = 1;
  const perform = async (action: Action): Promise<void> => {
    kinds.set(action.kind, (kinds.get(action.kind) ?? 0) + 1);
    log.push(`${steps}: ${action.text}`);
    const work = action.run(world);
    if (action.awaited) await work;
    else world.background(work);
  };
  const peace = async (): Promise<void> => {
    peaces++;
    say(`step ${steps}: all faults end`);
    for (const action of script.calm()) await perform(action);
    const { healed } = await world.settle();
    heals.push(healed);
    if (violation === undefined) await world.requireSilence(3_000);
    if (violation === undefined) violation = await audit(world, 'everything');
    const { starts, requests, longestReload } = world.counts;
    say(
      `step ${steps}: peace ${peaces} after ${(healed / 1000).toFixed(1)} s; ${starts} starts judged, ${requests} requests, slowest daemon-reload ${(longestReload / 1000).toFixed(1)} s`,
    );
  };

  const end = performance.now() + minutes * 60_000;
  const over = (): boolean => violation !== undefined || performance.now() >= end;
  try {
    if (plant !== undefined) {
      await world.command('systemctl start alpha beta gamma', {
        names: ['alpha', 'beta', 'gamma'],
        wants: 'up',
      });
      await plants[plant].does(world);
    }
    while (!over()) {
      for (let count = 0; count < stepsOfChaos && !over(); count++) {
        const step = script.next();
        steps = step.number;
        await Promise.all(step.actions.map(perform));
        await world.atMost(atOnce);
        await new Promise((resolve) => setTimeout(resolve, step.pause));
        world.judgeStarts();
        world.readRequests();
        if (steps % stepsPerAudit === 0) violation ??= await audit(world, 'texts');
      }
      if (violation === undefined) await peace();
      if (!over() && peaces % peacesPerBoot === 0) {
        log.push(`${steps}: the power goes and comes back`);
        await world.cutPower();
        boots++;
      }
    }
  } catch (error) {
    violation ??= {
      kind: 'deadline',
      text: `the campaign itself failed: ${error instanceof Error ? error.stack : error}`,
    };
  }
  if (violation !== undefined) await describe(world, violation, steps, log, say);
  const { counts, observer } = world;
  say(
    [
      `${steps} steps, ${sum(kinds)} actions (${counts.hits} signals found a process), ${boots} boots, ${peaces} times of peace (healed within ${(Math.max(0, ...heals) / 1000).toFixed(1)} s)`,
      `${counts.starts} starts judged (${counts.startsWithout} rightly without secrets), ${counts.helped} helped by a person's command, ${counts.knownGaps} over a known gap`,
      `${counts.requests} requests in ${counts.signIns} sign-ins, at most ${counts.mostRequests} requests a minute`,
      `${counts.daemonReloads} daemon-reloads, the slowest ${(counts.longestReload / 1000).toFixed(1)} s; ${counts.generators} generators, the slowest ${(counts.longestGenerator / 1000).toFixed(1)} s`,
      `looked ${observer.seen.looks} times since the last boot, at ${observer.seen.processes} processes and ${observer.seen.files} files; at most ${observer.seen.mostSdk} SDK processes, ${observer.seen.orphans} without a fetcher for a moment`,
      `actions: ${[...kinds]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([kind, count]) => `${kind} ${count}`)
        .join(', ')}`,
    ].join('\n'),
  );
  return { violation, steps };
}

const sum = (kinds: ReadonlyMap<string, number>): number => [...kinds.values()].reduce((a, b) => a + b, 0);

/** Searches what systemd and the journal tell, and at times the disk, for any secret. */
export async function audit(
  world: ChaosMachine,
  what: 'texts' | 'everything',
): Promise<Violation | undefined> {
  const { machine } = world;
  const needles = [canary, ...world.tokenParts];
  await machine.writeFile(needlePath, `${needles.join('\n')}\n`, 0o600);
  const { stdout } = await machine.exec(
    `search() { grep -aF -m 3 -f ${needlePath} | cut -c 1-300 | sed "s|^|$1: |"; }
systemctl show '*' 2>&1 | search show
systemctl cat ${names.map((name) => `'${name}'`).join(' ')} 'unit-secrets*' '*-secrets*' 2>&1 | search cat
systemctl status --no-pager --full --lines=100 ${names.map((name) => `'${name}' '${fetchingUnit(name)}'`).join(' ')} 2>&1 | search status
journalctl --sync
journalctl --quiet --no-pager --all --output=export --cursor-file=/run/chaos/cursor 2>&1 | search journal
grep -raF -m 3 -f ${needlePath} /run/systemd | search units
:`,
    { check: false },
  );
  if (stdout.trim() !== '')
    return { kind: 'journal', text: `a secret is in what systemd tells: ${stdout.trim()}` };
  if (what === 'texts') return undefined;
  const below = ['/etc', '/home', '/opt', '/root', '/run', '/srv', '/tmp', '/usr/local', '/var', '/dev/shm'];
  const found = await filesWith(machine, needles, { below, except: exceptions });
  return found.length > 0 ? { kind: 'disk', text: `a secret is in ${found.join(', ')}` } : undefined;
}

async function describe(
  world: ChaosMachine,
  { kind, text, unit }: Violation,
  step: number,
  log: readonly string[],
  say: (text: string) => void,
): Promise<void> {
  say(`VIOLATION (${kind}) in step ${step}: ${text}\nlast actions:\n  ${log.slice(-30).join('\n  ')}`);
  const name = names.find(
    (one) => unit !== undefined && [`${one}.service`, fetchingUnit(one)].includes(unit),
  );
  const units =
    name === undefined ? [unit ?? 'unit-secrets-token.service'] : [`${name}.service`, fetchingUnit(name)];
  const { stdout } = await world.machine.exec(
    `systemctl status --no-pager --full --lines=40 ${units.join(' ')}; systemctl list-jobs --no-pager; journalctl --no-pager --output=short-precise --lines=120; ls -lA --full-time /run/unit-secrets /run/unit-secrets/*`,
    { check: false },
  );
  // what was found must not be told
  say(stdout.replace(/c4n4ry\.\S+/g, 'CANARY'));
}
