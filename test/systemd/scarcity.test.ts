/** Real units where memory is short or somebody clears up by hand. */
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootEmulated, type EmulatedMachine } from './emulated.ts';
import { environmentOf, journalOf, waitUntilGone } from './machine.ts';

let emulated: EmulatedMachine;
let machine: Container;
beforeAll(async () => {
  emulated = await bootEmulated({
    items: { App: { password: 'x' } },
    services: { app: undefined },
    manifest: JSON.stringify({
      version: 1,
      fetch: { tries: 2, timeout: '60s', retryEvery: '1s' },
      services: { app: { environment: { PASSWORD: 'op://Homelab/App/password' } } },
    }),
  });
  machine = emulated.machine;
});
afterAll(() => machine.kill());
beforeEach(async () => {
  await machine.waitFor(['systemctl', 'is-active', 'app.service'], 'app to be up');
});

const systemctl = (command: string) => machine.exec(`systemctl ${command}`, { check: false });

/** What the unit says while something is done. */
async function saidBy(work: () => Promise<unknown>): Promise<string> {
  const before = await journalOf(machine, 'app-secrets');
  await work();
  return (await journalOf(machine, 'app-secrets')).slice(before.length);
}

/** A reload fails and leaves everything as it is; a start fails and leaves nothing. */
async function expectFailure(code: string, text: RegExp, fill?: () => Promise<unknown>): Promise<void> {
  const files = "cd /run/unit-secrets/secrets/app && stat -c '%n %i %a' .ok-* * && cat env";
  const before = (await machine.exec(files)).stdout;
  const reload = await saidBy(async () => expect((await systemctl('reload app-secrets')).code).not.toBe(0));
  expect(reload).toMatch(text);
  expect(reload).toContain(code);
  expect((await machine.exec(files)).stdout).toBe(before);
  expect((await environmentOf(machine, 'app.service')).get('PASSWORD')).toBe('x');

  await systemctl('stop app');
  await machine.waitFor(
    async () => (await systemctl('is-active app-secrets')).code !== 0,
    'secrets to be wiped',
  );
  await fill?.();
  const start = await saidBy(async () => expect((await systemctl('start app')).code).not.toBe(0));
  expect(start).toMatch(text);
  expect(start).toContain(code);
}

/** Nothing of anybody is left where requests are put down, but for how the service stands. */
async function expectTidy(): Promise<void> {
  await machine.waitFor(['systemctl', 'is-active', 'app.service'], 'app to come up by itself');
  expect((await environmentOf(machine, 'app.service')).get('PASSWORD')).toBe('x');
  expect((await machine.exec('ls -A /run/unit-secrets/queue')).stdout).toBe('app.service.state\n');
}

