import { spawnSync } from 'node:child_process';

/**
 * Of these groups, those that the system does not know; none if it cannot be asked. Never for the generator: sources
 * of names may be on the network.
 */
export function unknownGroups(names: readonly string[]): ReadonlySet<string> {
  const unknown = new Set(names);
  if (unknown.size === 0) return unknown;
  const { status, stdout } = spawnSync('getent', ['group', '--', ...unknown], {
    encoding: 'utf8',
    timeout: 10_000,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // 2 says that some were not found (getent(1)); all else is no answer
  if (status !== 2) return new Set();
  for (const line of stdout.split('\n')) unknown.delete(line.split(':', 1)[0] ?? '');
  return unknown;
}
