import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/command-line.ts';
import { schemaText } from '../../src/cli/schema.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { unitSecrets } from '../support/command.ts';
import { manifestPath } from '../support/manifests.ts';
import { temporaryDirectory, temporaryTree } from '../support/temporary.ts';

const hint = 'run unit-secrets --help for what there is\n';

describe('what the command line does not know ends with 64 and a hint', () => {
  test.each([
    ['a command', ['frobnicate'], "unknown command 'frobnicate'"],
    ['a misspelt command', ['shcema'], "unknown command 'shcema'\n(Did you mean schema?)"],
    ['a misspelt command of a command', ['token', 'opne'], "unknown command 'opne'\n(Did you mean open?)"],
    ['an option', ['schema', '--colour'], "unknown option '--colour'"],
    ['a misspelt option', ['fetch', '--manifets'], "unknown option '--manifets'\n(Did you mean --manifest?)"],
    [
      'a misspelt required option',
      ['generate', '--outptu', 'x'],
      "unknown option '--outptu'\n(Did you mean --output?)",
    ],
    ['an option without its argument', ['generate', '--output'], "option '--output <dir>' argument missing"],
    ['a command without what it needs', ['generate'], "required option '--output <dir>' not specified"],
    [
      'an argument too many',
      ['schema', 'x'],
      "too many arguments for 'schema'; expected 0 arguments but got 1: x",
    ],
    [
      'an argument that ends as a sentence does',
      ['plan', 'x.', '. Expected y.'],
      "too many arguments for 'plan'; expected 0 arguments but got 2: x., . Expected y.",
    ],
    [
      'a shell',
      ['completion', 'tcsh'],
      "command-argument value 'tcsh' is invalid for argument 'shell'; allowed choices are bash, zsh, fish",
    ],
    ['an option that no other is near to', ['check', '--foo'], "unknown option '--foo'"],
    ['a command that no other is near to', ['pull'], "unknown command 'pull'"],
    ['no service', ['fetch'], 'name one service'],
    ['a service and the manifest', ['fetch', 'a', '--manifest'], 'name one service'],
    ['two directories', ['/tmp/a', '/tmp/b'], "unknown command '/tmp/a'"],
    ['three directories of which one is relative', ['/tmp/a', 'b', '/tmp/c'], "unknown command '/tmp/a'"],
  ])('%s', (_, args, message) => {
    expect(unitSecrets(args)).toEqual({
      exitCode: exitCodes.usage,
      stdout: '',
      stderr: `unit-secrets: ${message}\n${hint}`,
    });
  });

  test.each([
    [['help', 'foo'], 'foo', ''],
    [['help', 'chekc'], 'chekc', '(Did you mean check?)\n'],
    [['help', 'token', 'sael'], 'sael', '(Did you mean seal?)\n'],
    [['help', 'check', 'chekc'], 'chekc', ''],
    [['chekc', '--help'], 'chekc', '(Did you mean check?)\n'],
  ])('%j', (args, name, suggestion) => {
    expect(unitSecrets(args)).toEqual({
      exitCode: exitCodes.usage,
      stdout: '',
      stderr: `unit-secrets: unknown command '${name}'\n${suggestion}${hint}`,
    });
  });

  test.each([[[]], [['token']]])('no command in %j, with the help on stderr', (args) => {
    const { exitCode, stdout, stderr } = unitSecrets(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: exitCodes.usage, stdout: '' });
    expect(stderr).toMatch(/^Usage: unit-secrets /);
  });
});

test('help of a command of a command is its own', () => {
  expect(unitSecrets(['help', 'token', 'seal'])).toEqual(unitSecrets(['token', 'seal', '--help']));
});

test('every command has help, which says what the command does', () => {
  const commands = buildProgram(() => {}).commands.flatMap((command) => [command, ...command.commands]);
  expect(commands.length).toBeGreaterThan(4);
  for (const command of commands) {
    expect(command.description()).toMatch(/^[a-z]/);
    expect(command.helpInformation()).toContain('--help');
    const listed = command.parent?.helpInformation();
    expect(listed).toMatch(new RegExp(`^  ${command.name()}\\b`, 'm'));
    for (const option of command.options) expect(option.description).toMatch(/^[a-z]/);
  }
});

test.each([
  [['--help']],
  [['-h']],
  [['help']],
  [['generate', '--help']],
  [['help', 'generate']],
  [['help', 'help']],
])('%j prints help on stdout', (args) => {
  const { exitCode, stdout, stderr } = unitSecrets(args);
  expect({ exitCode, stderr }).toEqual({ exitCode: exitCodes.ok, stderr: '' });
  expect(stdout).toMatch(/^Usage: unit-secrets /);
});

test.each(['--version', '-V'])('%s prints the version', (option) => {
  expect(unitSecrets([option])).toMatchObject({
    exitCode: exitCodes.ok,
    stdout: expect.stringMatching(/^\d+\.\d+\.\S+\n$/),
  });
});

