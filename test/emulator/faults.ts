/** Faults on demand: which requests they hit, and what happens to those. */
import { type RequestName, requestNames } from './requests.ts';

/** What happens to a request. */
export type FaultKind =
  /** Nothing but the delay. */
  | 'delay'
  /** Another status; see `status`, `headers`, `body`. */
  | 'status'
  /** No answer at all, the connection stays. */
  | 'hang'
  /** The head and half of the body, and then silence. */
  | 'hang-body'
  /** The connection is reset before the answer. */
  | 'reset'
  /** The connection is closed before the answer. */
  | 'close'
  /** The head and half of the body, and then the connection is closed. */
  | 'cut'
  /** The first half of the body as if it were all of it. */
  | 'truncated'
  /** 200 with a web page, as of a captive portal. */
  | 'html'
  /** 200 with an empty body. */
  | 'empty'
  /** Changed contents: an envelope, the service's proof or a file does not authenticate. */
  | 'garbled';

const kinds: readonly FaultKind[] = [
  'delay',
  'status',
  'hang',
  'hang-body',
  'reset',
  'close',
  'cut',
  'truncated',
  'html',
  'empty',
  'garbled',
];

export interface Fault {
  /**
   * Which requests: `any` (the default), `login` (the four of the sign-in), `read` (all others), the name
   * of a request (`auth-start`, `overviews`, ...), or method and path with `*`: `GET /api/v1/vault/*`.
   */
  readonly match?: string;
  /** How many matching requests to let pass first. */
  readonly skip?: number;
  /** How many to hit; all until it is cleared where this is missing. */
  readonly times?: number;
  readonly kind: FaultKind;
  /** Waits this long first, in milliseconds. */
  readonly delayMs?: number;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body of another status: an error in JSON (the default), a web page, or nothing. */
  readonly body?: 'json' | 'html' | 'empty';
}

const loginRequests: readonly RequestName[] = [
  'auth-start',
  'auth',
  'confirm-key',
  'auth-complete',
  'device',
];

/** A fault that has been set. */
export interface FaultHandle {
  readonly id: number;
  readonly fault: Fault;
  /** How many requests it has hit. */
  readonly hits: number;
  clear(): void;
}

interface Active {
  readonly id: number;
  readonly fault: Fault;
  readonly matches: (request: MatchedRequest) => boolean;
  seen: number;
  hits: number;
}

interface MatchedRequest {
  readonly name: RequestName;
  readonly method: string;
  readonly path: string;
}

export class FaultList {
  #active: Active[] = [];
  #nextId = 1;

  add(fault: Fault): FaultHandle {
    const active: Active = {
      id: this.#nextId++,
      fault,
      matches: matcherOf(fault.match ?? 'any'),
      seen: 0,
      hits: 0,
    };
    this.#active.push(active);
    const remove = (): void => this.remove(active.id);
    return {
      id: active.id,
      fault,
      get hits() {
        return active.hits;
      },
      clear: remove,
    };
  }

  remove(id: number): void {
    this.#active = this.#active.filter((active) => active.id !== id);
  }

  clear(): void {
    this.#active = [];
  }

  list(): { id: number; hits: number; fault: Fault }[] {
    return this.#active.map(({ id, hits, fault }) => ({ id, hits, fault }));
  }

  /** The fault that hits this request: of those that are due, the one that was set first. */
  take(request: MatchedRequest): Fault | undefined {
    for (const active of this.#active) {
      if (!active.matches(request)) continue;
      active.seen += 1;
      if (active.seen <= (active.fault.skip ?? 0)) continue;
      if (active.hits >= (active.fault.times ?? Number.POSITIVE_INFINITY)) continue;
      active.hits += 1;
      return active.fault;
    }
    return undefined;
  }
}

function matcherOf(match: string): (request: MatchedRequest) => boolean {
  if (match === 'any') return () => true;
  if (match === 'login') return ({ name }) => loginRequests.includes(name);
  if (match === 'read') return ({ name }) => !loginRequests.includes(name);
  if ((requestNames as readonly string[]).includes(match)) return ({ name }) => name === match;
  if (!/^[A-Z]+ \//.test(match)) throw new Error(`unknown fault pattern ${match}`);
  const literals = match.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'));
  const pattern = new RegExp(`^${literals.join('.*')}$`);
  return ({ method, path }) => pattern.test(`${method} ${path}`);
}

/** Checks a fault that came from outside. */
export function parseFault(value: unknown): Fault {
  if (typeof value !== 'object' || value === null) throw new Error('a fault is an object');
  const fault = value as Record<string, unknown>;
  const types = {
    match: 'string',
    skip: 'number',
    times: 'number',
    kind: 'string',
    delayMs: 'number',
    status: 'number',
    headers: 'object',
    body: 'string',
  };
  for (const [key, member] of Object.entries(fault)) {
    const type = Object.hasOwn(types, key) ? types[key as keyof typeof types] : undefined;
    if (type === undefined) throw new Error(`a fault has no member ${key}`);
    if (typeof member !== type) throw new Error(`${key} of a fault is a ${type}`);
  }
  if (!(kinds as readonly unknown[]).includes(fault['kind']))
    throw new Error(`kind of a fault is one of ${kinds.join(', ')}`);
  if (fault['kind'] === 'status' && fault['status'] === undefined)
    throw new Error('a fault of kind status needs a status');
  if (!['json', 'html', 'empty', undefined].includes(fault['body'] as string | undefined))
    throw new Error('body of a fault is one of json, html, empty');
  matcherOf((fault['match'] as string | undefined) ?? 'any');
  return fault as unknown as Fault;
}
