import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundle } from '../../scripts/lib/bundle.ts';
import { lockEnvironmentOut, requireVersion } from '../../scripts/lib/patch-base.ts';
import { poll } from '../container/poll.ts';
import { type RunResult, run } from '../container/run.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { binary } from './binary.ts';

const repository = join(import.meta.dirname, '../..');
const fixture = join(repository, 'fixtures/13-old-kernel');
const bun = join(
  repository,
  'node_modules/@oven',
  process.arch === 'arm64' ? 'bun-linux-aarch64' : 'bun-linux-x64',
  'bin/bun',
);
/** None of the runs here takes a second; one that waits for a debugger never ends. */
const timeoutMs = 30_000;

let program: string;
/** The evidence of what is opened is beside the point where tracing is not allowed or not installed. */
let canTrace: boolean;
beforeAll(async () => {
  program = await binary();
  canTrace = await run(['strace', '-o', '/dev/null', 'true']).then(
    () => true,
    () => false,
  );
});

/** Every way of running it: as a generator, as a command, and as the child that loads the SDK. */
const ways = {
  generator: ['generated'],
  command: ['--version'],
  child: ['resolve-child'],
} as const;
type Way = keyof typeof ways;
const wayNames = Object.keys(ways) as Way[];

/** Says a line to a program, tells its answer, and then ends its input: the child does not outlive that. */
const askOnce = `
line=$1; shift
exec 3>&1
coproc CHILD { exec "$@" 3>&-; }
pid=$CHILD_PID
exec 4>&"\${CHILD[1]}" 5<&"\${CHILD[0]}"
exec {CHILD[1]}>&-
printf '%s\\n' "$line" >&4
IFS= read -r answer <&5
printf '%s\\n' "$answer" >&3
exec 4>&-
wait "$pid"
`;

/** Runs an executable in a directory, with nothing in its environment but what is given. */
function runIn(
  directory: string,
  way: Way,
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly before?: readonly string[];
    readonly of?: string;
  } = {},
): Promise<RunResult> {
  const { env = {}, before = [], of = program } = options;
  const args = way === 'generator' ? [join(directory, 'generated')] : ways[way];
  const command = [...before, of, ...args];
  const conversation = way === 'child' ? ['bash', '-c', askOnce, 'bash', '{"token":"ops_damaged"}'] : [];
  return run(['env', `--chdir=${directory}`, ...conversation, ...command], {
    env: { PATH: '/usr/bin:/bin', UNIT_SECRETS_ROOT: join(fixture, 'root'), ...env },
    timeoutMs,
  });
}

/** It did its work and nothing else. */
function expectItsWork(directory: string, way: Way, { stdout, stderr }: RunResult): void {
  expect(stderr).toBe('');
  if (way === 'generator') {
    expect(stdout).toBe('');
    const expected = readdirSync(join(fixture, 'expected'));
    expect(readdirSync(join(directory, 'generated')).sort()).toEqual(expected.sort());
  } else if (way === 'command') {
    expect(stdout).toMatch(/^\d+\.\d+\.\d+( \(commit [0-9a-f]{12}(-modified)?\))?\n$/);
  } else {
    // the SDK's own words: its WebAssembly has looked at the token
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      message: expect.stringContaining('invalid service account token'),
    });
  }
  expect(existsSync(join(directory, 'sprung'))).toBe(false);
}

/** A script that leaves the file `sprung` in its directory. */
function plantScript(directory: string, name: string): string {
  const path = join(directory, name);
  writeFileSync(path, `require('node:fs').writeFileSync(${JSON.stringify(join(directory, 'sprung'))}, '')`);
  return path;
}

/** All that Bun, or a bundle in pieces, might take from where it is run. */
function plantFiles(directory: string): void {
  const script = plantScript(directory, 'planted.js');
  for (const name of ['main.cjs', 'cli.cjs', 'core_bg.bin', 'core_bg.wasm']) plantScript(directory, name);
  writeFileSync(join(directory, 'bunfig.toml'), `preload = [${JSON.stringify(script)}]\n`);
  // with this the generator would do nothing
  writeFileSync(join(directory, '.env'), 'SYSTEMD_IN_INITRD=1\n');
  writeFileSync(join(directory, 'package.json'), '{"name": "planted", "main": "./planted.js"}');
  writeFileSync(join(directory, 'tsconfig.json'), '{"compilerOptions": {"paths": {"*": ["./planted.js"]}}}');
  mkdirSync(join(directory, 'node_modules/commander'), { recursive: true });
  plantScript(directory, 'node_modules/commander/index.js');
}

