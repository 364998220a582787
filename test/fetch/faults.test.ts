/** The program as it is built against every fault of the service: class, tries, exit code, journal, outcome. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Answer, answerOf } from '../../src/domain/answer.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { FailureError } from '../../src/domain/failure.ts';
import { openOnePassword } from '../../src/effects/onepassword-provider.ts';
import { obtain } from '../../src/fetch/obtain.ts';
import type { Fault } from '../emulator/faults.ts';
import { newServiceAccount, tokenOf } from '../emulator/token.ts';
import { FetchMachine } from '../support/fetch-machine.ts';

const secret = 'n0t-4-r34l-s3cr3t';
const vaults = {
  Homelab: {
    items: {
      App: { fields: { password: secret, other: 'x' } },
      Old: { archived: true, fields: { password: 'gone' } },
    },
  },
  Second: { items: { App: { fields: { password: 'second' } } } },
  Third: { items: { App: { fields: { password: 'third' } } } },
};
const login = ['auth-start', 'auth', 'confirm-key', 'auth-complete'];
const reading = ['vaults', 'keysets', 'overviews', 'batch'];
const app = { PASSWORD: 'op://Homelab/App/password' };

let machine: FetchMachine;
beforeAll(async () => {
  machine = await FetchMachine.start({ vaults });
});
afterAll(() => machine.stop());
beforeEach(async () => {
  machine.emulator.clearFaults();
  machine.setToken(machine.emulator.token);
  machine.forget();
  await machine.load({ app }, { tries: 3, timeout: '60s' });
});

const triesOf = (stderr: string): number => [...stderr.matchAll(/^try \d+ of \d+: /gm)].length;

/** What must hold whatever happened. */
function expectTidy(stderr: string): void {
  expect(machine.leftovers()).toEqual([]);
  expect(stderr).not.toContain(secret);
  // a hint may say how a token begins
  expect(stderr).not.toMatch(/ops_\w/);
}

test('an entry that is edited meanwhile makes a fetch fail, so that it is tried again with the new one', async () => {
  machine.emulator.fault({ kind: 'delay', delayMs: 2_000, match: 'batch', times: 1 });
  const before = machine.emulator.requests.length;
  const fetched = machine.fetch('app');
  await vi.waitFor(
    () => expect(machine.emulator.requests.slice(before).map(({ name }) => name)).toContain('batch'),
    30_000,
  );
  await machine.load({ app: { ...app, MORE: 'yes' } }, { tries: 3, timeout: '60s' });
  expect(await fetched).toMatchObject({
    exitCode: exitCodes.temporaryFailure,
    stderr: expect.stringContaining('the entry in the manifest was edited while its secrets were fetched'),
  });
  expect(await machine.fetch('app')).toMatchObject({ exitCode: exitCodes.ok });
  expect(machine.environmentOf('app')).toContain('MORE="yes"');
});