test('a full disk behind standard output is an I/O error, and no bug', () => {
  const command = 'exec "$0" "$@" >/dev/full';
  for (const args of [
    ['schema'],
    ['plan', '--root', temporaryTree({ [manifestPath]: '{"version":1,"services":{}}' })],
  ]) {
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', command, process.execPath, join(import.meta.dirname, '../../src/main.ts'), ...args],
      { encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({
      status: 74,
      stderr: 'standard output cannot be written (ENOSPC)\n',
    });
  }
});

test('schema prints the JSON Schema', () => {
  expect(unitSecrets(['schema'])).toEqual({ exitCode: exitCodes.ok, stdout: schemaText(), stderr: '' });
});

const manifest = (services: object): string => JSON.stringify({ version: 1, services });
const some = { environment: { A: 'op://v/i/f' } };

describe('generate', () => {
  function generate(tree: Readonly<Record<string, string>>, output = join(temporaryDirectory(), 'units')) {
    return { ...unitSecrets(['generate', '--root', temporaryTree(tree), '--output', output]), output };
  }

  test('writes what the generator would write', () => {
    const { exitCode, stderr, output } = generate({ [manifestPath]: manifest({ app: some }) });
    expect({ exitCode, stderr }).toEqual({ exitCode: exitCodes.ok, stderr: `wrote 6 files to ${output}\n` });
    expect(readFileSync(join(output, 'app-secrets.service'), 'utf8')).toContain(
      `ExecStart=${process.execPath} fetch app`,
    );
  });

  test('tells the errors of the manifest, writes what can be written, and ends with 1', () => {
    const { exitCode, stderr, output } = generate({ [manifestPath]: manifest({ app: some, bad: {} }) });
    expect(exitCode).toBe(exitCodes.problems);
    expect(stderr.split('\n')[0]).toBe(
      `${manifestPath}:1:73: $.services.bad: the service is given nothing (add "environment", "credentials", "files", "configs" or several)`,
    );
    expect(readdirSync(output)).toContain('app-secrets.service');
  });

  test('without a manifest says so and writes nothing', () => {
    const { exitCode, stderr, output } = generate({});
    expect(exitCode).toBe(exitCodes.ok);
    expect(stderr).toMatch(new RegExp(`^nothing to do: there is no .*${manifestPath}\n$`));
    expect(existsSync(output)).toBe(false);
  });

  test('ends with 73 if the directory cannot be written to', () => {
    const file = join(temporaryTree({ file: '' }), 'file');
    const { exitCode, stderr } = generate({ [manifestPath]: manifest({ app: some }) }, file);
    expect(exitCode).toBe(exitCodes.cannotCreate);
    expect(stderr).toMatch(/^cannot write units to .*EEXIST/);
  });
});

describe('called with directories, it is a generator', () => {
  test.each([1, 3])('with %d of them', (count) => {
    const directory = temporaryDirectory();
    const outputs = ['normal', 'early', 'late'].slice(0, count).map((name) => join(directory, name));
    const root = temporaryTree({ [manifestPath]: manifest({ app: some }) });
    // a root may end with a slash
    expect(unitSecrets(outputs, { env: { UNIT_SECRETS_ROOT: `${root}/` } })).toEqual({
      exitCode: exitCodes.ok,
      stdout: '',
      stderr: '',
    });
    expect(readdirSync(directory)).toEqual(['normal']);
    expect(readdirSync(join(directory, 'normal'))).toContain('app-secrets.service');
  });
});

test('a generator ends even if its manifest never does', () => {
  const output = join(temporaryDirectory(), 'normal');
  for (const make of [
    (path: string) => execFileSync('mkfifo', [path]),
    (path: string) => symlinkSync('/dev/zero', path),
  ]) {
    const root = temporaryTree({ '/etc/unit-secrets/': '' });
    make(join(root, manifestPath));
    expect(unitSecrets([output], { env: { UNIT_SECRETS_ROOT: root } }).exitCode).toBe(exitCodes.problems);
    expect(readFileSync(join(output, 'unit-secrets-manifest.service'), 'utf8')).toContain(
      `Error="${manifestPath}: is not a regular file"`,
    );
  }
});

test('a child that is not asked as a fetcher asks it gives no answer', () => {
  for (const input of ['', '{"token":"ops_x"}', 'null\n', '{"token":1}\n', '{"references":[]}\n'])
    expect(unitSecrets(['resolve-child'], { input })).toEqual({
      exitCode: input.endsWith('\n') ? exitCodes.usage : exitCodes.ok,
      stdout: '',
      stderr: '',
    });
});

test('the manual page has every command and every option, and no other', () => {
  const page = readFileSync(join(import.meta.dirname, '../../man/unit-secrets.1'), 'utf8');
  const program = buildProgram(() => {});
  const commands = program.commands.flatMap((command) =>
    command.commands.length > 0
      ? command.commands.map((part) => `${command.name()} ${part.name()}`)
      : [command.name()],
  );
  const described = [...page.matchAll(/^\.It Cm (.+)$/gm)].map(([, name]) => name);
  expect(described.sort()).toEqual(commands.sort());

  const options = [program, ...program.commands, ...program.commands.flatMap((command) => command.commands)]
    .flatMap((command) => command.options)
    .map((option) => option.long?.slice(2));
  const inPage = [...page.matchAll(/(?:Fl|,|\|) -([a-z-]+)/g)].map(([, name]) => name);
  expect(new Set(inPage.filter((name) => name !== 'help'))).toEqual(new Set(options));
});
