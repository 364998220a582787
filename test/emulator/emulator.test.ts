import { createHmac, generateKeyPairSync } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { poll } from '../container/poll.ts';
import { type Client, openClient, resolveWithSdk } from './sdk-client.ts';
import { type Emulator, startEmulator } from './server.ts';
import { newServiceAccount, tokenOf } from './token.ts';

const large = `first line\n\t"quoted" 'single' \\back $dollar 🦊\r\n`.repeat(2500);
const rsaKey = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
}).privateKey;
const totpSecret = 'JBSWY3DPEHPK3PXP';

const data = {
  vaults: {
    Homelab: {
      description: 'what the tests read',
      items: [
        {
          name: 'Cloudflare',
          category: 'LOGIN',
          fields: {
            username: 'me@example.org',
            password: 'pass',
            'tunnel-token': 'eyJhIjoi',
            code: { type: 'totp', value: totpSecret },
            site: { type: 'url', value: 'https://example.org' },
          },
          sections: { Database: { password: 'db-pass', host: { type: 'string', value: 'db.local' } } },
          files: { 'ca.pem': '-----BEGIN\nünïcode\n', 'key.bin': { base64: '/////w==' } },
          notes: 'two\nlines',
        },
        { name: 'Values', category: 'API_CREDENTIAL', fields: { empty: '', large } },
        { name: 'Pass', category: 'PASSWORD', fields: { password: 'only' } },
        {
          name: 'Given',
          id: 'abcdefghijklmnopqrstuvwxye',
          fields: [{ name: 'x', id: 'credential', value: 'by id' }],
        },
        { name: 'Paper', category: 'DOCUMENT', files: { 'paper.txt': 'written' } },
        {
          name: 'Key',
          category: 'SSH_KEY',
          fields: { 'private key': { type: 'sshKey' }, rsa: { type: 'sshKey', value: rsaKey } },
        },
        { name: 'Twin', fields: { x: 'first' } },
        { name: 'Twin', fields: { x: 'second' } },
        { name: 'Old', archived: true, fields: { x: 'gone' } },
        { name: 'Pair', sections: { a: { same: '1' }, b: { same: '2' } } },
      ],
    },
    Other: { items: { Thing: { fields: { x: 'elsewhere' } } } },
    Third: { items: { Thing: { fields: { x: 'third' } } } },
  },
};

let emulator: Emulator;
let client: Client;

beforeAll(async () => {
  emulator = await startEmulator({ data });
  client = await openClient(emulator.token);
});

afterEach(() => emulator.clearFaults());

afterAll(() => emulator.close());

/** The value, or what the SDK says instead. */
async function resolve(reference: string, by = client): Promise<string> {
  return by.secrets.resolve(reference).catch((error: unknown) => `failed: ${(error as Error).message}`);
}

/** What the SDK says when it cannot sign in. */
async function signInFailure(token = emulator.token): Promise<string> {
  const answer = await resolveWithSdk(token, [], 'v1.0.0');
  return answer.ok ? 'signed in' : answer.message;
}

async function requestsOf(action: () => Promise<unknown>): Promise<number> {
  const before = emulator.requests.length;
  await action();
  return emulator.requests.length - before;
}

