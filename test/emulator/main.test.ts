import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { poll } from '../container/poll.ts';
import { resolveWithSdk } from './sdk-client.ts';

const program = join(import.meta.dirname, 'main.ts');
let directory: string;
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'emulator-'));
  children = [];
  const data = { vaults: { Homelab: { items: { Door: { fields: { code: '1234' } } } } } };
  writeFileSync(join(directory, 'data.json'), JSON.stringify(data));
});

afterEach(async () => {
  await Promise.all(children.map(stop));
  rmSync(directory, { recursive: true });
});

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill();
  await ended;
}

interface Running {
  readonly child: ChildProcess;
  readonly origin: string;
  readonly token: string;
}

async function start(...args: string[]): Promise<Running> {
  const file = (name: string): string => join(directory, name);
  const files = ['--data', file('data.json'), '--token-file', file('token'), '--log', file('log')];
  const child = spawn(process.execPath, [program, ...files, '--account', file('account'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const line = await poll(
    () => /^listening on (http:\/\/127\.0\.0\.1:\d+)\n/.exec(output),
    'the ready line',
    30_000,
  );
  return { child, origin: line[1] ?? '', token: readFileSync(file('token'), 'utf8') };
}

async function value(token: string): Promise<unknown> {
  const reference = 'op://Homelab/Door/code';
  const answer = await resolveWithSdk(token, [reference], 'v1.0.0');
  return answer.ok ? answer.results[reference] : answer.message;
}

test('it serves, writes its files, obeys its controls, and keeps its account over a restart', async () => {
  const first = await start();
  expect(await value(first.token)).toEqual({ value: '1234' });
  for (const name of ['token', 'account']) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  const log = readFileSync(join(directory, 'log'), 'utf8');
  const lines = log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { name: string; status: number });
  expect(lines.map(({ name }) => name)).toEqual([
    'auth-start',
    'auth',
    'confirm-key',
    'auth-complete',
    'vaults',
    'keysets',
    'overviews',
    'batch',
  ]);

  const control = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(`${first.origin}/control/${path}`, init);
    return { status: response.status, value: await response.json() };
  };
  expect(await control('GET', 'token')).toEqual({ status: 200, value: { token: first.token } });
  expect(await control('GET', 'requests?since=7')).toMatchObject({
    value: [{ n: 8, name: 'batch', status: 200 }],
  });

  expect(await control('POST', 'faults', { match: 'login', times: 1, kind: 'status', status: 429 })).toEqual({
    status: 200,
    value: { id: 1 },
  });
  expect(await value(first.token)).toBe('authentication error: rate limit exceeded');
  expect(await control('GET', 'faults')).toMatchObject({ value: [{ id: 1, hits: 1 }] });
  expect(await control('DELETE', 'faults')).toEqual({ status: 200, value: {} });
  expect(await control('POST', 'faults', { kind: 'nonsense' })).toMatchObject({ status: 400 });
  expect(await control('GET', 'nonsense')).toMatchObject({ status: 404 });

  const patch = { vaults: { Homelab: { items: { Door: { fields: { code: '5678' } } } } } };
  await control('PATCH', 'data', patch);
  expect(await value(first.token)).toEqual({ value: '5678' });
  expect(await control('GET', 'data')).toMatchObject({ value: patch });
  expect(await control('GET', 'references')).toMatchObject({ value: [{ names: 'op://Homelab/Door/code' }] });

  const added = (await control('POST', 'tokens', { vaults: [] })) as { value: { token: string } };
  expect(await value(added.value.token)).toEqual({ error: 'vaultNotFound' });
  await control('POST', 'revoke', {});
  expect(await value(first.token)).toBe('authentication error: you are not authenticated');
  await control('POST', 'restore', {});
  await control('POST', 'expire', {});
  await control('POST', 'device', { state: 'deleted' });
  expect(await value(first.token)).toEqual({ value: '5678' });

  await stop(first.child);
  const second = await start('--port', new URL(first.origin).port);
  expect(second.token).toBe(first.token);
  expect(await value(first.token)).toEqual({ value: '1234' });
});

test('it does not replace a token file', async () => {
  writeFileSync(join(directory, 'token'), 'another');
  const child = spawn(process.execPath, [program, '--token-file', join(directory, 'token')], {
    stdio: 'ignore',
  });
  children.push(child);
  await poll(() => child.exitCode !== null, 'it to give up', 30_000);
  expect(child.exitCode).not.toBe(0);
  expect(readFileSync(join(directory, 'token'), 'utf8')).toBe('another');
});
