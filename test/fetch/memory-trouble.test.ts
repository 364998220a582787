/** The program as it is built where the file system for secrets is full, read-only, or cleared by somebody. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { type Fetched, FetchMachine } from '../support/fetch-machine.ts';

const long = 'n0t-4-r34l-s3cr3t'.repeat(6_000);
const app = { PASSWORD: 'op://Homelab/App/password' };
const big = { LONG: 'op://Homelab/Big/value' };

let machine: FetchMachine;
beforeAll(async () => {
  const items = { App: { fields: { password: 'x' } }, Big: { fields: { value: long } } };
  machine = await FetchMachine.start({ vaults: { Homelab: { items } } });
});
afterAll(() => machine.stop());
beforeEach(async () => {
  machine.emulator.clearFaults();
  machine.forget();
  await machine.load({ app, big }, { tries: 3, timeout: '60s' });
});

/** A file system of its own at a directory, for the rest of the test. */
function mount(options: string, directory: string): void {
  mkdirSync(directory, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]);
  onTestFinished(() => void execFileSync('umount', [directory]));
}

/** Starts fetching, with time to do something before the vaults are answered for. */
async function whileFetching(name: string, delayMs: number): Promise<{ readonly end: Promise<Fetched> }> {
  machine.emulator.fault({ kind: 'delay', delayMs, times: 1, match: 'vaults' });
  const before = machine.emulator.requests.length;
  const end = machine.fetch(name);
  await vi.waitFor(
    () => expect(machine.emulator.requests.slice(before).map((request) => request.name)).toContain('vaults'),
    { timeout: 60_000 },
  );
  return { end };
}

const waiting = (count: number): Promise<void> =>
  vi.waitFor(
    () => expect(machine.leftovers().filter((name) => name.endsWith('.request'))).toHaveLength(count),
    { timeout: 60_000 },
  );

describe('the request area', () => {
  test('that is full: it is said, and nothing is asked', async () => {
    mount('size=4k', machine.queue);
    writeFileSync(join(machine.queue, 'full'), 'x'.repeat(4096));
    const { exitCode, stderr, requests } = await machine.fetch('app');
    expect([exitCode, requests]).toEqual([exitCodes.ioError, []]);
    expect(stderr).toMatch(
      /^cannot put down a request in .*\(ENOSPC\) \(the file system for secrets is full: /,
    );
    expect(readdirSync(machine.queue)).toEqual(['full']);
    expect(machine.environmentOf('app')).toBeUndefined();
  });

  test('that is read-only, likewise', async () => {
    mount('ro', machine.queue);
    const { exitCode, stderr, requests } = await machine.fetch('app');
    expect([exitCode, requests]).toEqual([exitCodes.cannotCreate, []]);
    expect(stderr).toMatch(
      /^cannot put down a request in .*\(EROFS\) \(the file system for secrets is read-only: /,
    );
  });

  test('that becomes read-only meanwhile: the fetcher that has asked for all ends all the same', async () => {
    mount('size=1m', machine.queue);
    const fetching = await whileFetching('app', 1_500);
    execFileSync('mount', ['-o', 'remount,ro', machine.queue]);
    const { exitCode, stderr, requests } = await fetching.end;
    expect([exitCode, stderr]).toEqual([exitCodes.ok, 'try 1 of 3: fetched 1 secret\n']);
    // and asks once, though its request cannot be removed
    expect(requests).toHaveLength(8);
  });

  test('that has no room for an answer: the one who does not get it fetches for itself', async () => {
    mount('size=64k', machine.queue);
    const fetching = await whileFetching('app', 3_000);
    const other = machine.fetch('big');
    const [first, second] = [await fetching.end, await other];
    expect([first.exitCode, first.stderr]).toEqual([exitCodes.ok, 'try 1 of 3: fetched 1 secret\n']);
    expect(second.exitCode).toBe(exitCodes.ok);
    expect(second.stderr).toMatch(
      /^try 1 of 3: transient: the answer of the fetcher that fetched for all did not arrive, next in .*\ntry \d of 3: fetched 1 secret\n$/,
    );
    expect(machine.environmentOf('big')).toBe(`LONG="${long}"\n`);
    expect(machine.leftovers()).toEqual([]);
  });

  test('that goes away: whoever waits there asks again in a new one', async () => {
    const fetching = await whileFetching('app', 3_000);
    const other = machine.fetch('big');
    await waiting(2);
    machine.forget();
    const all = [await fetching.end, await other];
    expect(all.map(({ exitCode }) => exitCode)).toEqual([exitCodes.ok, exitCodes.ok]);
    for (const { stderr } of all) expect(stderr).toContain('did not arrive');
    expect(machine.environmentOf('app')).toBe('PASSWORD="x"\n');
    expect(machine.leftovers()).toEqual([]);
  });
});

describe('the lock, removed by hand while its holder works,', () => {
  test('is lost: the holder answers nobody, and all are served by who takes it next', async () => {
    const fetching = await whileFetching('app', 6_000);
    const other = machine.fetch('big');
    await waiting(2);
    rmSync(join(machine.queue, 'fetch.lock'), { recursive: true });
    const all = [await fetching.end, await other];
    expect(all.map(({ exitCode }) => exitCode)).toEqual([exitCodes.ok, exitCodes.ok]);
    // not a try that failed: nobody has said no
    for (const { stderr } of all) expect(stderr).toBe('try 1 of 3: fetched 1 secret\n');
    expect(machine.leftovers()).toEqual([]);
  });

  test('may be missed by a holder that is nearly done: nothing is left behind', async () => {
    const fetching = await whileFetching('app', 300);
    rmSync(join(machine.queue, 'fetch.lock'), { recursive: true });
    expect((await fetching.end).exitCode).toBe(exitCodes.ok);
    expect(machine.leftovers()).toEqual([]);
  });
});

describe("a service's directory", () => {
  const before = { '.ok-before': '', env: 'LONG="before"\n' };
  const put = (directory: string): void => {
    for (const [name, content] of Object.entries(before)) writeFileSync(join(directory, name), content);
  };
  const expectAsBefore = (directory: string): void => {
    const found = readdirSync(directory).sort();
    expect(
      Object.fromEntries(found.map((name) => [name, readFileSync(join(directory, name), 'utf8')])),
    ).toEqual(before);
  };

  test('in which there is no room keeps what it has', async () => {
    const directory = machine.directoryOf('big');
    mount('size=32k', directory);
    put(directory);
    const { exitCode, stderr } = await machine.fetch('big');
    expect(exitCode).toBe(exitCodes.ioError);
    expect(stderr).toMatch(/\ncannot write to .*\(ENOSPC\) \(what was there before is still there\)\n$/);
    expect(stderr).not.toContain(long.slice(0, 17));
    expectAsBefore(directory);
    expect(machine.leftovers()).toEqual([]);
  });

  test('in which there is no room at a start stays empty', async () => {
    const directory = machine.directoryOf('big');
    mount('size=32k', directory);
    expect((await machine.fetch('big')).exitCode).toBe(exitCodes.ioError);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('that is read-only keeps what it has', async () => {
    const directory = machine.directoryOf('big');
    mount('size=1m', directory);
    put(directory);
    execFileSync('mount', ['-o', 'remount,ro', directory]);
    const { exitCode, stderr } = await machine.fetch('big');
    expect(exitCode).toBe(exitCodes.cannotCreate);
    expect(stderr).toMatch(/\ncannot write to .*\(EROFS\) \(what was there before is still there\)\n$/);
    expectAsBefore(directory);
    expect(machine.leftovers()).toEqual([]);
  });
});
