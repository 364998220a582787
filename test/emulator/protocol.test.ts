import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRawSession, otherProof, type RawSession, rightHeaders, send } from './raw-client.ts';
import { type Emulator, startEmulator } from './server.ts';
import { newServiceAccount, type ServiceAccount, skidOf } from './token.ts';

let emulator: Emulator;
let account: ServiceAccount;

beforeAll(async () => {
  emulator = await startEmulator({
    data: { vaults: { Homelab: { items: { Door: { fields: { code: '1234' } } } } } },
  });
  const [first] = emulator.account.serviceAccounts;
  if (!first) throw new Error('no service account');
  account = first;
});

afterAll(() => emulator.close());

function startBody(of: ServiceAccount): Record<string, string> {
  return { email: of.email, skFormat: 'A3', skid: skidOf(of), deviceUuid: of.deviceUuid };
}

function start(body: unknown, headers = {}): ReturnType<typeof send> {
  return send(emulator, account, { method: 'POST', target: '/api/v3/auth/start', body, headers });
}

async function signedIn(): Promise<RawSession> {
  const session = await openRawSession(emulator, account);
  const body = session.sealed({ client: '1Password SDK/0050002', device: null });
  const answer = await session.request({ method: 'POST', target: '/api/v2/auth/complete', body });
  expect(session.opened(answer)).toEqual({
    accountUuid: emulator.account.accountUuid,
    userUuid: account.userUuid,
  });
  return session;
}

const vaults = { method: 'GET', target: '/api/v1/vaults?attrs=combined-access' };
const required = { errorCode: 102, errorMessage: 'Authentication required.' };
const notFound = { errorCode: 117, errorMessage: 'Not found.' };

test('a request with the right MAC is answered', async () => {
  const session = await signedIn();
  const answer = await session.request(vaults);
  expect(answer.status).toBe(200);
  expect(session.opened(answer)).toMatchObject([{ type: 'U', activeItemCount: 1 }]);
});

test.each([
  ['a changed', (mac: string) => mac.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))],
  ['no', () => ''],
  ['another request id in the', (mac: string) => mac.replace(/^v1\|\d+/, 'v1|99')],
])('%s MAC is refused', async (_name, change) => {
  const session = await signedIn();
  expect(await session.request(vaults, change)).toEqual({ status: 401, value: required });
  expect(emulator.requests.at(-1)?.problem).toBe('the MAC is missing or wrong');
});

test('the MAC covers path and query', async () => {
  const session = await signedIn();
  const { target: _target, ...headers } = vaults;
  let mac = '';
  await session.request(vaults, (right) => {
    mac = right;
    return right;
  });
  const other = await session.request({ ...headers, target: '/api/v1/vaults?attrs=' }, () => mac);
  expect(other.status).toBe(401);
});

test('nothing can be read before the sign-in is complete', async () => {
  const session = await openRawSession(emulator, account);
  expect(await session.request(vaults)).toEqual({ status: 401, value: required });
});

test('a body that is not an envelope of the session is refused', async () => {
  const session = await openRawSession(emulator, account);
  const answer = await session.request({
    method: 'POST',
    target: '/api/v2/auth/complete',
    body: { client: 'x' },
  });
  expect(answer.status).toBe(400);
});

test('a wrong proof ends the session', async () => {
  const { value } = await start(startBody(account));
  const headers = { 'x-agilebits-session-id': String(value['sessionID']) };
  const post = (target: string, body: unknown) =>
    send(emulator, account, { method: 'POST', target, body, headers });
  expect((await post('/api/v2/auth', { userA: '7' })).status).toBe(200);
  const confirm = { clientVerifyHash: otherProof() };
  expect(await post('/api/v2/auth/confirm-key', confirm)).toEqual({ status: 401, value: required });
  await post('/api/v2/auth/confirm-key', confirm);
  expect(emulator.requests.at(-1)?.problem).toBe('no such session');
});

test('a public number of zero is refused', async () => {
  const { value } = await start(startBody(account));
  const headers = { 'x-agilebits-session-id': String(value['sessionID']) };
  const answer = await send(emulator, account, {
    method: 'POST',
    target: '/api/v2/auth',
    body: { userA: '0' },
    headers,
  });
  expect(answer.status).toBe(401);
});

test('an unknown account and a wrong secret key look the same', async () => {
  expect(await start(startBody(newServiceAccount()))).toEqual({ status: 401, value: required });
  expect(await start({ ...startBody(account), skid: 'XXXXXX' })).toEqual({ status: 401, value: required });
});

test.each(['email', 'skFormat', 'skid', 'deviceUuid'])('auth/start needs %s', async (member) => {
  const { status } = await start({ ...startBody(account), [member]: undefined });
  expect([400, 401]).toContain(status);
});

test.each(['x-agilebits-client', 'op-user-agent', 'op-data-consistency', 'op-throttling-token'])(
  'a request needs the header %s',
  async (name) => {
    expect((await start(startBody(account))).status).toBe(200);
    expect((await start(startBody(account), { [name]: undefined })).status).toBe(400);
    expect(emulator.requests.at(-1)?.problem).toContain(name);
  },
);

test('an expired throttling token and a forged one are refused', async () => {
  const day = 86_400_000;
  const expired = rightHeaders(account, new Date(Date.now() - day));
  const forged = rightHeaders({ ...newServiceAccount(), deviceUuid: account.deviceUuid });
  for (const [headers, problem] of [
    [expired, 'expired'],
    [forged, 'the signature is wrong'],
  ] as const) {
    expect((await start(startBody(account), headers)).status).toBe(400);
    expect(emulator.requests.at(-1)?.problem).toContain(problem);
  }
});

test('a batch has one element per id asked for, in that order', async () => {
  const session = await signedIn();
  const [, vault, item] = /^op:\/\/(\w+)\/(\w+)/.exec(emulator.byId('op://Homelab/Door/code')) ?? [];
  const unknown = 'a'.repeat(26);
  const answer = await session.request({
    method: 'POST',
    target: `/api/v3/vault/${vault}/items/batch`,
    body: session.sealed({ itemUuids: [unknown, item, item] }),
  });
  expect(session.opened(answer)).toMatchObject({ items: [null, { uuid: item }, { uuid: item }] });
  expect(emulator.requests.at(-1)?.items).toEqual([unknown, item, item]);
});

test.each([
  '/api/v3/vault/aaaaaaaaaaaaaaaaaaaaaaaaaa?attrs=combined-access',
  '/api/v1/vault/aaaaaaaaaaaaaaaaaaaaaaaaaa/items/overviews',
  '/api/v9/whatever',
])('%s is not found', async (target) => {
  const session = await signedIn();
  expect(await session.request({ method: 'GET', target })).toEqual({ status: 404, value: notFound });
});
