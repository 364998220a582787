import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { takeLock } from '../../src/effects/lock.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const soon = (): number => performance.now() + 30_000;

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

test('two holders exclude each other', async () => {
  const directory = temporaryDirectory();
  const order: string[] = [];
  await Promise.all(
    ['a', 'b', 'c'].map(async (name) => {
      const lock = await takeLock(directory, soon());
      order.push(name);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(name);
      await lock?.release();
    }),
  );
  expect(order).toHaveLength(6);
  for (const at of [0, 2, 4]) expect(order[at]).toBe(order[at + 1]);
});

test('two processes exclude each other, until one lets go', async () => {
  const directory = temporaryDirectory();
  const other = await holder(directory);
  expect(await takeLock(directory, performance.now() + 300)).toBeUndefined();
  other.stdin?.end();
  const lock = await takeLock(directory, soon());
  expect(lock?.sound()).toBe(true);
  await lock?.release();
});

test('the lock of a process that was killed can be had when it has grown old', async () => {
  const directory = temporaryDirectory();
  const other = await holder(directory);
  other.kill('SIGKILL');
  await once(other, 'exit');
  expect(await takeLock(directory, performance.now() + 300)).toBeUndefined();
  const past = Date.now() / 1000 - 21;
  utimesSync(join(directory, 'fetch.lock'), past, past);
  const lock = await takeLock(directory, soon());
  expect(lock?.sound()).toBe(true);
  await lock?.release();
});

test('after the deadline the lock is not even tried', async () => {
  expect(await takeLock(temporaryDirectory(), performance.now() - 1)).toBeUndefined();
});

test('the directory is made if need be, and a place where none can be is an error', async () => {
  const directory = temporaryDirectory();
  const lock = await takeLock(join(directory, 'queue'), soon());
  expect(lock).toBeDefined();
  await lock?.release();
  await expect(takeLock('/proc/version/queue', soon())).rejects.toThrow('ENOTDIR');
});
