import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { binary } from '../build/binary.ts';
import { type Emulator, startEmulator } from '../emulator/server.ts';
import { sourceCommand } from '../support/command.ts';
import { FetchMachine } from '../support/fetch-machine.ts';
import { manifestPath } from '../support/manifests.ts';
import { temporaryDirectory, temporaryTree } from '../support/temporary.ts';
import { onTerminal } from '../support/terminal.ts';

const erase = '\r\u001b[K';
const reference = 'op://Homelab/App/password';
const value = 'n0t-4-r34l';
/** Longer than it takes until something is said. */
const slow = { match: 'batch', kind: 'delay', delayMs: 2500 } as const;

let emulator: Emulator;
const programs: Record<string, readonly [string, ...string[]]> = { source: sourceCommand };
beforeAll(async () => {
  programs['compiled'] = [await binary()];
  emulator = await startEmulator({
    data: { vaults: { Homelab: { items: { App: { fields: { password: value, key: value } } } } } },
  });
});
afterEach(() => emulator.clearFaults());
afterAll(() => emulator.close());

describe.each(['source', 'compiled'])('what takes longer than a second, %s', (program) => {
  const command = (...args: string[]): readonly [string, ...string[]] => [
    ...(programs[program] ?? (['false'] as const)),
    ...args,
  ];
  const env = (): Record<string, string> => ({ OP_SERVICE_ACCOUNT_TOKEN: emulator.token });
  const read = () => command('read', reference, '--root', temporaryDirectory());

  test('is told on one line, which is gone in the end', async () => {
    emulator.fault(slow);
    const terminal = onTerminal(read(), env());
    expect(await terminal.ended).toEqual({ exitCode: 0, signal: 0 });
    const output = terminal.output();
    expect(output).toContain(`${erase}asking 1Password about 1 reference (1 s)${erase}`);
    expect(output).toContain('(2 s)');
    expect(output.endsWith(`${erase}${value}\r\n`)).toBe(true);
    expect(output.split('\r\n')).toHaveLength(2);
  });

  test('is told on a terminal that is narrow without a line that wraps', async () => {
    emulator.fault(slow);
    const terminal = onTerminal(read(), env(), { cols: 24 });
    await terminal.ended;
    const shown = terminal.output().split(erase);
    expect(shown).toContain('asking 1Password about…');
    expect(Math.max(...shown.slice(0, -1).map((line) => line.length))).toBeLessThan(24);
  });

  test('is not told to a file, nor to a terminal that cannot take a line back', async () => {
    emulator.fault(slow);
    const file = join(temporaryDirectory(), 'stderr');
    const toFile = onTerminal(['sh', '-c', `"$@" 2>${file}`, 'sh', ...read()], env());
    const dumb = onTerminal(read(), { ...env(), TERM: 'dumb' });
    for (const terminal of [toFile, dumb]) {
      expect(await terminal.ended).toEqual({ exitCode: 0, signal: 0 });
      expect(terminal.output()).toBe(`${value}\r\n`);
    }
    expect(readFileSync(file, 'utf8')).toBe('');
  });

  test('is told beside JSON for a program, and has no colours', async () => {
    emulator.fault(slow);
    const services = { app: { environment: { A: reference, B: 'op://Homelab/App/key' } } };
    const root = temporaryTree({ [manifestPath]: JSON.stringify({ version: 1, services }) });
    const out = join(temporaryDirectory(), 'stdout');
    const check = command('check', '--online', '--json', '--root', root);
    const terminal = onTerminal(['sh', '-c', `"$@" >${out}`, 'sh', ...check], env());
    expect(await terminal.ended).toEqual({ exitCode: 0, signal: 0 });
    expect(terminal.output()).toContain('asking 1Password about 2 references (1 s)');
    expect(terminal.output().replaceAll(erase, '')).not.toContain('\u001b');
    expect(JSON.parse(readFileSync(out, 'utf8'))).toMatchObject({ problems: expect.any(Array) });
  });

  test('is not told of what is quick', async () => {
    const terminal = onTerminal(command('token', 'check', '--root', temporaryDirectory()), env());
    await terminal.ended;
    expect(terminal.output()).not.toContain('\u001b');
  });

  test('Ctrl-C takes the line back and ends the program as it ends others', async () => {
    emulator.fault({ match: 'batch', kind: 'hang' });
    const script = 'trap : INT; "$@"; echo "status $?"';
    const terminal = onTerminal(['bash', '--norc', '-c', script, 'bash', ...read()], env());
    await terminal.waitFor('(1 s)');
    terminal.type('\u0003');
    await terminal.ended;
    expect(terminal.output().replace('^C', '').replaceAll(erase, '<erased>')).toMatch(
      /\(\d s\)<erased>(?:\r\n)?status 130\r\n$/,
    );
  });
});

test('a fetch by hand says how far it is, and its lines do not run into each other', async () => {
  const data = { vaults: { Homelab: { items: { App: { fields: { password: value } } } } } };
  const machine = await FetchMachine.start(data);
  try {
    await machine.load({ app: { A: reference } });
    machine.emulator.fault({ match: 'batch', kind: 'status', status: 500, times: 2 });
    machine.emulator.fault(slow);
    const fetch = [programs['compiled']?.[0] ?? 'false', 'fetch', 'app', '--root', machine.root] as const;
    const terminal = onTerminal([...fetch]);
    expect(await terminal.ended).toEqual({ exitCode: 0, signal: 0 });
    const output = terminal.output();
    expect(output).toMatch(/try 3 of 12: waiting for the answer \(\d+ s\)/);
    expect(output).not.toContain(value);
    // what is left when each line that is erased is taken away
    const left = output.split('\r\n').map((line) => line.split(erase).at(-1));
    expect(left.filter((line) => line !== '' && !/^try \d of 12|^fetched/.test(line ?? ''))).toEqual([]);
    expect(left.at(-1)).toBe('');
  } finally {
    await machine.stop();
  }
});
