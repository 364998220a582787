/**
 * Builds dist/unit-secrets: one executable with everything in it, the same bytes from the same sources
 * (docs/decisions/0001-compiled-with-bun.md).
 *
 *     node scripts/build.ts [--arch x64|arm64] [--emulator]
 *
 * --arch       for another architecture than this machine's: dist/unit-secrets-ARCH
 * --emulator   also dist/op-emulator, the tests' stand-in for 1Password's servers
 */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Arch, bundlerVersion, findBase, runBun } from './lib/bun.ts';
import { bundle, bundles } from './lib/bundle.ts';
import { lockEnvironmentOut } from './lib/patch-base.ts';

const repository = join(import.meta.dirname, '..');
const dist = join(repository, 'dist');

const { values } = parseArgs({
  options: { arch: { type: 'string' }, emulator: { type: 'boolean', default: false } },
});
const host: Arch = process.arch === 'arm64' ? 'arm64' : 'x64';
const arch = values.arch ?? host;
if (arch !== 'x64' && arch !== 'arm64') throw new Error(`--arch must be x64 or arm64, not ${arch}`);

const work = mkdtempSync(join(tmpdir(), 'unit-secrets-build-'));
try {
  mkdirSync(dist, { recursive: true });
  await bundle(repository, work);
  const base = join(work, 'base');
  copyFileSync(await findBase(repository, arch), base);
  lockEnvironmentOut(base);
  chmodSync(base, 0o755);
  const [, ...others] = bundles;
  const inputs = [...others.map((name) => `--external=./${name}`), ...bundles];
  compile(
    ['--format=cjs', '--bytecode', `--compile-executable-path=${base}`, ...inputs],
    'unit-secrets',
    work,
  );
  install(join(work, 'unit-secrets'), arch === host ? 'unit-secrets' : `unit-secrets-${arch}`);
  if (values.emulator) {
    compile([join(repository, 'test/emulator/main.ts')], 'op-emulator', work);
    install(join(work, 'op-emulator'), 'op-emulator');
  }
} finally {
  rmSync(work, { recursive: true });
}

/** The base name of the output is in the output: it is always the same here. */
function compile(options: readonly string[], name: string, directory: string): void {
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
    `--outfile=${name}`,
  ];
  runBun(repository, [...fixed, ...options], directory);
}

/** Whoever runs the old file goes on with the old file. */
function install(from: string, name: string): void {
  const temporary = join(dist, `.${name}.new`);
  copyFileSync(from, temporary);
  renameSync(temporary, join(dist, name));
  const megabytes = statSync(join(dist, name)).size / 1e6;
  console.log(`dist/${name}: ${arch}, Bun ${bundlerVersion(repository)}, ${megabytes.toFixed(1)} MB`);
}
