/**
 * Kills at random moments, as the memory killer or a person would: the one that fetches for all, those that
 * wait for it, and the child with the SDK. `UNIT_SECRETS_KILLS=500` for more of it (docs/reliability.md).
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAlive } from '../../src/effects/processes.ts';
import { FetchMachine } from '../support/fetch-machine.ts';

const kills = Number(process.env['UNIT_SECRETS_KILLS'] ?? 12);
/** In milliseconds: some are killed before they have signed in, others after. */
const longestPause = 3_000;
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

const roles = ['holder', 'waiter', 'child'] as const;
type Role = (typeof roles)[number];

interface Process {
  readonly pid: number;
  /** What no other process has, even when the pid is used again: pid and start time. */
  readonly key: string;
  readonly state: string;
  readonly role: Role;
}

/** The process that has the lock, by the file beside it. */
function holderPid(): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(`${machine.queue}/holder`, 'utf8')) as { readonly pid: number };
    return pid;
  } catch {
    return undefined;
  }
}

/** Whether there is a lock and nobody alive who has it. */
function isStale(): boolean {
  if (!statSync(`${machine.queue}/fetch.lock`, { throwIfNoEntry: false })) return false;
  const pid = holderPid();
  return pid === undefined || !isAlive(pid);
}

/**
 * The fetchers of this test and their children, by what they were called with: on a machine with other tests a pid
 * is soon somebody else's.
 *
 * @param known the keys of those that were seen before; new ones are added
 */
function processes(known: Set<string>): readonly Process[] {
  const found: Process[] = [];
  const holder = holderPid();
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        // proc_pid_stat(5): what follows the program's name are fields 3, 4 and so on
        const [state = '', parent = '', ...more] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        const key = `${name} ${more[22 - 5]}`;
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        return [{ pid: Number(name), parent: Number(parent), key, state, command }];
      } catch {
        // it has ended meanwhile
        return [];
      }
    });
  const fetchers = all.filter(({ command }) => command.includes('fetch') && command.includes(machine.root));
  const parents = new Set(fetchers.map(({ pid }) => pid));
  for (const { pid, parent, key, state, command } of all) {
    const isChild = command.includes('resolve-child') && parents.has(parent);
    // a zombie has no command line any more, and one whose parent is dead another parent
    if (!isChild && !parents.has(pid) && !known.has(key)) continue;
    known.add(key);
    const role = command.includes('resolve-child') ? 'child' : pid === holder ? 'holder' : 'waiter';
    found.push({ pid, key, state, role });
  }
  return found;
}

test(
  `${kills} kills leave nothing behind, and delay nobody for long`,
  async () => {
    const known = new Set<string>();
    const count: Record<Role, number> = { holder: 0, waiter: 0, child: 0 };
    const longest = { wait: 0, stale: 0 };
    let killed = 0;
    let fetches = 0;
    const begin = performance.now();

    /** What the retry timer does: again and again until it works. */
    async function keepFetching(name: string): Promise<void> {
      while (killed < kills) {
        machine.wipe(name);
        const since = performance.now();
        for (;;) {
          const child = machine.spawn(name);
          const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
          if (exitCode === 0) break;
          expect(machine.environmentOf(name)).toBeUndefined();
          // killed, not failed: whoever is not killed gets its values in the end
          expect(exitCode).toBeNull();
        }
        longest.wait = Math.max(longest.wait, performance.now() - since);
        fetches++;
        expect(machine.environmentOf(name)).toBe(`PASSWORD="value of ${name}"\n`);
      }
    }

    async function killAtRandom(): Promise<void> {
      while (killed < kills) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * longestPause));
        const alive = processes(known);
        const victims = alive.filter(({ state }) => state !== 'Z');
        // one role is as likely as another, though there are more that wait
        const present = roles.filter((role) => victims.some((victim) => victim.role === role));
        const role = present[Math.floor(Math.random() * present.length)];
        const candidates = victims.filter((victim) => victim.role === role);
        const victim = candidates[Math.floor(Math.random() * candidates.length)];
        if (!victim) continue;
        try {
          process.kill(victim.pid, 'SIGKILL');
          killed++;
          count[victim.role]++;
        } catch {
          // it has ended meanwhile
        }
      }
    }

    async function watchTheLock(): Promise<void> {
      let since: number | undefined;
      while (killed < kills) {
        const now = performance.now();
        since = isStale() ? (since ?? now) : undefined;
        if (since !== undefined) longest.stale = Math.max(longest.stale, now - since);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }

    await Promise.all([...names.map(keepFetching), killAtRandom(), watchTheLock()]);
    const seconds = Math.round((performance.now() - begin) / 1000);
    // a child ends with its fetcher, even one that was killed; and nobody is left a zombie
    await expect.poll(() => processes(known), { timeout: 20_000 }).toEqual([]);
    expect(machine.leftovers()).toEqual([]);
    expect(names.map((name) => machine.environmentOf(name))).toEqual(
      names.map((name) => `PASSWORD="value of ${name}"\n`),
    );
    expect(longest.stale).toBeLessThan(30_000);
    const kinds = roles.map((role) => `${count[role]} of a ${role}`).join(', ');
    console.log(
      `${kills} kills (${kinds}) during ${fetches} fetches in ${seconds} s; longest stale lock ` +
        `${Math.round(longest.stale)} ms, longest wait of a service ${Math.round(longest.wait)} ms`,
    );
  },
  120_000 + kills * 10_000,
);