/** Variables that make Bun do something else than its program. */
const variables: readonly (readonly [string, (directory: string) => NodeJS.ProcessEnv])[] = [
  ['options', (directory) => ({ BUN_OPTIONS: `--preload=${plantScript(directory, 'planted.js')}` })],
  ['the Bun command line', () => ({ BUN_BE_BUN: '1' })],
  [
    'a debugger to wait for',
    (directory) => ({ BUN_INSPECT: `ws+unix://${join(directory, 'socket')}?wait=1` }),
  ],
  [
    'a debugger to connect to',
    (directory) => ({ BUN_INSPECT_CONNECT_TO: `unix://${join(directory, 'socket')}?wait=1` }),
  ],
  ['a script of a debugger', (directory) => ({ BUN_INSPECT_PRELOAD: plantScript(directory, 'planted.js') })],
  [
    'a file for the order of functions',
    (directory) => ({
      BUN_BYTECODE_ORDER_OUT: join(directory, 'sprung'),
      BUN_BYTECODE_ORDER_NAMES_OUT: join(directory, 'sprung'),
    }),
  ],
  // the name that Bun looks for is no other that could be set
  ['an altered name', (directory) => ({ UN_OPTIONS: `--preload=${plantScript(directory, 'planted.js')}` })],
  [
    'another altered name',
    (directory) => ({ 'BUN\x01OPTIONS': `--preload=${plantScript(directory, 'planted.js')}` }),
  ],
];

describe.each(wayNames)('run as %s', (way) => {
  test('it works from an empty directory', async () => {
    const directory = temporaryDirectory();
    const copy = join(temporaryDirectory(), 'copy');
    cpSync(program, copy);
    expectItsWork(directory, way, await runIn(directory, way, { of: copy }));
  });

  test('nothing in its working directory is run or read', async () => {
    const directory = temporaryDirectory();
    plantFiles(directory);
    const planted = readdirSync(directory);
    expectItsWork(directory, way, await runIn(directory, way, { env: { HOME: directory } }));
    if (!canTrace) return;
    const trace = join(temporaryDirectory(), 'trace');
    await runIn(directory, way, {
      env: { HOME: directory },
      before: ['strace', '-f', '-e', 'trace=%file', '-o', trace],
    });
    const opened = readFileSync(trace, 'utf8');
    expect(opened).toContain(program);
    for (const name of planted) {
      for (const path of [`"${name}"`, `/${name}"`, `/${name}/`]) expect(opened).not.toContain(path);
    }
  });

  test.each(variables)('a variable does nothing: %s', async (_, env) => {
    const directory = temporaryDirectory();
    expectItsWork(directory, way, await runIn(directory, way, { env: env(directory) }));
    expect(existsSync(join(directory, 'socket'))).toBe(false);
  });

  test('called by any name it is the same program', async () => {
    const directory = temporaryDirectory();
    const link = join(temporaryDirectory(), 'bun');
    symlinkSync(program, link);
    expectItsWork(directory, way, await runIn(directory, way, { of: link }));
  });
});

test('a debugger that is to be connected to is not', async () => {
  const directory = temporaryDirectory();
  let connections = 0;
  await using server = createServer().on('connection', () => connections++);
  server.listen(join(directory, 'socket'));
  await once(server, 'listening');
  for (const way of wayNames) {
    const env = { BUN_INSPECT_CONNECT_TO: `unix://${join(directory, 'socket')}` };
    expectItsWork(directory, way, await runIn(directory, way, { env }));
  }
  expect(connections).toBe(0);
});

describe('the traps are there: they catch a program that is compiled without precautions', () => {
  let directory: string;
  let careless: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'unit-secrets-careless-'));
    const source = join(directory, 'careless.js');
    writeFileSync(source, "console.log(process.env.SYSTEMD_IN_INITRD ?? 'nothing')");
    careless = join(directory, 'careless');
    await run([bun, 'build', '--compile', source, `--outfile=${careless}`], {
      env: { HOME: directory, TMPDIR: directory },
    });
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test('bunfig.toml and .env', async () => {
    const place = temporaryDirectory();
    plantFiles(place);
    const { stdout } = await runIn(place, 'command', { of: careless });
    expect(stdout).toBe('1\n');
    expect(existsSync(join(place, 'sprung'))).toBe(true);
  });

  test('BUN_OPTIONS and BUN_BE_BUN', async () => {
    const place = temporaryDirectory();
    const env = { BUN_OPTIONS: `--preload=${plantScript(place, 'planted.js')}` };
    await runIn(place, 'command', { of: careless, env });
    expect(existsSync(join(place, 'sprung'))).toBe(true);
    const { stdout } = await runIn(place, 'command', { of: careless, env: { BUN_BE_BUN: '1' } });
    // Bun's version, not the program's word
    expect(stdout).toBe('1.4.3\n');
  });

  test('BUN_INSPECT: it waits for ever', async () => {
    const socket = join(temporaryDirectory(), 'socket');
    const waiting = spawn(careless, { env: { BUN_INSPECT: `ws+unix://${socket}?wait=1` }, stdio: 'ignore' });
    const ended = once(waiting, 'exit');
    await poll(() => existsSync(socket) || waiting.exitCode !== null, 'the debugger’s socket', timeoutMs);
    expect(waiting.exitCode).toBe(null);
    waiting.kill('SIGKILL');
    await ended;
  });
});

