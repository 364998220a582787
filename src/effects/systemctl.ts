import { spawnSync } from 'node:child_process';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';

export interface CommandOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  /** What it complained of, on one line. */
  readonly complaint: string;
}

/**
 * Runs systemctl(1).
 *
 * @param timeout milliseconds; a job that waits for a fetch may take as long as that does
 * @throws FailureError with 69 if there is no systemctl
 */
export function systemctl(args: readonly string[], timeout = 15 * 60_000): CommandOutcome {
  const { status, stdout, stderr, error } = spawnSync('systemctl', args, {
    encoding: 'utf8',
    timeout,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error && 'code' in error && error.code === 'ENOENT') {
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.unavailable,
      message: 'there is no systemctl here',
      hint: 'this command is for a machine that runs systemd',
    });
  }
  const complaint = (stderr ?? '').trim().replace(/\s*\n\s*/g, '; ');
  return { exitCode: status ?? 1, stdout: stdout ?? '', complaint };
}

/** Properties of units as `systemctl show` prints them: unit → property → value; unknown ones are missing. */
export function showUnits(
  units: readonly string[],
  properties: readonly string[],
): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const shown = new Map<string, ReadonlyMap<string, string>>();
  if (units.length === 0) return shown;
  const { stdout, exitCode, complaint } = systemctl([
    'show',
    `--property=${['Id', ...properties].join(',')}`,
    '--',
    ...units,
  ]);
  if (exitCode !== 0 && stdout.trim() === '') {
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.unavailable,
      message: `systemd does not answer: ${complaint}`,
    });
  }
  // one block for each unit, in the order in which they were named
  for (const [index, block] of stdout.trimEnd().split('\n\n').entries()) {
    const values = new Map<string, string>();
    for (const line of block.split('\n')) {
      const equals = line.indexOf('=');
      if (equals > 0) values.set(line.slice(0, equals), line.slice(equals + 1));
    }
    const unit = units[index];
    if (unit !== undefined) shown.set(unit, values);
  }
  return shown;
}
