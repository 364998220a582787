/** The program as it is built against a service whose certificate is not good. */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { BatchAnswer } from '../../src/domain/batch.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { type Emulator, startEmulator } from '../emulator/server.ts';
import { newCertificate } from '../support/certificate.ts';
import { FetchMachine } from '../support/fetch-machine.ts';

const data = { vaults: { Homelab: { items: { App: { fields: { password: 'x' } } } } } };
const authority = newCertificate("A test's authority", [-30, 30]);
const issuer = { name: "A test's authority", certificate: authority };
/** Days from now: a machine whose clock is behind sees what is valid as the third. */
const validity = { good: [-1, 1], expired: [-20, -10], 'not yet valid': [10, 20] } as const;

let machine: FetchMachine;
beforeAll(async () => {
  machine = await FetchMachine.start(data);
  await machine.load({ app: { PASSWORD: 'op://Homelab/App/password' } }, { tries: 2, timeout: '60s' });
});
afterAll(() => machine.stop());
beforeEach(() => machine.forget());

async function emulatorWith(days: keyof typeof validity, trusted = true): Promise<Emulator> {
  const tls = newCertificate('127.0.0.1', validity[days], trusted ? issuer : undefined);
  const emulator = await startEmulator({ data, tls });
  onTestFinished(() => emulator.close());
  machine.setToken(emulator.token);
  return emulator;
}

/** What the child with the SDK says to a sign-in if it trusts the authority, which a fetcher would not let it. */
async function signIn(token: string): Promise<BatchAnswer> {
  const path = join(machine.root, 'authority.pem');
  writeFileSync(path, authority.cert);
  const child = spawn(machine.program, ['resolve-child'], {
    env: { NODE_EXTRA_CA_CERTS: path },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  child.stdin.write(`${JSON.stringify({ token })}\n`);
  let text = '';
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return JSON.parse(text) as BatchAnswer;
}

test('a certificate of an authority that is trusted is good', async () => {
  const { token } = await emulatorWith('good');
  expect(await signIn(token)).toEqual({ ok: true, results: {} });
});

test.each(['expired', 'not yet valid'] as const)('one that is %s is not, whoever made it', async (days) => {
  const emulator = await emulatorWith(days);
  expect(await signIn(emulator.token)).toEqual({
    ok: false,
    message: expect.stringMatching(/error sending request$/),
  });
  expect(emulator.requests).toEqual([]);
});

describe.each([
  ['of nobody', 'good', false],
  ['of an authority that nobody knows', 'good', true],
  ['expired', 'expired', true],
  ['not yet valid', 'not yet valid', true],
] as const)('a certificate that is %s', (_, days, trusted) => {
  test('is worth another try, and nothing is said to who shows it', async () => {
    const emulator = await emulatorWith(days, trusted);
    const { exitCode, stderr } = await machine.fetch('app');
    const lines = stderr.trimEnd().split('\n');
    expect([exitCode, lines.length]).toEqual([exitCodes.temporaryFailure, 3]);
    expect(lines[1]).toBe('try 2 of 2: transient: 1Password could not be reached');
    expect(emulator.requests).toEqual([]);
    expect([machine.environmentOf('app'), machine.leftovers()]).toEqual([undefined, []]);
  });
});

test('while the clock has not been set, that is said to be a reason', async () => {
  await emulatorWith('not yet valid');
  const directory = join(machine.root, 'run/systemd/timesync');
  mkdirSync(directory, { recursive: true });
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const { exitCode, stderr } = await machine.fetch('app');
  expect(exitCode).toBe(exitCodes.temporaryFailure);
  expect(stderr).toContain(
    'try 2 of 2: transient: 1Password could not be reached, perhaps because the clock has not been set yet\n',
  );
});
