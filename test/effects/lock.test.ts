import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmdirSync, unlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { HostLock, type Lock } from '../../src/effects/lock.ts';
import { modeOf, temporaryDirectory } from '../support/temporary.ts';

/** Another process that holds the lock. */
async function holder(directory: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../support/hold-lock.ts'), directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = await once(child.stdout, 'data');
  expect(String(line)).toBe('held\n');
  return child;
}

async function taken(lock: HostLock): Promise<Lock> {
  return vi.waitUntil(() => lock.tryTake(), { timeout: 10_000, interval: 20 }) as Promise<Lock>;
}

test('two processes exclude each other, until one lets go', async () => {
  const directory = temporaryDirectory();
  const other = await holder(directory);
  const lock = new HostLock(directory);
  expect(await lock.tryTake()).toBeUndefined();
  other.stdin?.end();
  const held = await taken(lock);
  expect(held.sound()).toBe(true);
  expect(modeOf(join(directory, 'holder'))).toBe('0600');
  await held.release();
  expect([existsSync(join(directory, 'fetch.lock')), existsSync(join(directory, 'holder'))]).toEqual([
    false,
    false,
  ]);
});

test('the lock of a process that was killed can be had at once', async () => {
  const directory = temporaryDirectory();
  const other = await holder(directory);
  other.kill('SIGKILL');
  await once(other, 'exit');
  const held = await new HostLock(directory).tryTake();
  expect(held?.sound()).toBe(true);
  await held?.release();
});

test.each([
  ['in the past', -1e9],
  ['now', 0],
  ['in the future', 1e9],
])(
  'the wall clock says nothing: a lock of a time %s is stale when nobody touches it for 15 s',
  async (_, offset) => {
    const directory = temporaryDirectory();
    const other = await holder(directory);
    other.kill('SIGSTOP');
    // as after a crash between the two
    unlinkSync(join(directory, 'holder'));
    const time = Date.now() / 1000 + offset;
    utimesSync(join(directory, 'fetch.lock'), time, time);
    const clock = vi.spyOn(performance, 'now');
    onTestFinished(() => clock.mockRestore());
    const lock = new HostLock(directory);
    clock.mockReturnValue(1_000_000);
    expect(await lock.tryTake()).toBeUndefined();
    clock.mockReturnValue(1_014_000);
    expect(await lock.tryTake()).toBeUndefined();
    clock.mockReturnValue(1_015_001);
    const held = await lock.tryTake();
    expect(held).toBeDefined();
    await held?.release();
  },
);

test('one that is touched is not stale, however long it is held', async () => {
  const directory = temporaryDirectory();
  await holder(directory);
  const clock = vi.spyOn(performance, 'now');
  onTestFinished(() => clock.mockRestore());
  const lock = new HostLock(directory);
  for (let at = 0; at < 10; at++) {
    utimesSync(join(directory, 'fetch.lock'), at + 1, at + 1);
    clock.mockReturnValue(at * 14_000);
    expect(await lock.tryTake()).toBeUndefined();
  }
});

test('who holds a file about another lock is not its holder', async () => {
  const directory = temporaryDirectory();
  const other = await holder(directory);
  other.kill('SIGKILL');
  await once(other, 'exit');
  rmdirSync(join(directory, 'fetch.lock'));
  const first = await new HostLock(directory).tryTake();
  expect(await new HostLock(directory).tryTake()).toBeUndefined();
  await first?.release();
});

test('a lock that is removed is lost, and what another has taken meanwhile stays', async () => {
  const directory = temporaryDirectory();
  const lost = await new HostLock(directory).tryTake();
  rmdirSync(join(directory, 'fetch.lock'));
  // from now on the two know nothing of each other
  await holder(directory);
  await lost?.lost;
  expect(lost?.sound()).toBe(false);
  await lost?.release();
  expect(existsSync(join(directory, 'fetch.lock'))).toBe(true);
});

test('a lock that is removed while its holder ends leaves nothing behind', async () => {
  const directory = temporaryDirectory();
  const held = await new HostLock(directory).tryTake();
  rmdirSync(join(directory, 'fetch.lock'));
  await held?.release();
  expect(readdirSync(directory)).toEqual([]);
});

test.each([-86_400, 86_400])(
  'one whose time is changed by %d s is lost, and gone when it is released',
  async (by) => {
    const directory = temporaryDirectory();
    const held = await new HostLock(directory).tryTake();
    const time = Date.now() / 1000 + by;
    utimesSync(join(directory, 'fetch.lock'), time, time);
    await held?.lost;
    await held?.release();
    expect([existsSync(join(directory, 'fetch.lock')), existsSync(join(directory, 'holder'))]).toEqual([
      false,
      false,
    ]);
  },
);

test('the directory is made if need be, and a place where none can be is an error', async () => {
  const directory = temporaryDirectory();
  const held = await new HostLock(join(directory, 'queue')).tryTake();
  expect(held).toBeDefined();
  await held?.release();
  expect(() => new HostLock('/proc/version/queue')).toThrow('ENOTDIR');
});
