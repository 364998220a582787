/**
 * What it costs to fetch for 1, 10 and 50 services with five references each that start together, beside the
 * two ways in which it is commonly done: a fetcher for each service (naive), and a helper that is called for
 * each reference, one after the other, for each service (helper). The service is the emulator.
 *
 *     npx node bench/fetch.ts [--quick]
 *
 * --quick leaves out the other ways for 50 services, which take minutes.
 */
import { HostLock } from '../src/effects/lock.ts';
import { openOnePassword } from '../src/effects/onepassword-provider.ts';
import { RequestQueue } from '../src/effects/request-queue.ts';
import { binary } from '../test/build/binary.ts';
import { FetchMachine } from '../test/support/fetch-machine.ts';
import { type Sampled, sample } from './sample.ts';

const counts = [1, 10, 50];
const perService = 5;
const ways = ['batch', 'naive', 'helper'] as const;
const quick = process.argv.includes('--quick');

type Services = Readonly<Record<string, Readonly<Record<string, string>>>>;

interface Figures extends Sampled {
  readonly requests: number;
  /** Seconds. */
  readonly wall: number;
}

const vaults = ['One', 'Two', 'Three'];
const items = Object.fromEntries(
  Array.from({ length: 50 }, (_, service) => [
    `Item ${service}`,
    {
      fields: Object.fromEntries(
        Array.from({ length: perService }, (__, at) => [`field${at}`, `value ${service} ${at}`]),
      ),
    },
  ]),
);
const program = await binary();
const machine = await FetchMachine.start({
  vaults: Object.fromEntries(vaults.map((name) => [name, { items }])),
});
// each session of the other ways listens for our end
process.setMaxListeners(0);
try {
  await main();
} finally {
  await machine.stop();
}

async function main(): Promise<void> {
  const services = (vaultOf: (service: number) => string, byId: (service: number) => boolean) =>
    Object.fromEntries(
      Array.from({ length: 50 }, (_, service) => [
        `app${service}`,
        Object.fromEntries(
          Array.from({ length: perService }, (__, at) => {
            const name = `op://${vaultOf(service)}/Item ${service}/field${at}`;
            return [`VALUE${at}`, byId(service) ? machine.emulator.byId(name) : name];
          }),
        ),
      ]),
    );
  console.log(`${perService} references each\n`);
  const one = services(
    () => 'One',
    () => false,
  );
  const table = new Map<string, Figures>();
  for (const way of ways) {
    for (const count of counts) {
      if (quick && way !== 'batch' && count === 50) continue;
      table.set(`${way} ${count}`, await measure(way, count, one));
      report(way, count, table);
    }
  }
  await alreadyFetched();
  const mixed = services(
    (service) => vaults[service % 3] ?? '',
    (service) => service % 2 === 0,
  );
  const figures = await measure('batch', 50, mixed);
  console.log(`\n50 services, three vaults, half of them by ids: ${figures.requests} requests`);
}

/** A fetch for which another fetches that has the answer at hand: the time from its start to its end. */
async function alreadyFetched(): Promise<void> {
  machine.forget();
  const held = await new HostLock(machine.queue).tryTake();
  const queue = new RequestQueue(machine.queue);
  const timer = setInterval(() => {
    for (const { id, references } of queue.pending()) {
      queue.answer(id, { ok: true, values: new Map(references.map((name) => [name, 'x'])) });
    }
  }, 1);
  const times: number[] = [];
  for (let at = 0; at < 21; at++) times.push((await machine.fetch('app0')).milliseconds);
  clearInterval(timer);
  await held?.release();
  times.sort((a, b) => a - b);
  console.log(
    `\na fetch when another has already fetched for it: ${times[10]?.toFixed(0)} ms (median of 21), ${times[0]?.toFixed(0)} ms at best`,
  );
}

function report(way: string, count: number, table: ReadonlyMap<string, Figures>): void {
  const figures = table.get(`${way} ${count}`);
  const single = table.get(`${way} 1`);
  const batch = table.get(`batch ${count}`);
  if (!figures || !single || !batch) return;
  const ratio = (of: (one: Figures) => number, to: Figures): string =>
    `${(of(figures) / of(to)).toFixed(2)}×`;
  console.log(
    [
      `${way.padEnd(6)} ${String(count).padStart(2)} services:`,
      `${String(figures.requests).padStart(4)} requests`,
      `${figures.wall.toFixed(2)} s (${ratio((one) => one.wall, single)} of one, ${ratio((one) => one.wall, batch)} of the batch)`,
      `${figures.cpu.toFixed(2)} s CPU (${ratio((one) => one.cpu, batch)})`,
      `${Math.round(figures.memory)} MB (${ratio((one) => one.memory, single)} of one, ${ratio((one) => one.memory, batch)})`,
    ].join('  '),
  );
}

async function measure(way: (typeof ways)[number], count: number, services: Services): Promise<Figures> {
  await machine.load(services);
  machine.forget();
  const before = machine.emulator.requests.length;
  const begin = performance.now();
  const sampler = sample((executable) => executable === program);
  await Promise.all(
    Object.entries(services)
      .slice(0, count)
      .map(async ([name, environment]) => {
        const references = Object.values(environment);
        if (way === 'batch') await fetchOne(name);
        else if (way === 'naive') await resolveIn(references);
        else for (const reference of references) await resolveIn([reference]);
      }),
  );
  const wall = (performance.now() - begin) / 1000;
  return { requests: machine.emulator.requests.length - before, wall, ...sampler.stop() };
}

async function fetchOne(name: string): Promise<void> {
  const { exitCode, stderr } = await machine.fetch(name);
  if (exitCode !== 0 || machine.environmentOf(name) === undefined) throw new Error(`${name}: ${stderr}`);
}

/** What any program does that has the SDK in it: signs in, asks, ends. */
async function resolveIn(references: readonly string[]): Promise<void> {
  const session = openOnePassword({ command: [program, 'resolve-child'], token: machine.emulator.token });
  try {
    const resolutions = await session.resolve(references, 600_000);
    if (![...resolutions.values()].every(({ ok }) => ok)) throw new Error('some value was not answered');
  } finally {
    session.close();
  }
}
