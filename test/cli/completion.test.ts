import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from '@lydell/node-pty';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/command-line.ts';
import { bashCompletion } from '../../src/cli/completion/bash.ts';
import { allCommands, describeCommands, kinds } from '../../src/cli/completion/describe.ts';
import { zshCompletion } from '../../src/cli/completion/zsh.ts';
import { completionText, type Shell, shells } from '../../src/cli/completion.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { poll } from '../container/poll.ts';
import { unitSecrets } from '../support/command.ts';
import { temporaryDirectory, temporaryTree } from '../support/temporary.ts';

const program = buildProgram(() => {});
const commands = allCommands(describeCommands(program));

/** A machine on which the generator has run. */
function machine(): string {
  return temporaryTree(
    Object.fromEntries(
      ['litellm', 'backup@nas', 'backup@', 'odd:name', 'two\\x2dwords'].flatMap((name) => [
        [`/run/systemd/generator/${name}.service.d/50-unit-secrets.conf`, ''],
        [`/run/systemd/generator/${name}-secrets.service`, ''],
        ['/run/systemd/generator/other.service.d/10-other.conf', ''],
      ]),
    ),
  );
}

const services = ['backup@nas', 'litellm', 'odd:name', 'two\\x2dwords'];

test.each(shells)('completion %s prints the script', (shell) => {
  expect(unitSecrets(['completion', shell])).toEqual({
    exitCode: exitCodes.ok,
    stdout: completionText(shell, program),
    stderr: '',
  });
});

test('completion of a shell that is not known is wrong usage', () => {
  expect(unitSecrets(['completion', 'tcsh'])).toMatchObject({
    exitCode: exitCodes.usage,
    stdout: '',
    stderr: expect.stringContaining('allowed choices are bash, zsh, fish'),
  });
});

test('of every argument and value it is known what to complete it to (else say so in describe.ts)', () => {
  const names = commands.flatMap((command) => [
    ...command.arguments.filter(({ kind }) => typeof kind === 'string').map(({ name }) => name),
    ...command.options.flatMap(({ value }) => (typeof value?.kind === 'string' ? [value.name] : [])),
  ]);
  expect(names).toContain('service');
  expect(names).toContain('dir');
  expect(names.filter((name) => kinds[name] === undefined)).toEqual([]);
});

test('options that turn something off take no value', () => {
  const off = commands
    .flatMap(({ options }) => options)
    .filter(({ flags }) => flags.at(-1)?.startsWith('--no-'));
  expect(off.length).toBeGreaterThan(0);
  expect(off.filter(({ value }) => value !== undefined)).toEqual([]);
});

test('what units call is completed as the help shows it', () => {
  expect(commands.map(({ path }) => path)).toEqual(expect.arrayContaining(['token open', 'token wipe']));
});

/** What is typed after `unit-secrets `, and the one word that it is completed to; ROOT is the machine. */
const completions: readonly (readonly [typed: string, word: string])[] = [
  ['sch', 'schema'],
  ['token op', 'open'],
  ['--vers', '--version'],
  ['help gener', 'generate'],
  ['completion f', 'fish'],
  ['generate --outp', '--output'],
  ['generate --output ROOT/ru', 'ROOT/run/'],
  ['fetch --root ROOT lite', 'litellm'],
  ['fetch --root=ROOT lite', 'litellm'],
  ['fetch --root ROOT backup@', 'backup@nas'],
  ['fetch --root ROOT backup@n', 'backup@nas'],
  ['fetch --root ROOT odd:n', 'odd:name'],
];