describe('values', () => {
  test.each([
    ['op://Homelab/Cloudflare/tunnel-token', 'eyJhIjoi'],
    ['op://Homelab/Cloudflare/username', 'me@example.org'],
    ['op://Homelab/Cloudflare/site', 'https://example.org'],
    ['op://Homelab/Cloudflare/Database/password', 'db-pass'],
    ['op://Homelab/Cloudflare/Database/host', 'db.local'],
    ['op://Homelab/Cloudflare/ca.pem', '-----BEGIN\nünïcode\n'],
    ['op://Homelab/Cloudflare/notesPlain', 'two\nlines'],
    ['op://Homelab/Values/empty', ''],
    ['op://Homelab/Values/large', large],
    ['op://Homelab/Pass/password', 'only'],
    ['op://Homelab/Given/x', 'by id'],
    ['op://Homelab/Paper/paper.txt', 'written'],
    ['op://Homelab/Pair/b/same', '2'],
    ['op://Homelab/Key/rsa', rsaKey],
    ['op://Other/Thing/x', 'elsewhere'],
  ])('%s resolves by names and by ids', async (reference, value) => {
    expect(await resolve(reference)).toBe(value);
    const byId = emulator.byId(reference);
    expect(byId).not.toContain('Homelab');
    expect(await resolve(byId)).toBe(value);
  });

  test('names are case-insensitive', async () => {
    expect(await resolve('op://homelab/CLOUDFLARE/database/Password')).toBe('db-pass');
  });

  test('ids given in the data are used', async () => {
    expect(await resolve('op://Homelab/abcdefghijklmnopqrstuvwxye/credential')).toBe('by id');
  });

  test('items of the same name resolve by id', async () => {
    const twins = emulator.references().filter(({ names }) => names === 'op://Homelab/Twin/x');
    expect(await Promise.all(twins.map(({ ids }) => resolve(ids)))).toEqual(['first', 'second']);
  });

  test('a one-time password is that of now', async () => {
    const reference = 'op://Homelab/Cloudflare/code';
    const before = totp(Date.now());
    const code = await resolve(`${reference}?attribute=otp`);
    expect([before, totp(Date.now())]).toContain(code);
    expect(await resolve(reference)).toBe(totpSecret);
  });

  test('an SSH key comes in its own format too', async () => {
    const reference = 'op://Homelab/Key/private key';
    expect(await resolve(reference)).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(await resolve(`${reference}?ssh-format=openssh`)).toMatch(
      /^-----BEGIN OPENSSH PRIVATE KEY-----\n/,
    );
  });

  test('a batch gives the same', async () => {
    const references = [
      'op://Homelab/Values/large',
      'op://Other/Thing/x',
      emulator.byId('op://Homelab/Values/empty'),
    ];
    const answer = await resolveWithSdk(emulator.token, references, 'v1.0.0');
    expect(answer).toEqual({
      ok: true,
      results: Object.assign(Object.create(null), {
        'op://Homelab/Values/large': { value: large },
        'op://Other/Thing/x': { value: 'elsewhere' },
        [references[2] ?? '']: { value: '' },
      }),
    });
  });
});

test.each([
  ['op://Nowhere/Cloudflare/x', 'vaultNotFound', 'no vault matched'],
  ['op://Homelab/Nothing/x', 'itemNotFound', 'no item matched'],
  ['op://Homelab/Old/x', 'itemNotFound', 'no item matched'],
  ['op://Homelab/Twin/x', 'tooManyItems', 'more than one item matched'],
  ['op://Homelab/Cloudflare/Nowhere/x', 'noMatchingSections', 'no section matched'],
  ['op://Homelab/Cloudflare/nothing', 'fieldNotFound', 'the specified field cannot be found'],
  ['op://Homelab/Pair/same', 'tooManyMatchingFields', 'more than one field matched'],
  ['op://Homelab/Cloudflare/site?attribute=otp', 'incompatibleTOTPQueryParameterField', 'TOTP attribute'],
  [
    'op://Homelab/Cloudflare/site?ssh-format=openssh',
    'incompatibleSshKeyQueryParameterField',
    'SSH key formatting',
  ],
  ['op://Homelab/Cloudflare/key.bin', 'unsupportedFileFormat', 'unable to retrieve file content'],
  ['op://Homelab/Cloudflare/ümlaut', 'parsing', 'the secret reference could not be parsed'],
])('%s is refused as %s', async (reference, type, text) => {
  expect(await resolve(reference)).toContain(`failed: error resolving secret reference: ${text}`);
  const { individualResponses } = await client.secrets.resolveAll([reference]);
  expect(individualResponses[reference]?.error?.type).toBe(type);
});

test('an archived item is inactive by its id, and makes a batch fail', async () => {
  const [, , , item] = emulator.byId('op://Homelab/Old/x').split('/');
  const reference = `op://Homelab/${item}/x`;
  const inactive = 'error resolving secret reference: item is not in an active state';
  expect(await resolve(reference)).toBe(`failed: ${inactive}`);
  const answer = await resolveWithSdk(emulator.token, [reference, 'op://Other/Thing/x'], 'v1.0.0');
  expect(answer).toEqual({ ok: false, message: inactive });
});

