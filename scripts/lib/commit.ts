import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** What the executable is made of: whether anything else was changed is no matter to it. */
const sources = [
  'src',
  'generators',
  'scripts/build.ts',
  'scripts/lib',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
];

/**
 * The git commit that a build is of: 12 digits, with `-modified` behind if a source differs from it.
 *
 * `UNIT_SECRETS_COMMIT` says it where there is no git (Nix, an unpacked archive).
 *
 * @returns '' if it is not known
 * @throws Error if `UNIT_SECRETS_COMMIT` is something else than that
 */
export function commitOf(repository: string): string {
  const given = process.env['UNIT_SECRETS_COMMIT'];
  if (given !== undefined) {
    const [, commit, modified = ''] = /^([0-9a-f]{12})[0-9a-f]*(-modified)?$/.exec(given) ?? [];
    if (given !== '' && commit === undefined)
      throw new Error(`UNIT_SECRETS_COMMIT must be a git commit, not '${given}'`);
    return given === '' ? '' : `${commit}${modified}`;
  }
  const head = git(repository, 'rev-parse', 'HEAD')?.trim();
  if (head === undefined) return '';
  const changes = git(repository, 'status', '--porcelain', '--', ...sources);
  return `${head.slice(0, 12)}${changes === '' ? '' : '-modified'}`;
}

/** The time of that commit, in seconds since 1970. */
export function commitTimeOf(repository: string): number | undefined {
  const seconds = git(repository, 'log', '-1', '--format=%ct');
  return seconds === undefined ? undefined : Number(seconds);
}

/** @returns undefined if there is no git, or no repository of our own: we may lie in somebody else's */
function git(repository: string, ...args: readonly string[]): string | undefined {
  if (!existsSync(join(repository, '.git'))) return undefined;
  try {
    return execFileSync(
      'git',
      // a build by root in a user's checkout: whose sources are run here anyway
      ['-c', 'safe.directory=*', '-c', 'core.fsmonitor=false', ...args],
      {
        cwd: repository,
        encoding: 'utf8',
        // in a hook, git's own variables are about another repository
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
  } catch {
    return undefined;
  }
}
