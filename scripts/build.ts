/**
 * Builds dist/unit-secrets: one executable with everything in it, the same bytes from the same sources
 * (docs/decisions/0001-compiled-with-bun.md).
 *
 *     node scripts/build.ts [--arch x64|arm64] [--emulator]
 *
 * --arch       for another architecture than this machine's: dist/unit-secrets-ARCH
 * --emulator   also dist/op-emulator, the tests' stand-in for 1Password's servers
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Arch, bundlerVersion, findBase, runBun } from './lib/bun.ts';
import { bundle, bundles } from './lib/bundle.ts';
import { lockEnvironmentOut, requireVersion } from './lib/patch-base.ts';

const repository = join(import.meta.dirname, '..');
const dist = join(repository, 'dist');
const emulator = join(repository, 'test/emulator/main.ts');

try {
  await main();
} catch (error) {
  console.error(`build: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { arch: { type: 'string' }, emulator: { type: 'boolean', default: false } },
  });
  const host: Arch = process.arch === 'arm64' ? 'arm64' : 'x64';
  const arch = values.arch ?? host;
  if (arch !== 'x64' && arch !== 'arm64') throw new Error(`--arch must be x64 or arm64, not ${arch}`);
  if (values.emulator && !existsSync(emulator)) throw new Error(`--emulator needs ${emulator}`);
  const suffix = arch === host ? '' : `-${arch}`;

  const work = mkdtempSync(join(tmpdir(), 'unit-secrets-build-'));
  try {
    mkdirSync(dist, { recursive: true });
    let started = new Date();
    const executable = readFileSync(await findBase(repository, arch));
    requireVersion(executable, bundlerVersion(repository));
    lockEnvironmentOut(executable);
    writeFileSync(join(work, 'base'), executable);
    await bundle(repository, work);
    const [, ...others] = bundles;
    const inputs = [...others.map((name) => `--external=./${name}`), ...bundles];
    // the generator is over before machine code pays; the command line asks for it (src/effects/machine-code.ts)
    const options = ['--format=cjs', '--bytecode', '--compile-jit-policy=100'];
    compile(arch, [...options, ...inputs], 'unit-secrets', work);
    install(join(work, 'unit-secrets'), `unit-secrets${suffix}`, arch, started);
    if (values.emulator) {
      started = new Date();
      compile(arch, [emulator], 'op-emulator', work);
      install(join(work, 'op-emulator'), `op-emulator${suffix}`, arch, started);
    }
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** The base name of the output is in the output: it is always the same here. */
function compile(arch: Arch, options: readonly string[], name: string, directory: string): void {
  const fixed = [
    'build',
    '--compile',
    '--minify',
    // else a compiled program runs what lies in its working directory, as root
    '--no-compile-autoload-dotenv',
    '--no-compile-autoload-bunfig',
    '--no-compile-autoload-tsconfig',
    '--no-compile-autoload-package-json',
    `--target=bun-linux-${arch}`,
    `--compile-executable-path=${join(directory, 'base')}`,
    `--outfile=${name}`,
  ];
  runBun(repository, [...fixed, ...options], directory);
}

/**
 * Puts a finished executable into dist; whoever runs the old file goes on with the old file. Its time is
 * that of the start of the build: sources that changed meanwhile are newer.
 */
function install(from: string, name: string, arch: Arch, started: Date): void {
  const temporary = join(dist, `.${name}.${process.pid}.new`);
  try {
    copyFileSync(from, temporary);
    chmodSync(temporary, 0o755);
    utimesSync(temporary, started, started);
    renameSync(temporary, join(dist, name));
  } finally {
    rmSync(temporary, { force: true });
  }
  const megabytes = statSync(join(dist, name)).size / 1e6;
  const seconds = (Date.now() - started.getTime()) / 1000;
  console.log(
    `dist/${name}: ${arch}, Bun ${bundlerVersion(repository)}, ${megabytes.toFixed(1)} MB, ${seconds.toFixed(1)} s`,
  );
}
