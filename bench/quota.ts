/**
 * What refreshing costs of the requests that 1Password allows: the requests of one refresh are counted at the
 * emulator, those of the sign-in with the others, since it is not known whether they count; two weeks of refreshes
 * are computed, with what becomes of them when the requests of a day are used up.
 *
 *     npx node bench/quota.ts
 *
 * Limits as of 2026-11, for all service accounts of an account together in 24 hours:
 * developer.1password.com/docs/service-accounts/rate-limits
 */
import { coolDownLength } from '../src/domain/backoff.ts';
import { FetchMachine } from '../test/support/fetch-machine.ts';

const plans = { 'individual, Families': 1_000, Teams: 5_000, Business: 50_000 } as const;
const days = 14;
const minutes = [10, 15, 30, 60, 24 * 60] as const;

const items = Object.fromEntries(
  Array.from({ length: 10 }, (_, service) => [
    `Item ${service}`,
    { fields: Object.fromEntries(Array.from({ length: 5 }, (__, at) => [`field${at}`, 'x'])) },
  ]),
);
const machine = await FetchMachine.start({ vaults: { One: { items }, Two: { items }, Three: { items } } });
const environment = (vault: string, service: number, byId = false): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: 5 }, (_, at) => {
      const name = `op://${vault}/Item ${service}/field${at}`;
      return [`V${at}`, byId ? machine.emulator.byId(name) : name];
    }),
  );

/**
 * Two weeks of refreshes, each of them at once for all services. Who has used up a day's requests is refused until the
 * next day, at the first request; then nobody asks while a cool-down lasts, and services keep what they have.
 */
function twoWeeks(
  every: number,
  cost: number,
  limit: number,
): { readonly failed: number; readonly refused: number } {
  let [used, step, quietUntil, failed, refused] = [0, 0, 0, 0, 0];
  for (let minute = 0; minute < days * 24 * 60; minute += every) {
    if (minute % (24 * 60) < every) used = 0;
    if (minute * 60 < quietUntil) {
      failed++;
    } else if (used + cost > limit) {
      failed++;
      refused++;
      quietUntil = minute * 60 + coolDownLength(step++, () => 0.5);
    } else {
      used += cost;
      step = 0;
    }
  }
  return { failed, refused };
}

function percent(share: number): string {
  return `${share >= 0.01 ? (share * 100).toFixed(0) : Number((share * 100).toPrecision(1))} %`;
}

/** The requests of one refresh of all services at the same time. */
async function requestsOf(services: readonly Record<string, string>[]): Promise<number> {
  const entries = services.map((of, index) => [`app${index}`, of] as const);
  await machine.load(Object.fromEntries(entries));
  const before = machine.emulator.requests.length;
  const all = await Promise.all(entries.map(([name]) => machine.fetch(name)));
  if (!all.every(({ exitCode }) => exitCode === 0)) throw new Error('not everything was fetched');
  return machine.emulator.requests.length - before;
}

try {
  const ten = Array.from({ length: 10 }, (_, service) => service);
  const cases = {
    '1 service, by name': [environment('One', 0)],
    '1 service, by id': [environment('One', 0, true)],
    '10 services, one vault, by name': ten.map((service) => environment('One', service)),
    '10 services, three vaults, by name': ten.map((service) =>
      environment(['One', 'Two', 'Three'][service % 3] ?? '', service),
    ),
  };
  for (const [name, services] of Object.entries(cases)) {
    const requests = await requestsOf(services);
    console.log(`${name}, 5 references each: ${requests} requests`);
    for (const every of minutes) {
      const count = Math.ceil((days * 24 * 60) / every);
      const day = (24 * 60 * requests) / every;
      const shares = Object.entries(plans).map(([plan, limit]) => {
        const { failed, refused } = twoWeeks(every, requests, limit);
        const lost = failed > 0 ? ` (too much: ${failed} of ${count} fail, ${refused} requests refused)` : '';
        return `${plan}: ${percent(day / limit)}${lost}`;
      });
      console.log(`  every ${every} min: ${day} a day, ${day * days} in two weeks; ${shares.join(', ')}`);
    }
  }
} finally {
  await machine.stop();
}
