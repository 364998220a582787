import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { binary } from '../build/binary.ts';
import { newAccount, tokenOf } from '../emulator/token.ts';
import { sourceCommand } from '../support/command.ts';
import { ed25519Path, hostWithKeys, openWithAge } from '../support/host-keys.ts';
import { onTerminal, type Terminal } from '../support/terminal.ts';

const [account] = newAccount().serviceAccounts;
if (account === undefined) throw new Error('the emulator made no service account');
const token = tokenOf(account, 'https://example.1password.com');

const tokenFile = '/etc/unit-secrets/1password-token.age';
const vaultFile = '/etc/unit-secrets/vault.age';
const question = 'service account token: ';

/** A directory in memory, as a user has one. */
function temporaryMemory(): string {
  const directory = mkdtempSync('/dev/shm/unit-secrets-test-');
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

const programs: Record<string, readonly [string, ...string[]]> = { source: sourceCommand };
beforeAll(async () => {
  programs['compiled'] = [await binary()];
});

describe.each(['source', 'compiled'])('on a terminal, %s', (program) => {
  const command = (...args: string[]): readonly [string, ...string[]] => [
    ...(programs[program] ?? (['false'] as const)),
    ...args,
  ];

  /** Runs a command in a shell, which then tells the exit status, the terminal's settings and what is left to read. */
  function inShell(...args: string[]): Terminal {
    return inShellWith({}, ...args);
  }
  function inShellWith(env: Readonly<Record<string, string>>, ...args: string[]): Terminal {
    const script =
      'trap : INT; sh -c \'echo "pid $$"; exec "$@"\' sh "$@"; echo "status $?"; stty -a; read -r -t 0.2 left; echo "left [$left]"';
    return onTerminal(['bash', '--norc', '--noprofile', '-c', script, 'bash', ...command(...args)], env);
  }

  /** What the shell saw when the command had ended. */
  async function outcome(terminal: Terminal): Promise<{ status: number; sane: boolean; left: string }> {
    const output = await terminal.waitFor(/left \[.*\]/);
    return {
      status: Number(/status (\d+)/.exec(output)?.[1]),
      sane: ['isig', 'icanon', 'echo', 'icrnl'].every((name) => new RegExp(`[\\s;]${name}\\s`).test(output)),
      left: /left \[(.*)\]/.exec(output)?.[1] ?? '',
    };
  }
  const fine = { status: 0, sane: true, left: '' };

  async function asked(root: string): Promise<Terminal> {
    const terminal = inShell('token', 'seal', '--root', root);
    await terminal.waitFor(question);
    return terminal;
  }
  const sealed = (root: string): string => openWithAge(root, tokenFile).toString();
  const nothingWritten = (root: string): void =>
    expect(readdirSync(join(root, '/etc/unit-secrets'))).toEqual([]);

  test('a token that is typed is not shown', async () => {
    const root = hostWithKeys();
    const terminal = await asked(root);
    terminal.type(token.slice(0, 300));
    terminal.type(`${token.slice(300)}\r`);
    expect(await outcome(terminal)).toEqual(fine);
    expect(sealed(root)).toBe(token);
    for (const part of ['ops_', token.slice(100, 120), token.slice(-20)]) {
      expect(terminal.output()).not.toContain(part);
    }
  });

  test.each([
    ['with a newline at the end', `${token}\n`, true],
    ['marked as a paste, with a newline in it', `\x1b[200~${token}\r\n\x1b[201~\r`, true],
    ['with blanks around', `  ${token} \r`, true],
    ['with a slip that is erased', `xü\x7f\x7f${token}\x08${token.at(-1)}\r`, true],
    ['with a start that is taken back, and arrow keys', `wrong\x15\x1b[A\x1b[1;5C${token}\x1bOP\r`, true],
  ])('pasted %s', async (_, text) => {
    const root = hostWithKeys();
    const terminal = await asked(root);
    terminal.type(text);
    expect(await outcome(terminal)).toEqual(fine);
    expect(sealed(root)).toBe(token);
  });

  test.each([
    ['Enter', '\r', 'no token was entered'],
    ['Ctrl-D', '\x04', 'no token was entered'],
    ['blanks', '  \r', 'no token was entered'],
    ['something else', 'hunter2hunter2\r', 'this is not a service account token'],
    ['a part of a token', `${token.slice(0, 500)}\r`, 'the service account token is damaged'],
    ['more than a line', `${token}\rrm -rf here\r`, 'more than one line was entered'],
  ])('%s alone writes nothing', async (_, text, message) => {
    const root = hostWithKeys();
    const terminal = await asked(root);
    terminal.type(text);
    expect(await outcome(terminal)).toEqual({ ...fine, status: 65 });
    expect(terminal.output()).toContain(message);
    expect(terminal.output()).not.toMatch(/hunter2|ops_e|here/);
    nothingWritten(root);
  });

  test.each([
    ['Ctrl-C', '\x03'],
    ['Ctrl-\\', '\x1c'],
  ])('%s restores the terminal, ends as by its signal and writes nothing', async (_, key) => {
    const root = hostWithKeys();
    const terminal = await asked(root);
    terminal.type(`${token}${key}`);
    expect(await outcome(terminal)).toEqual({ ...fine, status: 130 });
    expect(terminal.output()).not.toContain('ops_');
    nothingWritten(root);
  });

  test('Ctrl-C at the value of a field, at the end of an edit and at a token to read with does the same', async () => {
    const root = hostWithKeys();
    const init = inShell('vault', 'init', '--root', root);
    expect(await outcome(init)).toEqual(fine);
    const before = readFileSync(join(root, vaultFile));
    const interrupted = async (ask: string, env: Record<string, string>, ...args: string[]) => {
      const terminal = inShellWith(env, ...args, '--root', root);
      await terminal.waitFor(ask);
      terminal.type('hunter2\x03');
      expect(await outcome(terminal)).toEqual({ ...fine, status: 130 });
      expect(terminal.output()).not.toContain('hunter2');
      expect(readFileSync(join(root, vaultFile)).equals(before)).toBe(true);
    };
    await interrupted('value of op://', {}, 'vault', 'set', 'op://Home/App/password');
    // where the editor's file in memory is
    const runtime = temporaryMemory();
    const nonsense = { XDG_RUNTIME_DIR: runtime, EDITOR: `f() { echo nonsense > "$1"; }; f` };
    await interrupted('press Enter to edit it again', nonsense, 'vault', 'edit');
    expect(readdirSync(runtime)).toEqual([]);
    expect(existsSync(join(root, `${vaultFile}.lock`))).toBe(false);
    const other = hostWithKeys();
    const read = inShell('read', 'op://Home/App/password', '--root', other);
    await read.waitFor(question);
    read.type('\x03');
    expect(await outcome(read)).toEqual({ ...fine, status: 130 });
  });

  test('SIGTERM restores the terminal', async () => {
    const root = hostWithKeys();
    const terminal = await asked(root);
    process.kill(Number(/pid (\d+)/.exec(terminal.output())?.[1]), 'SIGTERM');
    expect(await outcome(terminal)).toEqual({ ...fine, status: 143 });
    nothingWritten(root);
  });

  test('a value of several lines can be pasted, and typed values are not shown', async () => {
    const root = hostWithKeys();
    const run = async (text: string, ...args: string[]): Promise<Terminal> => {
      const terminal = inShell(...args, '--root', root);
      if (text !== '') {
        await terminal.waitFor('value of op://');
        terminal.type(text);
      }
      expect(await outcome(terminal)).toEqual(fine);
      return terminal;
    };
    await run('', 'vault', 'init');
    const typed = await run('pä$$word\r', 'vault', 'set', 'op://Home/App/password');
    expect(typed.output()).not.toContain('$$word');
    const key = '-----BEGIN KEY-----\nabc\n-----END KEY-----\n';
    await run(`\x1b[200~${key.replaceAll('\n', '\r')}\x1b[201~\r`, 'vault', 'set', 'op://Home/App/key');
    expect(JSON.parse(openWithAge(root, vaultFile).toString())).toMatchObject({
      Home: { App: { password: 'pä$$word', key } },
    });
    const got = await run('', 'vault', 'get', 'op://home/app/password');
    expect(got.output()).toContain('pä$$word\r\n');
  });

  test('an editor that leaves nonsense is called again, or everything stays as it was', async () => {
    const root = hostWithKeys();
    const run = (...args: string[]): Terminal =>
      onTerminal(command(...args, '--root', root), {
        EDITOR: `f() { sed -i 's/x/x/; $ s/}/nonsense/' "$1"; }; f`,
      });
    expect(await run('vault', 'init').ended).toMatchObject({ exitCode: 0 });
    const before = readFileSync(join(root, vaultFile));
    const terminal = run('vault', 'edit');
    await terminal.waitFor('press Enter to edit it again');
    expect(terminal.output()).toMatch(/vault\.json:\d+:\d+: not valid JSON/);
    terminal.type('q\r');
    expect(await terminal.ended).toMatchObject({ exitCode: 0 });
    expect(terminal.output()).toContain('nothing was changed');
    expect(readFileSync(join(root, vaultFile)).equals(before)).toBe(true);
    expect(existsSync(join(root, `${vaultFile}.lock`))).toBe(false);
  });

  test('an editor that is called again has the terminal to itself', async () => {
    const root = hostWithKeys();
    const run = (...args: string[]): Terminal =>
      onTerminal(command(...args, '--root', root), { EDITOR: `${join(root, 'editor')}` });
    writeFileSync(
      join(root, 'editor'),
      `#!/bin/bash
[ -e ${root}/called ] || { touch ${root}/called; echo nonsense > "$1"; exit; }
echo "now type:"; read -r line; printf '%s' "$line" > "$1"
`,
      { mode: 0o755 },
    );
    expect(await run('vault', 'init').ended).toMatchObject({ exitCode: 0 });
    const terminal = run('vault', 'edit');
    await terminal.waitFor('press Enter to edit it again');
    terminal.type('\r');
    await terminal.waitFor('now type:');
    const key = readFileSync(join(root, `${ed25519Path}.pub`), 'utf8')
      .split(' ', 2)
      .join(' ');
    const text = JSON.stringify({ $recipients: [key], v: { i: { f: 'typed' } } });
    terminal.type(`${text}\r`);
    expect(await terminal.ended).toMatchObject({ exitCode: 0 });
    expect(openWithAge(root, vaultFile).toString()).toContain('"f": "typed"');
  });
});
