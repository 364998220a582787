import { spawn, spawnSync } from 'node:child_process';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';

export interface CommandOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  /** What it complained of, on one line. */
  readonly complaint: string;
}

/** A job that waits for a fetch may take as long as that does; in milliseconds. */
const longestJob = 15 * 60_000;

/**
 * Runs systemctl(1).
 *
 * @param timeout milliseconds
 * @throws FailureError with 69 if there is no systemctl
 */
export function systemctl(args: readonly string[], timeout = 60_000): CommandOutcome {
  const { status, stdout, stderr, error } = spawnSync('systemctl', args, {
    encoding: 'utf8',
    timeout,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error && 'code' in error && error.code === 'ENOENT') throw noSystemctl();
  return outcomeOf(status, stdout ?? '', stderr ?? '');
}

/**
 * The same for a job that may take long, so that other things can be done meanwhile; without standard output.
 *
 * @throws FailureError with 69 if there is no systemctl
 */
export function systemctlJob(args: readonly string[]): Promise<CommandOutcome> {
  return new Promise((resolve, reject) => {
    const child = spawn('systemctl', args, { timeout: longestJob, stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    child.once('error', (error) => {
      reject('code' in error && error.code === 'ENOENT' ? noSystemctl() : error);
    });
    child.once('close', (status) => resolve(outcomeOf(status, '', complaint)));
  });
}

function noSystemctl(): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.unavailable,
    message: 'there is no systemctl here',
    hint: 'this command is for a machine that runs systemd',
  });
}

function outcomeOf(status: number | null, stdout: string, stderr: string): CommandOutcome {
  return { exitCode: status ?? 1, stdout, complaint: stderr.trim().replace(/\s*\n\s*/g, '; ') };
}

/**
 * Whether a unit is active, also while a reload of it goes on: X-secrets passes one on to X-config, which has to be
 * waited for, too.
 */
export function isActive(unit: string): boolean {
  return /^(?:active|reloading)$/.test(
    showUnits([unit], ['ActiveState']).get(unit)?.get('ActiveState') ?? '',
  );
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