test('memory for secrets that is full: 74, and the service comes up when there is room', async () => {
  // by the smallest pieces, so that there is none left
  const fill = () =>
    machine.exec('cat /dev/zero >>/run/unit-secrets/filler; cat /dev/zero >>/run/unit-secrets/filler', {
      check: false,
    });
  await fill();
  const token = await systemctl('reload unit-secrets-token');
  expect(token.code).not.toBe(0);
  expect(await journalOf(machine, 'unit-secrets-token')).toMatch(/cannot write .*\(ENOSPC\)/);
  await expectFailure(
    'status=74/IOERR',
    /cannot put down a request in \/run\/unit-secrets\/queue \(ENOSPC\) \(the file system for secrets is full/,
    fill,
  );
  await machine.exec('rm /run/unit-secrets/filler');
  await expectTidy();
});

test('memory for secrets that is read-only: 73, and the service comes up when it is not', async () => {
  await machine.exec('mount -o remount,ro /run/unit-secrets');
  await expectFailure(
    'status=73/CANTCREAT',
    /cannot put down a request in \/run\/unit-secrets\/queue \(EROFS\) \(the file system for secrets is read-only/,
  );
  await machine.exec('mount -o remount,rw /run/unit-secrets');
  await expectTidy();
});

test('a request area that somebody has removed: 73, with what to do', async () => {
  await machine.exec('rm -r /run/unit-secrets/queue');
  await expectFailure(
    'status=73/CANTCREAT',
    /cannot put down a request in \/run\/unit-secrets\/queue \(E\w+\) \(unit-secrets-token\.service makes it: systemctl restart unit-secrets-token\.service/,
  );
  expect((await systemctl('restart unit-secrets-token')).code).toBe(0);
  await expectTidy();
});

test('a request area that is removed while somebody waits for an answer there: the same', async () => {
  await emulated.control('POST', '/control/faults', {
    kind: 'delay',
    delayMs: 2000,
    times: 1,
    match: 'vaults',
  });
  await systemctl('stop app');
  await systemctl('start --no-block app');
  await machine.waitFor(['test', '-d', '/run/unit-secrets/queue/fetch.lock'], 'the fetch to have begun');
  await machine.exec('rm -r /run/unit-secrets/queue');
  await machine.waitFor(
    async () => (await journalOf(machine, 'app-secrets')).includes('did not arrive'),
    'the fetch to have noticed',
  );
  await machine.waitFor(['systemctl', 'is-failed', 'app-secrets'], 'the fetch to have failed');
  await waitUntilGone(machine, '/run/unit-secrets/secrets/app');
  expect((await systemctl('restart unit-secrets-token')).code).toBe(0);
  await expectTidy();
});

/**
 * Lets the fetch have so much memory: with `MemoryMax=` where the container's systemd is given the controller, else
 * with a cgroup v1 that it enters by itself.
 *
 * @returns the most that it had, in bytes
 */
async function limitMemory(megabytes: number): Promise<() => Promise<number>> {
  const dropIn = '/run/systemd/system/app-secrets.service.d/memory.conf';
  const controllers = await machine.readFile('/sys/fs/cgroup/cgroup.controllers');
  if (controllers.split(/\s+/).includes('memory')) {
    await machine.writeFile(dropIn, `[Service]\nMemoryMax=${megabytes}M\n`);
    onTestFinished(async () => void (await machine.exec(`rm ${dropIn} && systemctl daemon-reload`)));
    await machine.exec('systemctl daemon-reload');
    const path = '/sys/fs/cgroup/system.slice/app-secrets.service/memory.peak';
    return async () => Number(await machine.readFile(path));
  }
  const group = `/mnt/memory/unit-secrets-test-${process.pid}`;
  await machine.exec(
    `mkdir -p /mnt/memory && mount -t cgroup -o memory cgroup /mnt/memory && mkdir ${group} &&
     echo ${megabytes}M >${group}/memory.limit_in_bytes`,
  );
  const enter = `/bin/sh -c 'echo 0 >${group}/cgroup.procs && exec /usr/bin/unit-secrets fetch app'`;
  await machine.writeFile(
    dropIn,
    `[Service]\nExecStart=\nExecStart=${enter}\nExecReload=\nExecReload=${enter}\nReadWritePaths=/mnt/memory\n`,
  );
  onTestFinished(async () => {
    await machine.exec(`rm ${dropIn} && systemctl daemon-reload`);
    await machine.waitFor(`rmdir ${group} && umount /mnt/memory`, 'the cgroup to be empty');
  });
  await machine.exec('systemctl daemon-reload');
  return async () => Number(await machine.readFile(`${group}/memory.max_usage_in_bytes`));
}

test('the memory that the unit gives itself is enough', async () => {
  const { stdout } = await systemctl('show --property=MemoryMax --value app-secrets');
  expect(Number(stdout)).toBe(256 * 1024 * 1024);
  const peak = await limitMemory(256);
  const said = await saidBy(async () => expect((await systemctl('reload app-secrets')).code).toBe(0));
  expect(said).toContain('try 1 of 2: fetched 1 secret');
  const megabytes = Math.round((await peak()) / 1024 / 1024);
  console.log(`a fetch takes ${megabytes} MiB of the 256`);
  expect(megabytes).toBeGreaterThan(20);
});

test('where it is not, the child is killed: 75, and that is said', async () => {
  await limitMemory(64);
  const said = await saidBy(async () => expect((await systemctl('reload app-secrets')).code).not.toBe(0));
  expect(said).toMatch(
    /try 2 of 2: transient: the process that asks 1Password was killed \(SIGKILL\), perhaps for want of memory\n/,
  );
  expect(said).toContain('status=75/TEMPFAIL');
  await expectTidy();
});
