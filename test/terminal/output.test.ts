import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { binary } from '../build/binary.ts';
import { temporaryTree } from '../support/temporary.ts';
import { onTerminal } from '../support/terminal.ts';

const csi = '\u001b';
let program: string;
beforeAll(async () => {
  program = await binary();
});

/** A machine with a manifest that has an error, and nothing loaded. */
function machine(): string {
  const services = { app: { environment: { KEY: 'op://Home/App/key' } }, bad: { enviroment: {} } };
  return temporaryTree({ '/etc/unit-secrets/manifest.json': JSON.stringify({ version: 1, services }) });
}

describe('on a terminal', () => {
  test('a plan has colours, which the shell is given back as they were', async () => {
    const terminal = onTerminal([program, 'plan', '--root', machine()]);
    expect(await terminal.ended).toEqual({ exitCode: 2, signal: 0 });
    expect(terminal.output()).toContain(`${csi}[32m+ExecStart=`);
    const colours = terminal.output().match(new RegExp(`${csi}\\[\\d+m`, 'g')) ?? [];
    expect(colours.filter((one) => one === `${csi}[0m`)).toHaveLength(colours.length / 2);
  });

  test.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }])('but not with %j', async (env) => {
    for (const command of ['plan', 'check']) {
      const terminal = onTerminal([program, command, '--root', machine()], env);
      await terminal.ended;
      expect(terminal.output()).toContain('enviroment');
      expect(terminal.output()).not.toContain(csi);
    }
  });

  test('a caret of check stands below what it points at', async () => {
    const terminal = onTerminal([program, 'check', '--root', machine()], { NO_COLOR: '1' });
    expect(await terminal.ended).toEqual({ exitCode: 1, signal: 0 });
    const lines = terminal.output().split('\r\n');
    const caret = lines.findIndex((line) => /^\s*\| +\^$/.test(line));
    const column = lines[caret]?.indexOf('^') ?? 0;
    expect(lines[caret - 1]?.slice(column)).toMatch(/^"enviroment"/);
  });

  test('status --watch draws again until Ctrl-C, and leaves the cursor as it was', async () => {
    const terminal = onTerminal([program, 'status', '--watch']);
    await terminal.waitFor(/(?:no service is given secrets[\s\S]*){2}/);
    terminal.type('\u0003');
    expect(await terminal.ended).toEqual({ exitCode: 0, signal: 0 });
    const output = terminal.output();
    expect(output.startsWith(`${csi}[?25l`)).toBe(true);
    expect(output.trimEnd().endsWith(`${csi}[?25h`)).toBe(true);
  });
});

test('status --watch without a terminal is wrong usage', async () => {
  const terminal = onTerminal(['sh', '-c', `"$0" status --watch | cat; exit 3`, program]);
  await terminal.ended;
  expect(terminal.output()).toContain('--watch is for a terminal that can be drawn on');
});

test('what is written to a pipe has no colours', async () => {
  const terminal = onTerminal(['sh', '-c', '"$0" "$@" | cat', program, 'plan', '--root', join(machine())]);
  await terminal.ended;
  expect(terminal.output()).toContain('+ExecStart=');
  expect(
    terminal
      .output()
      .split('\n')
      .filter((line) => line.includes('+') && line.includes(csi)),
  ).toEqual([]);
});