describe('what passes costs a try and no more', () => {
  const passing: readonly (readonly [string, Fault])[] = [
    ['a reset before the answer', { kind: 'reset' }],
    ['a closed connection', { kind: 'close', times: 2 }],
    ['a connection that ends in the middle', { kind: 'cut' }],
    ['a captive portal', { kind: 'html' }],
    ['an empty answer', { kind: 'empty' }],
    ...[400, 408, 409, 418, 500, 502, 503, 504].map(
      (status) => [`status ${status}`, { kind: 'status', status }] as const,
    ),
  ];
  test.each(
    passing.map(([name, fault], index) => [name, index % 2 === 0 ? 'auth' : 'batch', fault] as const),
  )('%s at %s', async (_, match, fault) => {
    machine.emulator.fault({ times: 1, ...fault, match });
    const { exitCode, stderr } = await machine.fetch('app');
    expect({ exitCode, stderr }).toEqual({
      exitCode: exitCodes.ok,
      // Bun itself repeats a request on a connection that dies
      stderr: expect.stringMatching(
        /^(try \d of 3: transient: .*, next in \d\.\d s\n){0,2}try \d of 3: fetched 1 secret\n$/,
      ),
    });
    if (fault.kind === 'status') expect(triesOf(stderr)).toBe(2);
    expect(machine.environmentOf('app')).toBe(`PASSWORD="${secret}"\n`);
    expectTidy(stderr);
  });

  test.each(['confirm-key', 'keysets', 'batch'])('garbled contents at %s', async (match) => {
    machine.emulator.fault({ kind: 'garbled', times: 1, match });
    const { exitCode, stderr } = await machine.fetch('app');
    expect(exitCode).toBe(exitCodes.ok);
    expect(triesOf(stderr)).toBeLessThanOrEqual(2);
    expectTidy(stderr);
  });

  test('a session that has expired costs nothing', async () => {
    machine.emulator.fault({ kind: 'status', status: 401, times: 1, match: 'batch' });
    const { exitCode, stderr, requests } = await machine.fetch('app');
    expect([exitCode, stderr]).toEqual([exitCodes.ok, 'try 1 of 3: fetched 1 secret\n']);
    expect(requests).toEqual([...login, ...reading, ...login, 'batch']);
  });

  test('slow answers cost nothing', async () => {
    machine.emulator.fault({ kind: 'delay', delayMs: 300 });
    const { exitCode, stderr } = await machine.fetch('app');
    expect([exitCode, triesOf(stderr)]).toEqual([exitCodes.ok, 1]);
  });

  test.each([1, 3, 5])(
    'a service that comes back after %i tries',
    async (times) => {
      await machine.load({ app }, { tries: 12, timeout: '5min' });
      machine.emulator.fault({ kind: 'status', status: 503, times, match: 'auth-start' });
      const { exitCode, stderr } = await machine.fetch('app');
      expect([exitCode, triesOf(stderr)]).toEqual([exitCodes.ok, times + 1]);
      expectTidy(stderr);
    },
    300_000,
  );
});

/** As `fetch` tries, with its child and the SDK, but without the waits in between, which are told. */
async function tryWithoutWaits(tries: number): Promise<readonly number[]> {
  const references = ['op://Homelab/App/password'];
  const waits: number[] = [];
  const ask = async (): Promise<Answer> => {
    const session = openOnePassword({
      command: [machine.program, 'resolve-child'],
      token: machine.emulator.token,
    });
    try {
      return answerOf(references, await session.resolve(references, 30_000));
    } catch (error) {
      if (error instanceof FailureError) return { ok: false, failure: error.failure };
      throw error;
    } finally {
      session.close();
    }
  };
  const request = { service: 'app.service', references, tries, timeout: 240, unitDigest: '', force: false };
  const values = await obtain(request, {
    ask,
    coolDown: () => undefined,
    remembered: () => undefined,
    tell: () => {},
    log: () => {},
    now: () => waits.reduce((sum, wait) => sum + wait, 0),
    sleep: async (milliseconds) => void waits.push(milliseconds),
    random: Math.random,
  });
  expect([...values.values()]).toEqual([secret]);
  return waits;
}

describe('a service that comes back', () => {
  test.each(Array.from({ length: 11 }, (_, index) => index + 1))(
    'after %i of 12 tries is found',
    async (times) => {
      machine.emulator.fault({ kind: 'status', status: 503, times, match: 'auth-start' });
      const waits = await tryWithoutWaits(12);
      expect(waits).toHaveLength(times);
      for (const [index, wait] of waits.entries())
        expect(wait).toBeLessThan(Math.min(30_000, 500 * 2 ** index));
    },
  );

  test('after 12 is found by the next start', async () => {
    machine.emulator.fault({ kind: 'status', status: 503, times: 12, match: 'auth-start' });
    await expect(tryWithoutWaits(12)).rejects.toMatchObject({
      failure: { class: 'transient', exitCode: exitCodes.temporaryFailure },
    });
    expect(await tryWithoutWaits(12)).toEqual([]);
  });
});

