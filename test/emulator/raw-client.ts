/** A client of the protocol that can be made to do things wrong, which the SDK cannot. */
import { randomBytes } from 'node:crypto';
import { b64u, fromB64u } from './bytes.ts';
import { open, seal } from './envelope.ts';
import type { Emulator } from './server.ts';
import {
  clientPublic,
  clientSessionKey,
  clientVerifyHash,
  identityOf,
  macKeyOf,
  requestMac,
  serverVerifyHash,
} from './srp.ts';
import { ed25519KeyOf, paseto, type ServiceAccount, skidOf } from './token.ts';

interface Answer {
  readonly status: number;
  readonly value: Record<string, unknown>;
}

export interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly body?: unknown;
  /** Added to the right ones, or instead of them; undefined leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

export function rightHeaders(account: ServiceAccount, now = new Date()): Record<string, string> {
  const hour = 3_600_000;
  const payload = { iat: now.toISOString(), exp: new Date(now.getTime() + hour).toISOString() };
  return {
    'x-agilebits-client': '1Password SDK/0050002',
    'user-agent': '1Password JS SDK/0050002 raw/1',
    'op-user-agent': `1|SDK|999999999|${account.deviceUuid}|||Fetch API|Fetch API|linux|0.0.0|x64`,
    'op-data-consistency': 'eventual',
    'op-throttling-token': paseto(
      ed25519KeyOf(Buffer.from(account.throttle.seed, 'hex')),
      JSON.stringify(payload),
      JSON.stringify({ kid: account.throttle.uuid }),
    ),
  };
}

export async function send(
  emulator: Emulator,
  account: ServiceAccount,
  request: RawRequest,
): Promise<Answer> {
  const headers = new Headers(rightHeaders(account));
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    if (value === undefined) headers.delete(name);
    else headers.set(name, value);
  }
  const response = await fetch(`${emulator.origin}${request.target}`, {
    method: request.method,
    headers,
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
  });
  return { status: response.status, value: (await response.json()) as Record<string, unknown> };
}

export interface RawSession {
  /** @param change spoils the MAC */
  request(request: RawRequest, change?: (mac: string) => string): Promise<Answer>;
  /** The value inside an answer. */
  opened(answer: Answer): unknown;
  sealed(value: unknown): unknown;
}

/** Signs in up to the third request. */
export async function openRawSession(emulator: Emulator, account: ServiceAccount): Promise<RawSession> {
  const post = (target: string, body: unknown, session?: string): Promise<Answer> =>
    send(emulator, account, {
      method: 'POST',
      target,
      body,
      headers: session === undefined ? {} : { 'x-agilebits-session-id': session },
    });
  const { email, deviceUuid } = account;
  const skid = skidOf(account);
  const start = await post('/api/v3/auth/start', { email, skFormat: 'A3', skid, deviceUuid });
  const session = String(start.value['sessionID']);
  const a = randomBytes(32);
  const A = clientPublic(a);
  const exchange = await post('/api/v2/auth', { userA: A.toString(16) }, session);
  const B = BigInt(`0x${exchange.value['userB']}`);
  const sessionKey = clientSessionKey(A, B, Buffer.from(account.srpX, 'hex'), a);
  const salt = fromB64u((start.value['userAuth'] as { salt: string }).salt);
  const proof = clientVerifyHash({ identity: identityOf(skid, email), salt, A, B, sessionKey });
  const confirmed = await post('/api/v2/auth/confirm-key', { clientVerifyHash: proof }, session);
  if (confirmed.value['serverVerifyHash'] !== serverVerifyHash(A, proof, sessionKey)) {
    throw new Error(`the service has another key: ${confirmed.status}`);
  }

  const key = { kid: session, bytes: sessionKey };
  let requestId = 1;
  return {
    request(request, change = (mac) => mac) {
      const { method, target } = request;
      const mac = requestMac(
        macKeyOf(sessionKey),
        { session, method, host: '127.0.0.1', target },
        String(requestId++),
      );
      const headers = {
        'x-agilebits-session-id': session,
        'x-agilebits-mac': change(mac),
        ...request.headers,
      };
      return send(emulator, account, { ...request, headers });
    },
    opened: (answer) => open(key, answer.value),
    sealed: (value) => seal(key, value),
  };
}

/** Another text of the same form. */
export function otherProof(): string {
  return b64u(randomBytes(32));
}
