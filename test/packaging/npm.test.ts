import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunResult, run } from '../container/run.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { host, makePackages, packageIn } from './packages.ts';

let main: string;
let executable: string;

beforeAll(async () => {
  const packages = await makePackages('npm');
  main = packageIn(packages, /^unit-secrets-\d.*\.tgz$/);
  executable = packageIn(packages, /^unit-secrets-linux-.*\.tgz$/);
});
afterAll(() => rm(dirname(main), { recursive: true }));

async function manifestIn(path: string): Promise<Readonly<Record<string, unknown>>> {
  return JSON.parse((await run(['tar', '-xzOf', path, 'package/package.json'])).stdout);
}

/** Installs from the files alone: nothing may be fetched. */
async function install(...paths: readonly string[]): Promise<string> {
  const prefix = temporaryDirectory();
  await run([
    ...['npm', 'install', '--global', '--offline', '--omit=optional', '--loglevel=error'],
    ...['--prefix', prefix, '--cache', join(prefix, 'cache'), ...paths],
  ]);
  return join(prefix, 'bin/unit-secrets');
}

function unitSecrets(command: string, ...args: readonly string[]): Promise<RunResult> {
  return run([command, ...args], { check: false, env: { PATH: process.env['PATH'] } });
}

describe('the npm packages', () => {
  test('name each other, run no scripts and need nothing else', async () => {
    const { version, ...about } = await manifestIn(main);
    expect(about).not.toHaveProperty('scripts');
    expect(about).not.toHaveProperty('dependencies');
    expect(about['optionalDependencies']).toEqual({
      'unit-secrets-linux-x64': version,
      'unit-secrets-linux-arm64': version,
    });
    const aboutExecutable = await manifestIn(executable);
    expect(aboutExecutable).toMatchObject({
      name: `unit-secrets-linux-${host}`,
      version,
      os: ['linux'],
      cpu: [host],
    });
    for (const member of ['scripts', 'dependencies', 'optionalDependencies'])
      expect(aboutExecutable).not.toHaveProperty(member);
  });

  test('installed together, the command is the executable', async () => {
    const command = await install(main, executable);
    const { code, stdout } = await unitSecrets(command, '--version');
    const { version } = await manifestIn(main);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining(`${version}`) });
    // exit codes and standard error as they are
    expect(await unitSecrets(command, 'frobnicate')).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("unknown command 'frobnicate'"),
    });
  });

  test('without the executable the command says what is missing', async () => {
    const command = await install(main);
    expect(await unitSecrets(command, '--version')).toMatchObject({
      code: 69,
      stderr: expect.stringContaining(`unit-secrets-linux-${host} is not installed`),
    });
  });

  test('are the same when they are made again', async () => {
    const again = await makePackages('npm', { umask: '077', env: { TMPDIR: temporaryDirectory() } });
    try {
      for (const path of [main, executable]) {
        const name = path.slice(dirname(path).length + 1);
        expect(readFileSync(again.get(name) ?? '').equals(readFileSync(path)), name).toBe(true);
      }
    } finally {
      await rm(dirname(packageIn(again, /SUMS$/)), { recursive: true });
    }
  });
});
