import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { binary } from '../build/binary.ts';
import { run } from '../container/run.ts';
import { type Emulator, startEmulator } from '../emulator/server.ts';
import { hostWithKeys } from '../support/host-keys.ts';
import { manifestPath } from '../support/manifests.ts';
import { onTerminal } from '../support/terminal.ts';

const value = 'n0t-4-r34l "quoted"\nsecond line 🔑';
const reference = 'op://Homelab/App/password';
const program = await binary();

let emulator: Emulator;
beforeAll(async () => {
  emulator = await startEmulator({
    data: { vaults: { Homelab: { items: { App: { fields: { password: value } } } } } },
  });
});
afterAll(() => emulator.close());

/** Not spawnSync: the emulator is in this process. */
async function read(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  input = '',
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await run([program, 'read', ...args], {
    env: { PATH: process.env['PATH'], ...env },
    input,
    check: false,
  });
  return { exitCode: code, stdout, stderr };
}

describe('read, from 1Password', () => {
  test('with the token of the environment', async () => {
    const root = hostWithKeys([]);
    const env = { OP_SERVICE_ACCOUNT_TOKEN: emulator.token };
    expect(await read([reference, '--root', root], env)).toEqual({
      exitCode: 0,
      stdout: `${value}\n`,
      stderr: '',
    });
    expect(await read(['-n', reference, '--root', root], env)).toEqual({
      exitCode: 0,
      stdout: value,
      stderr: '',
    });
  });

  test.runIf(process.geteuid?.() === 0)('with the token of the host, for root', async () => {
    const root = hostWithKeys(['rsa']);
    await run([program, 'token', 'seal', '--root', root], { input: emulator.token });
    expect(await read([reference, '--root', root])).toEqual({
      exitCode: 0,
      stdout: `${value}\n`,
      stderr: '',
    });
    writeFileSync(join(root, 'token'), `${emulator.token}\n`);
    writeFileSync(
      join(root, manifestPath),
      JSON.stringify({ version: 1, token: { file: '/token' }, services: {} }),
    );
    expect(await read([reference, '--root', root])).toMatchObject({ exitCode: 0, stdout: `${value}\n` });
  });

  test('with a token that is asked for on the terminal, and not shown', async () => {
    const root = hostWithKeys([]);
    const terminal = onTerminal([program, 'read', reference, '--root', root]);
    await terminal.waitFor('service account token: ');
    terminal.type(`${emulator.token}\r`);
    expect(await terminal.ended).toEqual({ exitCode: 0, signal: 0 });
    expect(terminal.output()).toContain(value.replace('\n', '\r\n'));
    expect(terminal.output()).not.toContain('ops_');
  });

  test('fails with a reason', async () => {
    const root = hostWithKeys([]);
    const env = { OP_SERVICE_ACCOUNT_TOKEN: emulator.token };
    const unknown = await read(['op://Homelab/Nothing/password', '--root', root], env);
    expect(unknown).toMatchObject({ exitCode: exitCodes.dataError, stdout: '' });
    expect(unknown.stderr).toContain('no item of that name or id in the vault');
    const malformed = await read(['op://Homelab/App', '--root', root], env);
    expect(malformed).toMatchObject({
      exitCode: exitCodes.dataError,
      stderr: expect.stringContaining('three or four parts'),
    });
    const noToken = await read([reference, '--root', root], { OP_SERVICE_ACCOUNT_TOKEN: 'Hunter2' });
    expect(noToken.exitCode).toBe(exitCodes.configuration);
    expect(noToken.stderr).toMatch(/^OP_SERVICE_ACCOUNT_TOKEN: this is not a service account token \(/);
    const none = await read([reference, '--root', root]);
    expect(none.exitCode).toBe(process.geteuid?.() === 0 ? exitCodes.noInput : exitCodes.noPermission);
    emulator.revoke();
    const revoked = await read([reference, '--root', root], env);
    expect(revoked).toMatchObject({ exitCode: exitCodes.noPermission, stdout: '' });
    emulator.restore();
  });
});

test('a person without a token is told how to give one', async () => {
  const { code, stderr } = await run(
    ['setpriv', '--reuid=65534', '--clear-groups', program, 'read', reference],
    {
      env: { PATH: process.env['PATH'] },
      check: false,
    },
  );
  expect(code).toBe(exitCodes.noPermission);
  expect(stderr).toBe(
    'there is no service account token (set OP_SERVICE_ACCOUNT_TOKEN, or run it as root or on a terminal)\n',
  );
});

test('nothing is broken where the reader goes away', async () => {
  const root = hostWithKeys([]);
  const script = `"$0" read ${reference} --root ${root} | true; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = await run(['bash', '-c', script, program], {
    env: { PATH: process.env['PATH'], OP_SERVICE_ACCOUNT_TOKEN: emulator.token },
  });
  expect({ stdout, stderr }).toEqual({ stdout: '0\n', stderr: '' });
});
