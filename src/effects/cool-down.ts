import { readFileSync, renameSync } from 'node:fs';
import { coolDownLength } from '../domain/backoff.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import type { Failure } from '../domain/failure.ts';
import { remove, writeNew } from './secret-directory.ts';
import { uptime } from './uptime.ts';

/** The time for which nobody asks after 1Password has limited the rate, as all services share it. */
interface CoolDown {
  /** In seconds of uptime(). */
  readonly until: number;
  /** How many there were in a row. */
  readonly step: number;
  /** A digest of the token: another token has limits of its own. */
  readonly token: string;
}

const pathOf = (queue: string): string => `${queue}/cool-down`;

/** How many seconds it still lasts for a token; undefined if anybody may ask. */
export function coolDownLeft(queue: string, token: string): number | undefined {
  const left = (read(queue, token)?.until ?? 0) - uptime();
  return left > 0 ? left : undefined;
}

/** The failure of all who want to ask while a rate limit has to be waited out. */
export function coolDownFailure(queue: string, token: string): Failure | undefined {
  const left = coolDownLeft(queue, token);
  if (left === undefined) return undefined;
  const until = new Date(Date.now() + left * 1000).toTimeString().slice(0, 8);
  return {
    class: 'rate-limited',
    exitCode: exitCodes.temporaryFailure,
    message: `1Password limits the rate of requests: nothing is asked until ${until}`,
  };
}

/** Begins one, longer than the one before. */
export function beginCoolDown(queue: string, token: string, random: () => number = Math.random): void {
  const step = read(queue, token)?.step ?? 0;
  const next: CoolDown = { until: uptime() + coolDownLength(step, random), step: step + 1, token };
  try {
    writeNew(`${pathOf(queue)}.${process.pid}`, JSON.stringify(next), 0o600);
    renameSync(`${pathOf(queue)}.${process.pid}`, pathOf(queue));
  } catch {
    // each service then finds out for itself
  }
}

/** 1Password has answered: the next one is short again. */
export function endCoolDown(queue: string): void {
  try {
    remove(pathOf(queue));
  } catch {}
}

function read(queue: string, token: string): CoolDown | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(pathOf(queue), 'utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const { until, step, token: of } = value as Partial<Record<keyof CoolDown, unknown>>;
    if (typeof until !== 'number' || typeof step !== 'number' || of !== token) return undefined;
    return { until, step, token };
  } catch {
    return undefined;
  }
}