function runShell(shell: Shell, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(shell, args, {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: temporaryDirectory(), LANG: 'C.UTF-8' },
    timeout: 60_000,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

function installed(shell: Shell): boolean {
  const found = spawnSync(shell, ['--version']).status === 0;
  if (!found)
    console.error(
      `NOT TESTED: the completion for ${shell}, which is not installed (scripts/test installs it)`,
    );
  return found;
}

/** All that bash offers. */
function bashOffers(line: string): readonly string[] {
  const script = `
    compopt() { :; }
    COMP_WORDBREAKS=$' \\t\\n"\\'@><=;|&(:'
    eval "$0"
    COMP_LINE=$1 COMP_POINT=\${#1}
    _unit_secrets
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = runShell(
    'bash',
    '--norc',
    '-c',
    script,
    completionText('bash', program),
    `unit-secrets ${line}`,
  );
  return text.trimEnd().split('\n').sort();
}

/** All that fish offers, without the descriptions. */
function fishOffers(line: string): readonly string[] {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'completion.fish'), completionText('fish', program));
  const script = `source $argv[1]; complete -C $argv[2]`;
  return runShell(
    'fish',
    '--no-config',
    '-c',
    script,
    join(directory, 'completion.fish'),
    `unit-secrets ${line}`,
  )
    .trimEnd()
    .split('\n')
    .map((offer) => offer.split('\t')[0] ?? '')
    .sort();
}

const offers = { bash: bashOffers, fish: fishOffers };

describe.each(['bash', 'fish'] as const)('%s', (shell) => {
  const there = installed(shell);

  test.runIf(there)('offers every command and every option of each command', () => {
    for (const command of commands) {
      const prefix = command.path === '' ? '' : `${command.path} `;
      const names = command.commands.map(({ name }) => name).sort();
      if (names.length > 0) expect(offers[shell](prefix), command.path).toEqual(names);
      const long = command.options.flatMap(({ flags }) => flags).filter((flag) => flag.startsWith('--'));
      if (long.length > 0)
        expect(
          offers[shell](`${prefix}--`).map((option) => option.replace(/=$/, '')),
          command.path,
        ).toEqual(long.sort());
    }
  });

  test.runIf(there)('offers services where a command takes one', () => {
    const escaped = services.map((name) => (shell === 'bash' ? name.replaceAll('\\', '\\\\') : name));
    expect(offers[shell](`fetch --root ${machine()} `)).toEqual(escaped);
  });

  test.runIf(there)('offers no service where a command takes none, or has one already', () => {
    const root = machine();
    expect(offers[shell](`generate --root ${root} `)).toEqual(['']);
    expect(offers[shell](`fetch --root ${root} litellm `)).toEqual(['']);
  });

  test.runIf(there)('offers nothing on a machine without services', () => {
    expect(offers[shell](`fetch --root ${temporaryDirectory()} `)).toEqual(['']);
  });
});

test.runIf(installed('fish')).each(completions)('fish completes %s to %s', (typed, word) => {
  const root = machine();
  const at = (text: string): string => text.replaceAll('ROOT', root);
  expect(fishOffers(at(typed)).map((offer) => offer.replace(/=$/, ''))).toEqual([at(word)]);
});

/** Types lines into an interactive shell, Tab after each, and gives the arguments that the program then got. */
async function typeInto(
  shell: 'bash' | 'zsh',
  lines: readonly string[],
  script = completionText(shell, program),
): Promise<readonly string[]> {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'functions'));
  writeFileSync(join(directory, 'functions/_unit-secrets'), script);
  const start = {
    bash: { args: ['--norc', '--noprofile'], load: 'source functions/_unit-secrets' },
    zsh: {
      args: ['-f'],
      load: 'unsetopt zle_bracketed_paste; fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D',
    },
  }[shell];
  const terminal = spawn(shell, [...start.args, '-i'], {
    cwd: directory,
    cols: 400,
    env: {
      PATH: process.env['PATH'],
      HOME: directory,
      LANG: 'C.UTF-8',
      TERM: 'dumb',
      PS1: '> ',
      INPUTRC: '/dev/null',
    },
  });
  let screen = '';
  terminal.onData((data) => {
    screen += data;
  });
  const results: string[] = [];
  try {
    // the words in quotes are not to be found in what the terminal echoes
    terminal.write(
      `${start.load}; unit-secrets() { printf 'got''[%s]' "$@"; echo 'en''ded'; }; echo rea''dy\r`,
    );
    await poll(() => screen.includes('ready'), `${shell} to be ready, but: ${screen}`, 30_000);
    for (const line of lines) {
      screen = '';
      terminal.write(`unit-secrets ${line}\t\r`);
      await poll(() => screen.includes('ended'), `the end of ${line}`, 30_000).catch((error: Error) => {
        throw new Error(`${error.message}\n${screen}`);
      });
      const words = [...screen.matchAll(/got\[([^\]]*)\]/g)].map(([, word]) => word ?? '');
      results.push(words.at(-1) ?? '');
    }
  } finally {
    terminal.kill('SIGKILL');
  }
  return results;
}

describe.each(['bash', 'zsh'] as const)('in a terminal', (shell) => {
  test.runIf(installed(shell))(`${shell} completes at the press of Tab`, async () => {
    const root = machine();
    const at = (text: string): string => text.replaceAll('ROOT', root);
    const words = await typeInto(
      shell,
      completions.map(([typed]) => at(typed)),
    );
    // zsh removes a slash at the end again when Enter is pressed
    const slash = shell === 'zsh' ? /\/$/ : /$^/;
    expect(words).toEqual(completions.map(([, word]) => at(word).replace(slash, '')));
    // backslashes as the shell needs them
    expect(await typeInto(shell, [at('fetch --root ROOT tw')])).toEqual(['two\\x2dwords']);
  });

  test.runIf(installed(shell))(
    `${shell} completes options beside arguments of which it knows nothing`,
    async () => {
      const flag = { flags: ['--authorize'], description: 'let the key log in: at [once]', value: undefined };
      const user = { name: 'user', kind: 'nothing', variadic: false } as const;
      const leaf = {
        path: '',
        name: 'unit-secrets',
        description: '',
        commands: [],
        options: [flag],
        arguments: [user],
      };
      const script = { bash: bashCompletion, zsh: zshCompletion }[shell](leaf);
      expect(await typeInto(shell, ['--auth', 'someone --auth'], script)).toEqual([
        '--authorize',
        '--authorize',
      ]);
    },
  );

  test.runIf(installed(shell))(`${shell} knows every command and every option`, async () => {
    const lines = commands.flatMap(({ path, commands: below, options }) => {
      const long = options.flatMap(({ flags }) => flags).filter((flag) => flag.startsWith('--'));
      return [below.map(({ name }) => name), long].flatMap((words) =>
        words
          // all but the last letter is typed, if that can only become the one word
          .map((word) => ({ word, typed: word.slice(0, -1) }))
          .filter(({ typed }) => words.filter((other) => other.startsWith(typed)).length === 1)
          .map(({ word, typed }) => ({ word, typed: `${path} ${typed}`.trim() })),
      );
    });
    expect(lines.length).toBeGreaterThan(15);
    const words = await typeInto(
      shell,
      lines.map(({ typed }) => typed),
    );
    expect(words).toEqual(lines.map(({ word }) => word));
  });
});
