import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withFileLock } from '../container/lock.ts';
import { cacheDirectory } from '../container/rootfs.ts';
import { run } from '../container/run.ts';

export const repository = join(import.meta.dirname, '../..');
export const host = process.arch === 'arm64' ? 'arm64' : 'x64';
export const foreign = host === 'arm64' ? 'x64' : 'arm64';

/** Makes packages of one kind in a new directory, which the caller removes; gives their paths by their names. */
export async function makePackages(
  format: 'deb' | 'rpm' | 'npm',
  options: { readonly arch?: string; readonly env?: NodeJS.ProcessEnv; readonly umask?: string } = {},
): Promise<ReadonlyMap<string, string>> {
  const { arch = host, env = {}, umask = '022' } = options;
  const directory = mkdtempSync(join(tmpdir(), 'unit-secrets-packages-'));
  mkdirSync(cacheDirectory(), { recursive: true });
  const words = ['--fast', '--arch', arch, '--format', format, '--output', directory];
  // test files run side by side, and each of these builds dist/unit-secrets
  await withFileLock(join(cacheDirectory(), 'build.lock'), () =>
    run(
      [
        ...['sh', '-c', 'umask "$0" && exec "$@"', umask],
        ...[process.execPath, join(repository, 'scripts/package.ts'), ...words],
      ],
      { env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000', ...env } },
    ),
  );
  return new Map(readdirSync(directory).map((name) => [name, join(directory, name)]));
}

/** The package of a kind among what was made. */
export function packageIn(packages: ReadonlyMap<string, string>, pattern: RegExp): string {
  const found = [...packages].find(([name]) => pattern.test(name));
  if (found === undefined) throw new Error(`no ${pattern} among ${[...packages.keys()].join(', ')}`);
  return found[1];
}
