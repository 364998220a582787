/** The emulator's controls over HTTP, for whoever is not in its process. */
import { parseFault } from './faults.ts';
import type { Emulator } from './server.ts';
import type { DeviceState } from './service.ts';

interface ControlAnswer {
  readonly status: number;
  readonly value: unknown;
}

type Control = (emulator: Emulator, body: Record<string, unknown>, query: URLSearchParams) => unknown;

/** Where a body names no token, the main one is meant. */
const controls: Readonly<Record<string, Control>> = {
  'GET /control/token': (emulator) => ({ token: emulator.token }),
  'POST /control/tokens': (emulator, body) => ({
    token: emulator.addToken(optional(body, 'vaults', isTexts)),
  }),
  'POST /control/revoke': (emulator, body) => emulator.revoke(optional(body, 'token', isText)),
  'POST /control/restore': (emulator, body) => emulator.restore(optional(body, 'token', isText)),
  'POST /control/expire': (emulator) => emulator.expireSessions(),
  'POST /control/device': (emulator, body) => {
    const state = optional(body, 'state', isDeviceState);
    if (!state) throw new Error('state is registered, not-registered or deleted');
    emulator.setDevice(state, optional(body, 'token', isText));
  },

  'GET /control/requests': (emulator, _body, query) => {
    const since = Number(query.get('since') ?? 0);
    return emulator.requests.filter(({ n }) => n > since);
  },

  'GET /control/faults': (emulator) => emulator.faults.list(),
  'POST /control/faults': (emulator, body) => {
    const { id } = emulator.fault(parseFault(body));
    return { id };
  },
  'DELETE /control/faults': (emulator, _body, query) => {
    const id = query.get('id');
    if (id === null) emulator.clearFaults();
    else emulator.faults.remove(Number(id));
  },

  'GET /control/data': (emulator) => emulator.data(),
  'POST /control/data': (emulator, body) => emulator.setData(body),
  'PATCH /control/data': (emulator, body) => emulator.patchData(body),
  'GET /control/references': (emulator) => emulator.references(),
};

export function handleControl(
  emulator: Emulator,
  method: string,
  target: string,
  body: Buffer,
): ControlAnswer {
  const url = new URL(target, emulator.origin);
  const name = `${method} ${url.pathname}`;
  const control = Object.hasOwn(controls, name) ? controls[name] : undefined;
  if (!control) return { status: 404, value: { error: `no control ${name}` } };
  try {
    const value: unknown = body.length > 0 ? JSON.parse(body.toString('utf8')) : {};
    if (typeof value !== 'object' || value === null) throw new Error('the body is not a JSON object');
    return {
      status: 200,
      value: control(emulator, value as Record<string, unknown>, url.searchParams) ?? {},
    };
  } catch (error) {
    return { status: 400, value: { error: error instanceof Error ? error.message : String(error) } };
  }
}

function optional<T>(
  body: Record<string, unknown>,
  key: string,
  is: (value: unknown) => value is T,
): T | undefined {
  const value = body[key];
  if (value === undefined) return undefined;
  if (!is(value)) throw new Error(`${key} is not what it should be`);
  return value;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}

function isDeviceState(value: unknown): value is DeviceState {
  return value === 'registered' || value === 'not-registered' || value === 'deleted';
}