describe('what lasts ends with 75 when the tries are used up', () => {
  test.each([
    ['no route', { kind: 'reset' } as Fault, /1Password could not be reached/],
    ['an outage', { kind: 'status', status: 503 } as Fault, /1Password reports an internal error/],
  ])('%s', async (_, fault, reason) => {
    machine.emulator.fault(fault);
    const { exitCode, stderr } = await machine.fetch('app');
    expect([exitCode, triesOf(stderr)]).toEqual([exitCodes.temporaryFailure, 3]);
    expect(stderr).toMatch(reason);
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(
      /it is tried again by itself, at once with "unit-secrets retry app"/,
    );
    expect(machine.environmentOf('app')).toBeUndefined();
    expectTidy(stderr);
  });

  test.each(['hang', 'hang-body'] as const)('silence (%s), within the time', async (kind) => {
    await machine.load({ app }, { tries: 3, timeout: '3s' });
    machine.emulator.fault({ kind, match: 'overviews' });
    const { exitCode, stderr, milliseconds } = await machine.fetch('app');
    expect(exitCode).toBe(exitCodes.temporaryFailure);
    expect(stderr).toMatch(/1Password did not answer within \d s/);
    expect(milliseconds).toBeLessThan(8_000);
    expectTidy(stderr);
  });

  test.each([
    ['nobody listens', 'http://127.0.0.1:9'],
    ['a name that nobody knows', 'https://unit-secrets.invalid'],
  ])('%s', async (_, address) => {
    machine.setToken(tokenOf(newServiceAccount(), address));
    const { exitCode, stderr } = await machine.fetch('app');
    expect([exitCode, triesOf(stderr)]).toEqual([exitCodes.temporaryFailure, 3]);
    expect(stderr).toContain('1Password could not be reached');
  });
});

describe('what is permanent ends at once', () => {
  test.each([
    [
      'a vault',
      'op://Nowhere/App/password',
      'no vault of that name or id',
      'let the service account see the vault',
    ],
    [
      'an item',
      'op://Homelab/Nothing/password',
      'no item of that name or id in the vault',
      'add the item in 1Password',
    ],
    [
      'a field',
      'op://Homelab/App/nothing',
      'no field of that name in the item',
      'add the field in 1Password',
    ],
    [
      'a section',
      'op://Homelab/App/nothing/password',
      'no section of that name in the item',
      'add the section in 1Password',
    ],
  ])('%s that is not there: 65', async (_, reference, message, remedy) => {
    await machine.load({ app: { A: reference, ...app } });
    const { exitCode, stderr } = await machine.fetch('app');
    expect([exitCode, triesOf(stderr)]).toEqual([exitCodes.dataError, 1]);
    // first what to do, then each command once
    expect(stderr).toContain(
      `"${reference}": ${message} (correct the reference, or ${remedy}; then "unit-secrets retry app", or "systemctl reload app-secrets" if it runs)\n`,
    );
    expect(machine.environmentOf('app')).toBeUndefined();
    expectTidy(stderr);
  });

  test('an archived item by its id: 65', async () => {
    const { ids = '' } = machine.emulator.references().find(({ names }) => names.includes('/Old/')) ?? {};
    await machine.load({ app: { A: ids, ...app } });
    const { exitCode, stderr } = await machine.fetch('app');
    expect(exitCode).toBe(exitCodes.dataError);
    expect(stderr).toContain(`"${ids}": the item is archived`);
  });

  test('a token that was revoked: 77', async () => {
    machine.emulator.revoke();
    const { exitCode, stderr, requests } = await machine.fetch('app');
    machine.emulator.restore();
    expect([exitCode, triesOf(stderr)]).toEqual([exitCodes.noPermission, 1]);
    expect(stderr).toContain('1Password does not accept the service account token');
    expect(requests.length).toBeLessThanOrEqual(4);
  });

  test('a token that was revoked while it was in use: 77', async () => {
    machine.emulator.fault({ kind: 'status', status: 401, match: 'batch' });
    expect((await machine.fetch('app')).exitCode).toBe(exitCodes.noPermission);
  });

  test.each(['overviews', 'batch'])('what the account may not do, at %s: 77', async (match) => {
    machine.emulator.fault({ kind: 'status', status: 403, match });
    const { exitCode, stderr } = await machine.fetch('app');
    expect(exitCode).toBe(exitCodes.noPermission);
    expectTidy(stderr);
  });

  test('a token whose key opens nothing: 78', async () => {
    const [account = newServiceAccount()] = machine.emulator.account.serviceAccounts;
    machine.setToken(tokenOf({ ...account, muk: '00'.repeat(32) }, machine.emulator.origin));
    const { exitCode, stderr } = await machine.fetch('app');
    expect([exitCode, triesOf(stderr)]).toEqual([exitCodes.configuration, 1]);
    expect(stderr).toContain('the service account token is damaged');
    expectTidy(stderr);
  });

  test.each([
    ['damaged', 'ops_x', exitCodes.configuration],
    ['of another kind', 'what', exitCodes.configuration],
  ])('a token that is %s: 78', async (_, token, code) => {
    machine.setToken(token);
    const { exitCode, stderr, requests } = await machine.fetch('app');
    expect([exitCode, triesOf(stderr), requests]).toEqual([code, 1, []]);
  });

  test('a newline behind the token is no damage', async () => {
    machine.setToken(`${machine.emulator.token}\n`);
    expect((await machine.fetch('app')).exitCode).toBe(exitCodes.ok);
  });

  test.each([
    ['not synchronised yet', [], exitCodes.temporaryFailure],
    ['synchronised', ['synchronized'], exitCodes.noPermission],
  ])('a refused token while the clock is %s', async (_, files, code) => {
    const directory = join(machine.root, 'run/systemd/timesync');
    mkdirSync(directory, { recursive: true });
    for (const name of files) writeFileSync(join(directory, name), '');
    machine.emulator.revoke();
    const { exitCode, stderr } = await machine.fetch('app');
    machine.emulator.restore();
    rmSync(directory, { recursive: true });
    expect([exitCode, triesOf(stderr)]).toEqual([code, code === exitCodes.temporaryFailure ? 3 : 1]);
  });
});

