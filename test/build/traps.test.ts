import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../container/run.ts';
import { binary } from './binary.ts';

const repository = join(import.meta.dirname, '../..');
let program: string;
let directory: string;

beforeAll(async () => {
  program = await binary();
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'unit-secrets-trap-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Runs the program in the directory of the test, with nothing in its environment but what is given. */
function runThere(args: readonly string[], env: NodeJS.ProcessEnv = {}, input?: string) {
  return run(['env', `--chdir=${directory}`, program, ...args], {
    env: { PATH: '/usr/bin:/bin', ...env },
    check: false,
    ...(input === undefined ? {} : { input }),
  });
}

/** Every way of running it: as a generator, as a command, and as the child that loads the SDK. */
const ways = ['generator', 'command', 'child'] as const;
const request = JSON.stringify({ token: 'ops_damaged', references: ['op://a/b/c'] });

async function runAs(way: (typeof ways)[number], env: NodeJS.ProcessEnv = {}): Promise<string> {
  if (way === 'generator') {
    const { stdout, stderr } = await runThere([join(directory, 'units')], {
      ...env,
      UNIT_SECRETS_ROOT: directory,
    });
    return stdout + stderr;
  }
  const { stdout, stderr } = await runThere(
    way === 'command' ? ['--version'] : ['resolve-child'],
    env,
    way === 'child' ? request : undefined,
  );
  return stdout + stderr;
}

describe.each(ways)('run as %s', (way) => {
  test('nothing in its working directory is run or read', async () => {
    const planted = join(directory, 'planted.js');
    const trace = join(directory, 'trace');
    writeFileSync(planted, `require('node:fs').writeFileSync(${JSON.stringify(`${directory}/sprung`)}, '')`);
    writeFileSync(join(directory, 'bunfig.toml'), `preload = [${JSON.stringify(planted)}]\n`);
    writeFileSync(join(directory, '.env'), 'BUN_OPTIONS=--preload=./planted.js\nSYSTEMD_IN_INITRD=1\n');
    writeFileSync(join(directory, 'package.json'), '{"name": "planted", "main": "./planted.js"}');
    writeFileSync(
      join(directory, 'tsconfig.json'),
      '{"compilerOptions": {"paths": {"*": ["./planted.js"]}}}',
    );
    const traced = ['strace', '-f', '-e', 'trace=%file', '-o', trace, program];
    const args =
      way === 'generator'
        ? [join(directory, 'units')]
        : way === 'command'
          ? ['--version']
          : ['resolve-child'];
    await run(['env', `--chdir=${directory}`, ...traced, ...args], {
      env: { PATH: '/usr/bin:/bin', HOME: directory, UNIT_SECRETS_ROOT: directory },
      input: way === 'child' ? request : '',
      check: false,
    });
    const opened = readFileSync(trace, 'utf8');
    expect(opened).toContain('execve(');
    for (const name of ['sprung', 'planted', 'bunfig', '.env"', 'package.json', 'tsconfig']) {
      expect(opened, name).not.toContain(name);
    }
  });

  test('BUN_OPTIONS and BUN_BE_BUN do nothing', async () => {
    const planted = join(directory, 'planted.js');
    writeFileSync(planted, 'console.log("sprung")');
    const said = await runAs(way);
    expect(await runAs(way, { BUN_OPTIONS: `--preload=${planted}` })).toBe(said);
    expect(await runAs(way, { BUN_BE_BUN: '1' })).toBe(said);
  });
});

test('the SDK and its WebAssembly work from an empty directory', async () => {
  const copy = join(directory, 'copy');
  cpSync(program, copy);
  const { stdout } = await run([copy, 'resolve-child'], { env: {}, input: request });
  expect(JSON.parse(stdout)).toEqual({
    ok: false,
    message: expect.stringContaining('invalid service account token'),
  });
});

test('the same sources in another directory give the same bytes, with neither path in them', async () => {
  for (const name of ['src', 'generators', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json']) {
    cpSync(join(repository, name), join(directory, name), { recursive: true });
  }
  symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'));
  mkdirSync(join(directory, 'dist'));
  await run([process.execPath, join(directory, 'scripts/build.ts')]);
  const [one, other] = [readFileSync(program), readFileSync(join(directory, 'dist/unit-secrets'))];
  expect(one.equals(other)).toBe(true);
  for (const path of [repository, directory, 'unit-secrets-build-'])
    expect(one.includes(path), path).toBe(false);
});

test('it can be built for the other architecture', async () => {
  const arch = process.arch === 'arm64' ? 'x64' : 'arm64';
  await run([process.execPath, join(repository, 'scripts/build.ts'), '--arch', arch]);
  const header = readFileSync(join(repository, `dist/unit-secrets-${arch}`)).subarray(0, 20);
  // elf(5): e_machine, 62 is x86-64, 183 is AArch64
  expect(header.subarray(0, 4).toString('latin1')).toBe('\x7fELF');
  expect(header.readUInt16LE(18)).toBe(arch === 'arm64' ? 183 : 62);
});

test('called by any name it is the same program', async () => {
  const link = join(directory, 'unit-secrets-generator');
  symlinkSync(program, link);
  const { stdout } = await run([link, '--version']);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
