import { readFileSync, renameSync } from 'node:fs';
import type { Failure } from '../domain/failure.ts';
import { directoryName } from '../domain/service-name.ts';
import { remove, writeNew } from './secret-directory.ts';

/**
 * How the fetch of a service stands, for `status` and for the next fetch: one JSON object in
 * `/run/unit-secrets/queue/UNIT.state`, UNIT with its suffix as `directoryName` writes it (`app.service.state`); 0600
 * root, in memory only, never with a value of a secret. Replaced at each change, as a whole.
 */
export interface FetchState {
  /** The unit, with its suffix. */
  readonly service: string;
  /**
   * - `waiting`: for others that fetch, or for the one that fetches for all.
   * - `backing-off`: the last try failed, the next one is at `next`.
   * - `failed`: given up, for `failure`; the retry timer starts it again.
   * - `fetched`: the values have arrived.
   */
  readonly state: 'waiting' | 'backing-off' | 'failed' | 'fetched';
  /** Since when it is in this state, in seconds of proc_uptime(5), as all times here. */
  readonly since: number;
  /** The number of the try, from 1; 0 if nobody was asked. */
  readonly try: number;
  readonly tries: number;
  /** When the next try is due, while backing off; until when nobody asks, after a rate limit. */
  readonly next?: number;
  /** What came of the last try, if it failed. */
  readonly failure?: Failure;
  /** It was a reload: if that failed, the files of before are still there, and nothing starts it again. */
  readonly reload?: true;
  /** Digests of what was asked with: `[X-Secrets]` and the token. */
  readonly unit: string;
  readonly token: string;
}

/** How long a permanent failure is not asked about again, in seconds. */
export const memory = 15 * 60;

function pathOf(queue: string, service: string): string {
  return `${queue}/${directoryName(service)}.state`;
}

/** The state of a service (unit with suffix); undefined if it is not known or not in the form of this version. */
export function readFetchState(queue: string, service: string): FetchState | undefined {
  try {
    const state: unknown = JSON.parse(readFileSync(pathOf(queue, service), 'utf8'));
    return isFetchState(state) ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Best effort: a state that cannot be written is no reason not to fetch. */
export function writeFetchState(queue: string, state: FetchState): void {
  const path = pathOf(queue, state.service);
  const aside = `${path}.${process.pid}`;
  try {
    writeNew(aside, JSON.stringify(state), 0o600);
    renameSync(aside, path);
  } catch {
    forgetFile(aside);
  }
}

/** Forgets a service: the next fetch asks, whatever was known. */
export function forgetFetchState(queue: string, service: string): void {
  forgetFile(pathOf(queue, service));
}

function forgetFile(path: string): void {
  try {
    remove(path);
  } catch {}
}

/**
 * The permanent failure of a service that is still true: found not longer ago than 15 minutes, with the same
 * unit and the same token.
 */
export function rememberedFailure(
  state: FetchState | undefined,
  now: { readonly unit: string; readonly token: string; readonly uptime: number },
): (Failure & { readonly since: number }) | undefined {
  // memory is there to hold the retry timer back, which a reload does not start
  if (state?.state !== 'failed' || state.reload || state.failure?.class !== 'permanent') return undefined;
  if (state.unit !== now.unit || state.token !== now.token) return undefined;
  if (now.uptime >= state.since + memory) return undefined;
  return { ...state.failure, since: state.since };
}

function isFetchState(value: unknown): value is FetchState {
  if (typeof value !== 'object' || value === null) return false;
  const state = value as Partial<Record<keyof FetchState, unknown>>;
  return (
    typeof state.service === 'string' && typeof state.state === 'string' && typeof state.since === 'number'
  );
}