describe('requests', () => {
  const homelab = (count: number): string[] =>
    Array.from({ length: count }, () => 'op://Homelab/Cloudflare/username');
  const fields = (count: number, ids = false): string[] => {
    const all = emulator
      .references()
      .filter(({ names }) => /^op:\/\/Many\d\/Item\d+\//.test(names))
      .map((reference) => (ids ? reference.ids : reference.names));
    return all.slice(0, count);
  };

  beforeAll(() => {
    const items = Object.fromEntries(
      Array.from({ length: 17 }, (_, n) => [`Item${n}`, { fields: { x: `${n}` } }]),
    );
    emulator.patchData({ vaults: { Many1: { items }, Many2: { items }, Many3: { items } } });
  });

  afterAll(() => emulator.setData(data));

  test('createClient costs four', async () => {
    expect(await requestsOf(() => openClient(emulator.token))).toBe(4);
    expect(emulator.requests.slice(-4).map(({ name }) => name)).toEqual([
      'auth-start',
      'auth',
      'confirm-key',
      'auth-complete',
    ]);
  });

  test('resolve by names costs three, and one more on a fresh client', async () => {
    const fresh = await openClient(emulator.token);
    expect(await requestsOf(() => resolve('op://Homelab/Pass/password', fresh))).toBe(4);
    expect(
      await requestsOf(() => Promise.all(homelab(10).map((reference) => resolve(reference, fresh)))),
    ).toBe(30);
  });

  test('resolve by ids costs one, and one per vault, and one more on a fresh client', async () => {
    const fresh = await openClient(emulator.token);
    const references = fields(50, true);
    expect(
      await requestsOf(() => Promise.all(references.map((reference) => resolve(reference, fresh)))),
    ).toBe(54);
    expect(await requestsOf(() => resolve(references[0] ?? '', fresh))).toBe(1);
  });

  test.each([
    ['by names', false, 8],
    ['by ids', true, 5],
  ])('resolveAll of 50 references in three vaults %s', async (_name, ids, cost) => {
    const fresh = await openClient(emulator.token);
    const references = fields(50, ids);
    expect(references).toHaveLength(50);
    expect(await requestsOf(() => fresh.secrets.resolveAll(references))).toBe(cost);
  });

  test.each([
    ['unknown vault', 'op://Nowhere/Item/x', 1],
    ['unknown item', 'op://Homelab/Nothing/x', 2],
    ['unknown field', 'op://Homelab/Pass/nothing', 3],
  ])('an %s costs as much as it got through', async (_name, reference, cost) => {
    await resolve('op://Homelab/Pass/password');
    expect(await requestsOf(() => resolve(reference))).toBe(cost);
  });

  test('a device that must be registered costs two more', async () => {
    for (const state of ['not-registered', 'deleted'] as const) {
      emulator.setDevice(state);
      expect(await requestsOf(() => openClient(emulator.token))).toBe(6);
    }
  });

  test('the user agent names the integration', async () => {
    await resolve('op://Homelab/Pass/password');
    expect(emulator.requests.at(-1)?.userAgent).toContain('emulator test/v1.0.0');
  });
});

describe('faults at the sign-in', () => {
  const network = 'error sending request';

  test.each([
    [{ kind: 'status', status: 401 }, 'authentication error: you are not authenticated'],
    [
      { kind: 'status', status: 429, headers: { 'retry-after': '9' } },
      'authentication error: rate limit exceeded',
    ],
    [{ kind: 'status', status: 500 }, 'authentication error: internal server error'],
    [
      { kind: 'status', status: 503, body: 'html' },
      'unexpected status code in response: 503 Service Unavailable',
    ],
    [{ kind: 'reset' }, network],
    [{ kind: 'close' }, network],
    [{ kind: 'cut' }, 'Unexpected error when retrieving response contents'],
    [{ kind: 'html' }, 'Error("expected value", line: 1, column: 1)'],
    [{ kind: 'empty' }, 'when deserializing HTTP responses'],
  ] as const)('%o', async (fault, text) => {
    const { clear } = emulator.fault(fault);
    const message = await signInFailure();
    clear();
    expect(message).toContain(text);
    expect(message).toMatch(/^authentication error: /);
  });

  test('a garbled answer does not authenticate', async () => {
    emulator.fault({ match: 'auth-complete', kind: 'garbled' });
    expect(await signInFailure()).toContain('when decrypting request body: Aes(GcmFailedToDecrypt)');
  });
});

describe('faults later', () => {
  const reference = 'op://Homelab/Cloudflare/username';

  test.each([
    [{ kind: 'status', status: 429 }, /rate limit exceeded$/],
    [{ kind: 'status', status: 503 }, /unexpected status code in response: 503 Service Unavailable$/],
    [{ kind: 'status', status: 403 }, /you do not have the right permissions/],
    [{ kind: 'status', status: 404 }, /no vault matched/],
    [{ kind: 'reset' }, /error sending request$/],
    [{ kind: 'cut' }, /Unexpected error when retrieving response contents$/],
    [{ kind: 'html' }, /when decrypting request body: Aes\(Jweb\(BadEncoding/],
    [{ kind: 'garbled' }, /when decrypting request body: Aes\(GcmFailedToDecrypt\)/],
  ] as const)('%o, and all is well afterwards', async (fault, text) => {
    emulator.fault({ match: 'vaults', times: 1, ...fault });
    const failure = await resolve(reference);
    expect(failure).toMatch(/^failed: error resolving secret reference: /);
    expect(failure).toMatch(text);
    expect(await resolve(reference)).toBe('me@example.org');
  });

  test('a 401 makes the client sign in again, unnoticed', async () => {
    emulator.fault({ match: 'overviews', times: 1, kind: 'status', status: 401 });
    expect(await requestsOf(() => resolve(reference))).toBe(3 + 4 + 1);
    emulator.expireSessions();
    expect(await resolve(reference)).toBe('me@example.org');
  });

  test('a failure of an item by ids passes for an unknown vault', async () => {
    const byId = emulator.byId(reference);
    expect(await resolve(byId)).toBe('me@example.org');
    emulator.fault({ match: 'item', times: 1, kind: 'status', status: 503 });
    expect(await resolve(byId)).toContain('no vault matched');
    expect(await resolve(byId)).toBe('me@example.org');
  });

  test('a failing file is "other" in a batch', async () => {
    const file = 'op://Homelab/Cloudflare/ca.pem';
    emulator.fault({ match: 'file', times: 1, kind: 'garbled' });
    const { individualResponses } = await client.secrets.resolveAll([file]);
    expect(individualResponses[file]?.error).toEqual({ type: 'other' });
  });

  test('a failing item list is "other" in a batch', async () => {
    emulator.fault({ match: 'overviews', times: 1, kind: 'status', status: 429 });
    const { individualResponses } = await client.secrets.resolveAll([reference]);
    expect(individualResponses[reference]?.error).toEqual({ type: 'other' });
  });

  test('a fault can let requests pass first, and hits as often as it should', async () => {
    const fault = emulator.fault({
      match: 'GET /api/v1/vault/*/items/*',
      skip: 1,
      times: 2,
      kind: 'status',
      status: 500,
    });
    const outcomes = [];
    for (let n = 0; n < 4; n++) outcomes.push((await resolve(reference)).startsWith('failed'));
    expect(outcomes).toEqual([false, true, true, false]);
    expect(fault.hits).toBe(2);
  });

  test('a delayed answer is waited for', async () => {
    emulator.fault({ match: 'vaults', times: 1, kind: 'delay', delayMs: 200 });
    const start = performance.now();
    expect(await resolve(reference)).toBe('me@example.org');
    expect(performance.now() - start).toBeGreaterThanOrEqual(199);
  });

  test.each(['hang', 'hang-body'] as const)(
    '%s leaves the caller pending until the connection ends',
    async (kind) => {
      const own = await startEmulator({ data });
      const waiting = await openClient(own.token);
      own.fault({ match: 'vaults', kind });
      let settled = false;
      const outcome = resolve('op://Homelab/Pass/password', waiting).finally(() => {
        settled = true;
      });
      const held = await poll(
        () => own.requests.find(({ fault }) => fault === kind),
        'the request to hang',
        10_000,
      );
      // the caller's own deadline passes
      const late = await Promise.race([outcome, new Promise((done) => setTimeout(done, 300, 'deadline'))]);
      expect(late).toBe('deadline');
      expect(settled).toBe(false);
      expect(held.end).toBeNull();
      await own.close();
      expect(await outcome).toMatch(
        /error sending request$|Unexpected error when retrieving response contents$/,
      );
      await poll(() => held.end === 'gone', 'the request to be over', 10_000);
    },
  );
});

describe('tokens', () => {
  const refused = 'authentication error: you are not authenticated';

  test('a revoked token is refused, until it is restored', async () => {
    const token = emulator.addToken();
    const holder = await openClient(token);
    emulator.revoke(token);
    expect(await resolve('op://Other/Thing/x', holder)).toMatch(
      /bad credentials, please retry: failed to authenticate$/,
    );
    expect(await signInFailure(token)).toBe(refused);
    expect(await signInFailure()).toBe('signed in');
    emulator.restore(token);
    expect(await resolve('op://Other/Thing/x', holder)).toBe('elsewhere');
  });

  test('a token sees the vaults it was given', async () => {
    const holder = await openClient(emulator.addToken(['Other']));
    expect(await resolve('op://Other/Thing/x', holder)).toBe('elsewhere');
    expect(await resolve('op://Homelab/Pass/password', holder)).toContain('no vault matched');
    expect(await resolve(emulator.byId('op://Homelab/Pass/password'), holder)).toContain('failed');
  });

  test('an unknown token is refused', async () => {
    expect(await signInFailure(tokenOf(newServiceAccount(), emulator.origin))).toBe(refused);
  });

  test('a token with another srpX is refused', async () => {
    const [account] = emulator.account.serviceAccounts;
    if (!account) throw new Error('no service account');
    const changed = tokenOf({ ...account, srpX: '11'.repeat(32) }, emulator.origin);
    expect(await signInFailure(changed)).toBe(refused);
    expect(emulator.requests.at(-1)).toMatchObject({
      name: 'confirm-key',
      status: 401,
      problem: 'the proof of the client is wrong',
    });
  });

  test('a token with another muk fails at its first use', async () => {
    const [account] = emulator.account.serviceAccounts;
    if (!account) throw new Error('no service account');
    const holder = await openClient(tokenOf({ ...account, muk: '11'.repeat(32) }, emulator.origin));
    expect(await resolve('op://Other/Thing/x', holder)).toContain(
      'DecryptingSymmetricKey(GcmFailedToDecrypt)',
    );
  });

  test('a wrong proof of the service is noticed', async () => {
    emulator.fault({ match: 'confirm-key', kind: 'garbled' });
    expect(await signInFailure()).toContain('Server hash was invalid, shared key mismatch');
  });
});

describe('data', () => {
  afterEach(() => emulator.setData(data));

  test('a change is seen by a client that is signed in', async () => {
    const reference = 'op://Other/Thing/x';
    expect(await resolve(reference)).toBe('elsewhere');
    const ids = emulator.byId(reference);
    emulator.patchData({ vaults: { Other: { items: { Thing: { fields: { x: 'rotated' } } } } } });
    expect(await resolve(reference)).toBe('rotated');
    expect(emulator.byId(reference)).toBe(ids);
    emulator.patchData({ vaults: { Other: null } });
    expect(await resolve(reference)).toContain('no vault matched');
  });

  test('ids are the same in every emulator, and an account survives its restart', async () => {
    const first = await startEmulator({ data });
    const { port, token, account } = first;
    expect(first.references()).toEqual(emulator.references());
    const holder = await openClient(token);
    expect(await resolve('op://Other/Thing/x', holder)).toBe('elsewhere');
    await first.close();
    const second = await startEmulator({ data, port, account });
    expect(second.token).toBe(token);
    // the client may notice only by a failure that its kept connections are gone
    const byId = second.byId('op://Other/Thing/x');
    await poll(async () => (await resolve(byId, holder)) === 'elsewhere', 'the client to go on', 10_000);
    await second.close();
  });

  test.each([
    [{ vault: {} }, 'data: unknown member vault'],
    [{ vaults: { A: { items: { B: { category: 'X' } } } } }, 'vaults.A.items.B.category: unknown category X'],
    [{ vaults: { A: { items: { B: { fields: { c: {} } } } } } }, 'vaults.A.items.B.fields.c: has no value'],
    [{ vaults: { A: { id: 'short' } } }, 'vaults.A.id: not an id of 26 characters'],
    [{ vaults: [{}] }, 'vaults[0]: has no name'],
  ])('bad data is refused with its place: %j', (bad, message) => {
    expect(() => emulator.setData(bad)).toThrow(message);
  });
});

/** RFC 6238 with the usual parameters. */
function totp(time: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(time / 30_000)));
  // "Hello!" and 0xdeadbeef: what the secret is in base32
  const key = Buffer.from('48656c6c6f21deadbeef', 'hex');
  const mac = createHmac('sha1', key).update(counter).digest();
  const offset = (mac[19] ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}
