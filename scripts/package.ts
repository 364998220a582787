/**
 * Makes the packages in dist/packages, the same bytes from the same commit (docs/decisions/0006-packages.md).
 *
 *     node scripts/package.ts [--arch x64|arm64]… [--format deb|rpm|npm]… [--output DIR] [--fast]
 *
 * --arch     of which architecture; both if not said
 * --format   of which kind; all if not said
 * --output   to another directory; what is there already stays
 * --fast     compress a little only, for tests
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { embeddedComponents } from '../packaging/components.ts';
import { copyright } from '../packaging/copyright.ts';
import { makeDeb } from '../packaging/deb.ts';
import { thirdPartyNotices } from '../packaging/notices.ts';
import { makeNpmExecutable, makeNpmPackage } from '../packaging/npm.ts';
import type { PackageOptions } from '../packaging/options.ts';
import { readRelease, repository } from '../packaging/release.ts';
import { makeRpm } from '../packaging/rpm.ts';
import { sbom } from '../packaging/sbom.ts';
import { commonTree } from '../packaging/tree.ts';
import type { Arch } from './lib/bun.ts';

const ownOutput = join(repository, 'dist/packages');
const architectures: readonly Arch[] = ['x64', 'arm64'];
const formats = ['deb', 'rpm', 'npm'] as const;

try {
  await main();
} catch (error) {
  console.error(`package: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', multiple: true, default: [...architectures] },
      format: { type: 'string', multiple: true, default: [...formats] },
      output: { type: 'string' },
      fast: { type: 'boolean', default: false },
    },
  });
  const chosen = oneOf('--arch', architectures, values.arch);
  const kinds = oneOf('--format', formats, values.format);
  const release = readRelease();
  const output = resolve(values.output ?? ownOutput);
  if (values.output === undefined) rmSync(ownOutput, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const made: string[] = [];
  const report = (path: string): void => {
    made.push(path);
    console.log(`${basename(path)}: ${(statSync(path).size / 1e6).toFixed(1)} MB`);
  };
  for (const arch of chosen) {
    const work = mkdtempSync(join(tmpdir(), 'unit-secrets-package-'));
    try {
      const executable = build(arch);
      const components = await embeddedComponents(arch);
      const sha256 = createHash('sha256').update(readFileSync(executable)).digest('hex');
      const bom = sbom(release, components, sha256);
      const bomPath = join(output, `unit-secrets-${release.version}-linux-${arch}.cdx.json`);
      writeFileSync(bomPath, bom);
      report(bomPath);
      const rights = copyright(components);
      const notices = thirdPartyNotices(components);
      const options: PackageOptions = {
        release,
        arch,
        tree: commonTree(executable, bom, notices),
        copyright: rights,
        work,
        output,
        fast: values.fast,
      };
      if (kinds.includes('deb')) report(makeDeb(options));
      if (kinds.includes('rpm')) report(makeRpm(options));
      if (kinds.includes('npm'))
        report(makeNpmExecutable(options, arch, executable, { copyright: rights, notices, bom }));
      if (kinds.includes('npm') && arch === chosen[0]) report(makeNpmPackage(options, readText('LICENSE')));
    } finally {
      rmSync(work, { recursive: true });
    }
  }
  const sums = made.map(
    (path) => `${createHash('sha256').update(readFileSync(path)).digest('hex')}  ${basename(path)}\n`,
  );
  writeFileSync(join(output, 'SHA256SUMS'), sums.sort().join(''));
}

/** Builds the executable and gives its path. */
function build(arch: Arch): string {
  execFileSync(process.execPath, [join(repository, 'scripts/build.ts'), '--arch', arch], {
    stdio: 'inherit',
  });
  const own = arch === (process.arch === 'arm64' ? 'arm64' : 'x64');
  return join(repository, 'dist', own ? 'unit-secrets' : `unit-secrets-${arch}`);
}

function readText(path: string): string {
  return readFileSync(join(repository, path), 'utf8');
}

function oneOf<T extends string>(
  option: string,
  known: readonly T[],
  given: readonly string[],
): readonly T[] {
  const unknown = given.find((one) => !known.some((other) => other === one));
  if (unknown !== undefined) throw new Error(`${option} must be one of ${known.join(', ')}, not ${unknown}`);
  return known.filter((one) => given.includes(one));
}