describe('what is permanent is remembered', () => {
  const wrong = { A: 'op://Homelab/Nothing/password' };

  test('and not asked for again, until the unit or the token is another', async () => {
    await machine.load({ app: wrong });
    expect((await machine.fetch('app')).requests.length).toBeGreaterThan(4);
    const again = await machine.fetch('app');
    expect([again.exitCode, again.requests]).toEqual([exitCodes.dataError, []]);
    expect(again.stderr).toMatch(
      /no item of that name.*found less than a minute ago, not asked again.*unit-secrets retry app/,
    );

    await machine.load({ app: { ...wrong, B: 'x' } });
    expect((await machine.fetch('app')).requests.length).toBeGreaterThan(4);
    machine.setToken(machine.emulator.addToken());
    expect((await machine.fetch('app')).requests.length).toBeGreaterThan(4);
    expect((await machine.fetch('app')).requests).toEqual([]);
  });

  test('but a reload always asks, and what comes of it is not remembered', async () => {
    expect((await machine.fetch('app')).exitCode).toBe(exitCodes.ok);
    machine.emulator.revoke();
    expect((await machine.fetch('app')).requests.length).toBeGreaterThan(0);
    expect((await machine.fetch('app')).requests.length).toBeGreaterThan(0);
    machine.emulator.restore();
    machine.wipe('app');
    expect((await machine.fetch('app')).exitCode).toBe(exitCodes.ok);
  });

  test('a value that cannot be written is, too', async () => {
    machine.emulator.patchData({ vaults: { Homelab: { items: { App: { fields: { other: 'a\0b' } } } } } });
    await machine.load({ app: { A: 'op://Homelab/App/other' } });
    expect((await machine.fetch('app')).exitCode).toBe(exitCodes.dataError);
    expect((await machine.fetch('app')).requests).toEqual([]);
  });

  test('without a value, for root alone', async () => {
    await machine.load({ app: { ...wrong, ...app } });
    await machine.fetch('app');
    const text = readFileSync(join(machine.queue, 'app.service.state'), 'utf8');
    expect(text).not.toContain(secret);
    expect(JSON.parse(text)).toMatchObject({
      service: 'app.service',
      state: 'failed',
      try: 1,
      failure: { class: 'permanent' },
    });
  });
});

