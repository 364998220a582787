import { type FetchState, readFetchState } from '../effects/fetch-state.ts';
import { uptime } from '../effects/uptime.ts';
import { paths } from '../unit/paths.ts';

/** A duration in its largest unit: `5 s`, `3 min`, `2 h`, `4 d`. */
export function span(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** How far a fetch is: `try 2 of 12, next in 8 s`. */
export function fetchProgress(fetch: FetchState): string {
  const next = fetch.next === undefined ? '' : `, next in ${span(Math.max(0, fetch.next - uptime()))}`;
  if (fetch.try === 0 && fetch.state === 'failed') return 'before anything was asked for';
  return fetch.try === 0 ? 'waiting' : `try ${fetch.try} of ${fetch.tries}${next}`;
}

/** What to say while a unit of a service (with suffix) is waited for: what its fetch says, too, while it goes on. */
export function waitingFor(unit: string, service: string): () => string {
  return () => {
    const fetch = readFetchState(paths.queue, service);
    const goesOn = fetch?.state === 'waiting' || fetch?.state === 'backing-off';
    const reason = fetch?.failure === undefined ? '' : `: ${fetch.failure.message}`;
    return `waiting for ${unit}${goesOn ? `, ${fetchProgress(fetch)}${reason}` : ''}`;
  };
}
