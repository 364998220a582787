import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/command-line.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { newAccount, tokenOf } from '../emulator/token.ts';
import { hostWithKeys } from '../support/host-keys.ts';
import { manifestPath } from '../support/manifests.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { binary } from './binary.ts';

const reference = 'op://Home/App/password';
const program = await binary();

/** Runs a line of a shell in which "$0" "$@" is the command. */
function run(line: string, args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line, program, ...args], {
    encoding: 'utf8',
    input,
    env: { PATH: process.env['PATH'] },
  });
  return { status, stdout, stderr };
}

const shell = (redirection: string, args: readonly string[], input = '') =>
  run(`"$0" "$@" ${redirection}`, args, input);

/** A machine with a vault and a sealed token. */
function host(): string {
  const root = hostWithKeys(['ed25519']);
  const services = { app: { environment: { PASSWORD: reference } } };
  writeFileSync(join(root, manifestPath), JSON.stringify({ version: 1, services }));
  const [account] = newAccount().serviceAccounts;
  if (account === undefined) throw new Error('the emulator made no service account');
  const made = [
    shell('', ['vault', 'init', '--root', root]),
    shell('', ['vault', 'set', reference, '--root', root], 'value'),
    shell('', ['token', 'seal', '--root', root], tokenOf(account, 'https://example.1password.com')),
  ];
  expect(made.map(({ status }) => status)).toEqual([0, 0, 0]);
  return root;
}

const commands: readonly (readonly string[])[] = [
  ['--help'],
  ['--version'],
  ['help'],
  ['help', 'token', 'seal'],
  ...buildProgram(() => {}).commands.map((command) => [command.name(), '--help']),
  ['completion', 'bash'],
  ['completion', 'zsh'],
  ['completion', 'fish'],
  ['schema'],
  ['schema', '--fragment'],
  ['check', './etc/unit-secrets/manifest.json'],
  ['check', '--json', './etc/unit-secrets/manifest.json'],
  ['plan', '--root', '.'],
  ['plan', '--json', '--root', '.'],
  ['status'],
  ['status', '--json'],
  ['doctor'],
  ['doctor', '--json'],
  ['vault', 'list', '--root', '.'],
  ['vault', 'list', '--json', '--root', '.'],
  ['vault', 'get', reference, '--root', '.'],
  ['read', reference, '--vault', './etc/unit-secrets/vault.age', '--root', '.'],
  ['token', 'check', '--root', '.'],
  ['token', 'check', '--json', '--root', '.'],
];
/** The commands for a machine, for which "." stands. */
const commandsOn = (root: string): string[][] =>
  commands.map((args) =>
    args.map((arg) => (arg === '.' || arg.startsWith('./') ? root + arg.slice(1) : arg)),
  );

test.each([
  ['>/dev/full', 'ENOSPC'],
  ['>&-', 'EBADF'],
  ['<&- >&-', 'EBADF'],
])(
  '%s is an I/O error of every command, in one line',
  (redirection, code) => {
    const stderr = `standard output cannot be written (${code})\n`;
    for (const args of commandsOn(host())) {
      const outcome = { status: exitCodes.ioError, stdout: '', stderr };
      expect({ args, ...shell(redirection, args) }).toEqual({ args, ...outcome });
    }
  },
  120_000,
);

test('no command says anything of a reader that is gone', () => {
  const pipe = join(temporaryDirectory(), 'pipe');
  execFileSync('mkfifo', [pipe]);
  // the end for writing of a pipe that nobody reads
  const gone = `exec 3<>${pipe} 4>${pipe} 3<&-; "$0" "$@" >&4`;
  for (const args of commandsOn(host())) {
    // what the command itself finds wrong is said as ever
    const { status, stderr } = shell('', args);
    expect({ args, ...run(gone, args) }).toEqual({ args, status, stdout: '', stderr });
  }
}, 120_000);

test('what can be written to is not taken for closed', () => {
  const file = join(temporaryDirectory(), 'out');
  for (const redirection of ['>/dev/null', `>${file}`, '1<>/dev/null', '| cat', '<&- | cat', '2>&- | cat']) {
    expect(shell(redirection, ['--version'])).toMatchObject({ status: 0, stderr: '' });
  }
  expect(readFileSync(file, 'utf8')).toMatch(/^\d/);
});

test.each(['2>/dev/full', '2>&-'])('%s: an error keeps its exit code', (redirection) => {
  expect(shell(redirection, ['frobnicate'])).toEqual({ status: exitCodes.usage, stdout: '', stderr: '' });
});
