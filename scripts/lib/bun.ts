import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export type Arch = 'x64' | 'arm64';

/** The npm package with the Bun of an architecture. */
export const packageOf: Readonly<Record<Arch, string>> = {
  x64: '@oven/bun-linux-x64',
  arm64: '@oven/bun-linux-aarch64',
};

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>>;
}

/** The Bun of this machine's architecture, from npm. */
function bun(repository: string): string {
  const path = join(
    repository,
    'node_modules',
    packageOf[process.arch === 'arm64' ? 'arm64' : 'x64'],
    'bin/bun',
  );
  if (!existsSync(path)) throw new Error(`${path} is missing: run npm ci`);
  return path;
}

export function bundlerVersion(repository: string): string {
  return execFileSync(bun(repository), ['--version'], { encoding: 'utf8' }).trim();
}

/** Runs Bun in a directory, with an environment of its own: nobody's settings change what is built. */
export function runBun(repository: string, args: readonly string[], directory: string): void {
  execFileSync(bun(repository), args, {
    cwd: directory,
    env: { PATH: '/usr/bin:/bin', HOME: directory, TMPDIR: directory },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/**
 * The Bun executable that the program is put into. For another architecture npm does not install it: it is
 * fetched once, checked against the lock file, and kept outside of the checkout.
 *
 * @throws Error if it is of another version than the bundler, which Bun itself would not notice
 */
export async function findBase(repository: string, arch: Arch): Promise<string> {
  const name = packageOf[arch];
  const lock = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as LockFile;
  const locked = lock.packages[`node_modules/${name}`];
  if (!locked) throw new Error(`package-lock.json has no ${name}`);
  const bundler = bundlerVersion(repository);
  if (locked.version !== bundler)
    throw new Error(`${name} is ${locked.version}, but the bundler is ${bundler}`);
  const installed = join(repository, 'node_modules', name, 'bin/bun');
  if (existsSync(installed)) return installed;

  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'unit-secrets/bun');
  const directory = join(cache, `${arch}-${locked.version}`);
  const base = join(directory, 'package/bin/bun');
  if (existsSync(base)) return base;
  mkdirSync(cache, { recursive: true });
  const unpacked = mkdtempSync(join(cache, 'unfinished-'));
  try {
    console.log(`fetching ${name} ${locked.version} (once; kept in ${cache})`);
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--loglevel=error', `${name}@${locked.version}`], {
        cwd: unpacked,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    ) as { readonly filename: string }[];
    if (!packed) throw new Error(`npm pack gave no file for ${name}`);
    const archive = join(unpacked, packed.filename);
    const integrity = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (integrity !== locked.integrity) throw new Error(`${name} is not the one in package-lock.json`);
    execFileSync('tar', ['-xzf', archive, '-C', unpacked]);
    rmSync(archive);
    try {
      renameSync(unpacked, directory);
    } catch (error) {
      // another build may have been quicker
      if (!existsSync(base)) throw error;
    }
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
  }
  return base;
}
