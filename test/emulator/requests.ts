/** The requests of the protocol by name, and what is written down of each. */

const routes = [
  ['auth-start', 'POST', /^\/api\/v3\/auth\/start$/],
  ['auth', 'POST', /^\/api\/v2\/auth$/],
  ['confirm-key', 'POST', /^\/api\/v2\/auth\/confirm-key$/],
  ['auth-complete', 'POST', /^\/api\/v2\/auth\/complete$/],
  ['device', 'POST', /^\/api\/v1\/device$/],
  ['device', 'PUT', /^\/api\/v1\/device\/([a-z2-7]+)\/reauthorize$/],
  ['keysets', 'GET', /^\/api\/v2\/account\/keysets$/],
  ['vaults', 'GET', /^\/api\/v1\/vaults$/],
  ['vault', 'GET', /^\/api\/v3\/vault\/([^/]+)$/],
  ['overviews', 'GET', /^\/api\/v1\/vault\/([^/]+)\/items\/overviews$/],
  ['batch', 'POST', /^\/api\/v3\/vault\/([^/]+)\/items\/batch$/],
  ['item', 'GET', /^\/api\/v1\/vault\/([^/]+)\/item\/([^/]+)$/],
  ['file', 'GET', /^\/api\/v2\/file\/([^/]+)\/([^/]+)\/([^/]+)$/],
] as const;

export type RequestName = (typeof routes)[number][0] | 'unknown';

export const requestNames: readonly RequestName[] = [...new Set(routes.map(([name]) => name)), 'unknown'];

/** Which request this is, and the variable parts of its path. */
export function routeOf(method: string, path: string): { name: RequestName; parts: readonly string[] } {
  for (const [name, routeMethod, pattern] of routes) {
    const match = method === routeMethod ? pattern.exec(path) : null;
    if (match) return { name, parts: match.slice(1) };
  }
  return { name: 'unknown', parts: [] };
}

/** One request as it is written down; nothing in it is secret. */
export interface RequestEntry {
  /** Counts from 1. */
  readonly n: number;
  readonly time: string;
  readonly name: RequestName;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly userAgent: string;
  /** The account's e-mail address, as soon as it is known. */
  account: string | null;
  /** Items asked for in a batch. */
  items: readonly string[] | null;
  /** Null where there was no answer, or none yet. */
  status: number | null;
  /** The kind of the fault that hit it. */
  fault: string | null;
  /** Why the emulator refused it. */
  problem: string | null;
  /** How it ended; null while it has not. `gone`: the connection ended before the whole answer was out. */
  end: 'answered' | 'gone' | null;
}
