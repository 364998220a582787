import { spawnSync } from 'node:child_process';

/**
 * The last error that a unit's own processes have told in one of its runs, on one line; undefined if there is none
 * or this user may not see it.
 *
 * @param invocation `InvocationID=`: what an earlier run told may be mended since
 */
export function lastError(unit: string, invocation: string): string | undefined {
  const { stdout } = spawnSync(
    'journalctl',
    [
      ...['--quiet', '--boot', '--output=cat', '--lines=1', 'PRIORITY=3'],
      `_SYSTEMD_UNIT=${unit}`,
      `_SYSTEMD_INVOCATION_ID=${invocation}`,
    ],
    { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const line = (stdout ?? '').trim().split('\n').at(-1);
  return line === '' ? undefined : line;
}