describe('a rate limit', () => {
  test.each(['auth-start', 'vaults', 'batch'])('at %s begins a cool-down that all share', async (match) => {
    await machine.load({ app, other: { A: 'op://Second/App/password' } }, { tries: 3 });
    machine.emulator.fault({ kind: 'status', status: 429, match, times: 1 });
    const first = await machine.fetch('app');
    expect([first.exitCode, triesOf(first.stderr)]).toEqual([exitCodes.temporaryFailure, 1]);
    expect(first.stderr).toMatch(/^try 1 of 3: rate-limited: /);
    for (const name of ['app', 'other']) {
      const next = await machine.fetch(name);
      expect([next.exitCode, next.requests]).toEqual([exitCodes.temporaryFailure, []]);
      expect(next.stderr).toMatch(/nothing is asked until \d\d:\d\d:\d\d/);
      expect(next.milliseconds).toBeLessThan(5_000);
    }
    machine.setToken(machine.emulator.addToken());
    expect((await machine.fetch('other')).exitCode).toBe(exitCodes.ok);
  });

  test('that comes again makes the next one longer', async () => {
    machine.emulator.fault({ kind: 'status', status: 429 });
    const lengths: number[] = [];
    const path = join(machine.queue, 'cool-down');
    for (let at = 0; at < 3; at++) {
      await machine.fetch('app');
      const state = JSON.parse(readFileSync(path, 'utf8')) as { until: number };
      const now = Number(readFileSync('/proc/uptime', 'utf8').split(' ', 1)[0]);
      lengths.push(state.until - now);
      writeFileSync(path, JSON.stringify({ ...state, until: now - 1 }));
    }
    for (const [index, length] of lengths.entries()) {
      expect(length).toBeGreaterThan(60 * 2 ** index - 10);
      expect(length).toBeLessThan(75 * 2 ** index);
    }
  });
});

describe('many services', () => {
  const many = (count: number): Record<string, Record<string, string>> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`app${index}`, app]));

  test('cost one sign-in and one batch', async () => {
    await machine.load(many(12));
    const before = machine.emulator.requests.length;
    const all = await Promise.all(Object.keys(many(12)).map((name) => machine.fetch(name)));
    expect(all.map(({ exitCode, stderr }) => `${exitCode} ${stderr}`)).toEqual(
      Array.from({ length: 12 }, () => '0 try 1 of 12: fetched 1 secret\n'),
    );
    expect(
      machine.emulator.requests
        .slice(before)
        .map(({ name }) => name)
        .sort(),
    ).toEqual([...login, ...reading].sort());
    expect(machine.leftovers()).toEqual([]);
  });

  test('each get their own values, whatever is wrong with the others', async () => {
    const { ids = '' } = machine.emulator.references().find(({ names }) => names.includes('/Old/')) ?? {};
    const services = {
      app,
      second: { A: 'op://Second/App/password' },
      third: { A: 'op://Third/App/password', B: 'op://Homelab/App/password' },
      archived: { A: ids },
      nowhere: { A: 'op://aaaaaaaaaaaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbbbbbbbbbbbb/x' },
    };
    await machine.load(services);
    const names = Object.keys(services);
    const all = await Promise.all(names.map((name) => machine.fetch(name)));
    expect(all.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, exitCodes.dataError, exitCodes.dataError]);
    expect(names.map((name) => machine.environmentOf(name))).toEqual([
      `PASSWORD="${secret}"\n`,
      'A="second"\n',
      `A="third"\nB="${secret}"\n`,
      undefined,
      undefined,
    ]);
    expect(all.every(({ stderr }) => triesOf(stderr) === 1)).toBe(true);
  });

  test('try again together, too', async () => {
    await machine.load(many(8), { tries: 3 });
    machine.emulator.fault({ kind: 'status', status: 503, times: 1, match: 'auth-start' });
    const before = machine.emulator.requests.length;
    const all = await Promise.all(Object.keys(many(8)).map((name) => machine.fetch(name)));
    expect(all.every(({ exitCode }) => exitCode === 0)).toBe(true);
    const signIns = machine.emulator.requests.slice(before).filter(({ name }) => name === 'auth-start');
    expect(signIns.length).toBeLessThanOrEqual(3);
  });
});
