/**
 * Kills fetchers and their children at random moments, as the memory killer or a person would, while others
 * wait. `UNIT_SECRETS_KILLS=500` for more of it.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FetchMachine } from '../support/fetch-machine.ts';

const kills = Number(process.env['UNIT_SECRETS_KILLS'] ?? 12);
const names = ['a', 'b', 'c', 'd'];

let machine: FetchMachine;
beforeAll(async () => {
  const items = Object.fromEntries(names.map((name) => [name, { fields: { password: `value of ${name}` } }]));
  machine = await FetchMachine.start({ vaults: { Homelab: { items } } });
  await machine.load(
    Object.fromEntries(names.map((name) => [name, { PASSWORD: `op://Homelab/${name}/password` }])),
    { tries: 12, timeout: '2min' },
  );
});
afterAll(() => machine.stop());

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
}

/** All processes whose program is ours and which this test has started, directly or not. */
function processes(known: ReadonlySet<number>): readonly Process[] {
  const found: Process[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const pid = Number(name);
      const ours = Number(parent) === process.pid || known.has(Number(parent)) || known.has(pid);
      if (!ours || (state !== 'Z' && !readlinkSync(`/proc/${name}/exe`).includes('unit-secrets'))) continue;
      found.push({ pid, parent: Number(parent), state });
    } catch {
      // it has ended meanwhile
    }
  }
  return found;
}

test(
  `${kills} kills leave nothing behind, and delay nobody for long`,
  async () => {
    const known = new Set<number>();
    let killed = 0;
    const longest = { milliseconds: 0 };

    /** What the retry timer does: again and again until it works. */
    async function keepFetching(name: string): Promise<void> {
      while (killed < kills) {
        machine.wipe(name);
        const begin = performance.now();
        for (;;) {
          const child = machine.spawn(name);
          if (child.pid !== undefined) known.add(child.pid);
          const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
          if (exitCode === 0) break;
          expect(machine.environmentOf(name)).toBeUndefined();
          // killed, not failed: whoever is not killed gets its values in the end
          expect(exitCode).toBeNull();
        }
        longest.milliseconds = Math.max(longest.milliseconds, performance.now() - begin);
        expect(machine.environmentOf(name)).toBe(`PASSWORD="value of ${name}"\n`);
      }
    }

    async function killAtRandom(): Promise<void> {
      while (killed < kills) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 1500));
        const alive = processes(known);
        for (const { pid } of alive) known.add(pid);
        const victim = alive.filter(({ state }) => state !== 'Z')[Math.floor(Math.random() * alive.length)];
        if (!victim) continue;
        try {
          process.kill(victim.pid, 'SIGKILL');
          killed++;
        } catch {}
      }
    }

    await Promise.all([...names.map(keepFetching), killAtRandom()]);
    expect(machine.leftovers()).toEqual([]);
    // a child ends with its fetcher, even one that was killed
    await expect.poll(() => processes(known), { timeout: 20_000 }).toEqual([]);
    console.log(`${kills} kills; the longest that a service waited: ${Math.round(longest.milliseconds)} ms`);
  },
  120_000 + kills * 10_000,
);