describe('the base executable', () => {
  const names = [
    'BUN_OPTIONS',
    'BUN_BE_BUN',
    'BUN_INSPECT',
    'BUN_INSPECT_CONNECT_TO',
    'BUN_INSPECT_PRELOAD',
    'BUN_BYTECODE_ORDER_OUT',
    'BUN_BYTECODE_ORDER_NAMES_OUT',
  ];
  const text = `…\0${names.join('\0')}\0…Bun v1.4.3 (abc)`;

  test('has one byte of each name altered', () => {
    const [before, after] = [Buffer.from(text), Buffer.from(text)];
    lockEnvironmentOut(after);
    expect(after).toHaveLength(before.length);
    expect(before.filter((byte, index) => byte !== after[index])).toHaveLength(names.length);
    for (const name of names) expect(after.includes(`\0${name}\0`), name).toBe(false);
  });

  test.each(names)('is refused if it does not hold %s exactly once', (name) => {
    expect(() => lockEnvironmentOut(Buffer.from(text.replace(`\0${name}\0`, '\0\0')))).toThrow(name);
    expect(() => lockEnvironmentOut(Buffer.from(`${text}\0${name}\0`))).toThrow(name);
  });

  test('is refused if it is of another version than the bundler', () => {
    expect(() => requireVersion(Buffer.from(text), '1.4.3')).not.toThrow();
    expect(() => requireVersion(Buffer.from(text), '1.4.4')).toThrow('1.4.4');
  });

  test('does not take a proxy’s refusal for the server’s answer', async () => {
    await using proxy = createServer();
    proxy.on('connect', (_, socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nthe proxy');
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    const script =
      "fetch('https://service.invalid/').then(() => console.log('answered'), () => console.log('refused'))";
    const { stdout } = await run([bun, '-e', script], {
      env: { HTTPS_PROXY: `http://127.0.0.1:${port}` },
      timeoutMs,
    });
    expect(stdout).toBe('refused\n');
  });
});

/** The commit that the program says it is of: what git says may be another by now. */
async function builtCommit(): Promise<string> {
  const { stdout } = await run([program, '--version']);
  return /\(commit (.*)\)/.exec(stdout)?.[1] ?? '';
}

describe('what is built', () => {
  const header = (path: string): Buffer => readFileSync(path).subarray(0, 20);
  // elf(5): e_machine, 62 is x86-64, 183 is AArch64
  const machineOf = (path: string): number => header(path).readUInt16LE(18);
  const machines = { x64: 62, arm64: 183 } as const;
  const host = process.arch === 'arm64' ? 'arm64' : 'x64';

  test('is the same from the same sources in another directory, with neither path in it', async () => {
    const directory = temporaryDirectory();
    const other = join(directory, 'another checkout');
    for (const name of [
      'src',
      'generators',
      'scripts',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
    ]) {
      cpSync(join(repository, name), join(other, name), { recursive: true });
    }
    symlinkSync(join(repository, 'node_modules'), join(other, 'node_modules'));
    mkdirSync(join(directory, 'tmp'));
    await run([process.execPath, join(other, 'scripts/build.ts')], {
      env: { ...process.env, TMPDIR: join(directory, 'tmp'), UNIT_SECRETS_COMMIT: await builtCommit() },
    });
    const [one, two] = [readFileSync(program), readFileSync(join(other, 'dist/unit-secrets'))];
    expect(one.equals(two)).toBe(true);
    const packages = realpathSync(join(repository, 'node_modules'));
    for (const path of [repository, directory, packages, 'unit-secrets-build-']) {
      expect(one.includes(path), path).toBe(false);
    }
    expect(readdirSync(join(directory, 'tmp')), 'left behind').toEqual([]);
    expect(readdirSync(join(other, 'dist'))).toEqual(['unit-secrets']);
  });

  test('is for this machine, or for the other architecture if asked for', async () => {
    expect(machineOf(program)).toBe(machines[host]);
    const arch = host === 'arm64' ? 'x64' : 'arm64';
    await run([process.execPath, join(repository, 'scripts/build.ts'), '--arch', arch]);
    const foreign = join(repository, `dist/unit-secrets-${arch}`);
    expect(machineOf(foreign)).toBe(machines[arch]);
    // up to our own texts, which name it as well
    const bytes = readFileSync(foreign);
    const base = bytes.subarray(0, bytes.indexOf('/run/systemd/generator'));
    expect(base.includes('UN_OPTIONS\0')).toBe(true);
    expect(base.includes('BUN_OPTIONS\0')).toBe(false);
  });

  test.each([
    [['--arch', 'mips'], '--arch must be x64 or arm64, not mips'],
    [['--unknown'], "Unknown option '--unknown'"],
    [['argument'], "Unexpected argument 'argument'"],
  ])('with %s it is not', async (args, message) => {
    const result = await run([process.execPath, join(repository, 'scripts/build.ts'), ...args], {
      check: false,
    });
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(/^build: .*\n$/);
    expect(result.stderr).toContain(message);
  });
});

describe('what is loaded', () => {
  /** Refused at once, by the command itself. */
  const notAService = 'not/a/service';

  /** The modules that a bundle asks Node for, in a run that is not compiled. */
  async function requiredBy(...args: readonly string[]): Promise<readonly string[]> {
    const directory = temporaryDirectory();
    await bundle(repository, directory);
    const hook = join(directory, 'hook.cjs');
    writeFileSync(
      hook,
      `const { Module } = require('node:module');
       const { appendFileSync } = require('node:fs');
       const { require: original } = Module.prototype;
       Module.prototype.require = function (name) {
         appendFileSync(${JSON.stringify(join(directory, 'required'))}, name + '\\n');
         return original.call(this, name);
       };`,
    );
    await run([process.execPath, '--require', hook, join(directory, 'main.cjs'), ...args], {
      env: { UNIT_SECRETS_ROOT: join(fixture, 'root') },
      check: false,
      timeoutMs,
    });
    return [...new Set(readFileSync(join(directory, 'required'), 'utf8').trimEnd().split('\n'))];
  }

  test('a generator needs nothing of the commands', async () => {
    expect(await requiredBy(join(temporaryDirectory(), 'units'))).toEqual(['node:fs']);
  });

  test('a command needs nothing of the others', async () => {
    const commander = 'node:events';
    const fetch = await requiredBy('fetch', notAService);
    expect(fetch).not.toContain(commander);
    const version = await requiredBy('--version');
    expect(version).toContain(commander);
    for (const one of [fetch, version]) {
      expect(one).not.toContain('./core_bg.bin');
      // only proper-lockfile's graceful-fs asks for it: most that wait never take the lock
      expect(one).not.toContain('constants');
    }
  });
});

test('the units leave the rest of Bun’s variables out, wait for its signals, and let it compile', async () => {
  const directory = temporaryDirectory();
  await runIn(directory, 'generator');
  const unit = readFileSync(join(directory, 'generated/app-secrets.service'), 'utf8');
  const unset = /^UnsetEnvironment=(.*)$/m.exec(unit)?.[1]?.split(' ');
  for (const name of [
    'BUN_CONFIG_VERBOSE_FETCH',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'NODE_EXTRA_CA_CERTS',
    'SSL_CERT_FILE',
    'HTTPS_PROXY',
  ]) {
    expect(unset).toContain(name);
  }
  expect(unit).toMatch(/^TimeoutStopSec=/m);
  // without a JIT compiler the SDK takes half a minute to sign in
  expect(unit).not.toContain('MemoryDenyWriteExecute');
});

test('our sources call nothing that Bun does in another way', () => {
  /** Writes each answer before it goes on, and must end while the SDK waits. */
  const mayExit = 'src/cli/resolve-child.ts';
  const calls = {
    // cuts off what is still on its way to a pipe
    exit: /\bprocess\.exit\(/,
    // names somebody else
    userInfo: /\buserInfo\b/,
    // slower for many files
    write: /\bBun\.write\b/,
  };
  for (const directory of ['src', 'generators']) {
    for (const entry of readdirSync(join(repository, directory), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const source = readFileSync(path, 'utf8');
      for (const [name, call] of Object.entries(calls)) {
        if (name === 'exit' && path === join(repository, mayExit)) continue;
        expect(source, `${name} in ${path}`).not.toMatch(call);
      }
    }
  }
});
