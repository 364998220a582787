/** What the service answers to a request, apart from HTTP: sessions, keysets, vaults, items, files. */
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { parseData } from './data-file.ts';
import { type Envelope, open, type SymmetricKey, seal, sealForOwner, toJwk } from './envelope.ts';
import { randomUpperId } from './ids.ts';
import { type RequestEntry, routeOf } from './requests.ts';
import {
  clientVerifyHash,
  identityOf,
  macKeyOf,
  N,
  requestMac,
  serverPublic,
  serverSessionKey,
  serverVerifyHash,
  verifierOf,
} from './srp.ts';
import { type Account, type ServiceAccount, skidOf, throttlingTokenProblem, userAuthOf } from './token.ts';
import { buildVaults, type Item, type References, type Vault } from './vault-data.ts';

export interface ServiceRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface ServiceAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** What a device is to the service; the SDK registers itself where it has to. */
export type DeviceState = 'registered' | 'not-registered' | 'deleted';

type Notes = Pick<RequestEntry, 'account' | 'items' | 'problem'>;

interface Session {
  readonly id: string;
  readonly account: ServiceAccount;
  /** Client's and service's public numbers and the key made of them, from the second request on. */
  exchange?: { readonly A: bigint; readonly B: bigint; readonly key: Buffer; readonly macKey: Buffer };
  stage: 'started' | 'exchanged' | 'confirmed' | 'complete';
}

/** Ends the handling of a request with an error answer. */
class Refusal extends Error {
  readonly status: number;
  /** What the client reads. */
  readonly code: number;

  constructor(status: number, problem: string) {
    super(problem);
    this.status = status;
    this.code = status === 401 ? 102 : status === 404 ? 117 : status;
  }
}

const errorTexts: Readonly<Record<number, string>> = {
  400: 'Bad request.',
  401: 'Authentication required.',
  403: 'Forbidden.',
  404: 'Not found.',
  429: 'Too many requests.',
};

export function errorAnswer(status: number): ServiceAnswer {
  const errorCode = new Refusal(status, '').code;
  return json(status, { errorCode, errorMessage: errorTexts[status] ?? 'An error occurred.' });
}

/** Bits of the access control list: read items, reveal what is concealed. */
const acl = 32 | 16;
const timestamp = '2024-01-01T00:00:00Z';

export class Service {
  readonly account: Account;
  readonly #publicKey: KeyObject;
  readonly #privateJwk: object;
  readonly #publicJwk: object;
  readonly #verifiers = new Map<string, bigint>();
  /** Changes what is about to be encrypted: the answer to a request by its name, `an overview` or `details` of an item. */
  tamper: ((name: string, value: unknown) => unknown) | undefined;
  readonly #sessions = new Map<string, Session>();
  readonly #revoked = new Set<string>();
  readonly #devices = new Map<string, DeviceState>();
  #vaults: readonly Vault[] = [];
  #contentVersion = 0;

  constructor(account: Account, data: unknown) {
    this.account = account;
    const privateKey = createPrivateKey(account.privateKey);
    this.#publicKey = createPublicKey(privateKey);
    const common = { alg: 'RSA-OAEP', ext: true, kid: account.keysetUuid };
    this.#privateJwk = { ...privateKey.export({ format: 'jwk' }), ...common, key_ops: ['decrypt'] };
    this.#publicJwk = { ...this.#publicKey.export({ format: 'jwk' }), ...common, key_ops: ['encrypt'] };
    this.setData(data);
  }

  /** Replaces all vaults; sessions stay. */
  setData(data: unknown): void {
    this.#vaults = buildVaults(parseData(data), Buffer.from(this.account.vaultSeed, 'hex'));
    this.#contentVersion += 1;
  }

  references(): References[] {
    return this.#vaults.flatMap((vault) => vault.items.flatMap((item) => item.references));
  }

  /** Forgets all sessions: the next request of each gets 401, and the client signs in again. */
  expireSessions(): void {
    this.#sessions.clear();
  }

  revoke(email: string): void {
    this.#revoked.add(email);
    for (const [id, session] of this.#sessions)
      if (session.account.email === email) this.#sessions.delete(id);
  }

  restore(email: string): void {
    this.#revoked.delete(email);
  }

  setDevice(email: string, state: DeviceState): void {
    this.#devices.set(email, state);
  }

  #sealed(name: string, key: SymmetricKey, value: unknown): ServiceAnswer {
    return json(200, seal(key, this.#tampered(name, value)));
  }

  #tampered(name: string, value: unknown): unknown {
    return this.tamper ? this.tamper(name, value) : value;
  }

  answer(request: ServiceRequest, notes: Notes): ServiceAnswer {
    try {
      return this.#answer(request, notes);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      notes.problem = error.message;
      return errorAnswer(error.status);
    }
  }

  #answer(request: ServiceRequest, notes: Notes): ServiceAnswer {
    const path = request.target.split('?', 1)[0] ?? '';
    const { name, parts } = routeOf(request.method, path);
    checkClientHeaders(request);
    if (name === 'auth-start') return this.#start(request, notes);

    const session = this.#sessionOf(request);
    notes.account = session.account.email;
    checkAccountHeaders(request, session.account);
    switch (name) {
      case 'device':
        return this.#device(session, parts[0]);
      case 'auth':
        return this.#exchange(session, request);
      case 'confirm-key':
        return this.#confirm(session, request);
      default:
    }

    const key = this.#checkMac(session, request);
    if (name === 'auth-complete') {
      if (!isObject(open(key, parse(request.body))))
        throw new Refusal(400, 'the body is not an envelope of this session');
      session.stage = 'complete';
      return this.#sealed(name, key, {
        accountUuid: this.account.accountUuid,
        userUuid: session.account.userUuid,
      });
    }
    if (session.stage !== 'complete') throw new Refusal(401, 'the sign-in is not complete');
    const [vaultId = '', itemId = '', documentId = ''] = parts;
    switch (name) {
      case 'keysets':
        return this.#sealed(name, key, { version: 1, keysets: [this.#keyset(session.account)] });
      case 'vaults':
        return this.#sealed(
          name,
          key,
          this.#vaultsOf(session.account).map((vault) => this.#wireVault(vault, session.account)),
        );
      case 'vault':
        return this.#sealed(
          name,
          key,
          this.#wireVault(this.#vaultOf(session.account, vaultId), session.account),
        );
      case 'overviews': {
        const vault = this.#vaultOf(session.account, vaultId);
        const items = vault.items.map((item) => this.#wireItem(vault, item, session.account, false));
        return this.#sealed(name, key, { contentVersion: this.#contentVersion, items, batchComplete: true });
      }
      case 'batch':
        return this.#batch(session, key, vaultId, request, notes);
      case 'item': {
        const vault = this.#vaultOf(session.account, vaultId);
        const item = itemOf(vault, itemId);
        return this.#sealed(name, key, {
          contentVersion: this.#contentVersion,
          item: this.#wireItem(vault, item, session.account, true),
        });
      }
      case 'file': {
        const file = itemOf(this.#vaultOf(session.account, vaultId), itemId).files.get(documentId);
        if (!file) throw new Refusal(404, 'no such file');
        return { status: 200, contentType: 'application/octet-stream', body: file };
      }
      default:
        throw new Refusal(404, 'no such request, or one that is not emulated');
    }
  }

  #start(request: ServiceRequest, notes: Notes): ServiceAnswer {
    const body = parse(request.body);
    const { email, skFormat, skid, deviceUuid } = body;
    if (typeof email === 'string') notes.account = email;
    const account = this.account.serviceAccounts.find((one) => one.email === email);
    if (!account || this.#revoked.has(account.email))
      throw new Refusal(401, 'no such service account, or a revoked one');
    if (skid !== skidOf(account)) throw new Refusal(401, 'the secret key is another one');
    if (skFormat !== 'A3') throw new Refusal(400, 'skFormat is not A3');
    if (deviceUuid !== account.deviceUuid) throw new Refusal(400, 'deviceUuid is not that of the token');
    checkAccountHeaders(request, account);
    const session: Session = { id: randomUpperId(), account, stage: 'started' };
    this.#sessions.set(session.id, session);
    const device = this.#devices.get(account.email) ?? 'registered';
    return json(200, {
      status: device === 'registered' ? 'ok' : `device-${device}`,
      sessionID: session.id,
      accountKeyFormat: 'A3',
      accountKeyUuid: skid,
      userAuth: userAuthOf(account),
    });
  }

  /** @param reauthorized the device's id where it is not a new one */
  #device(session: Session, reauthorized: string | undefined): ServiceAnswer {
    if (reauthorized !== undefined && reauthorized !== session.account.deviceUuid)
      throw new Refusal(404, 'no such device');
    this.#devices.set(session.account.email, 'registered');
    return json(200, { success: 1 });
  }

  #exchange(session: Session, request: ServiceRequest): ServiceAnswer {
    const { userA } = parse(request.body);
    if (session.stage !== 'started') throw new Refusal(401, 'the exchange has already been');
    if (typeof userA !== 'string' || !/^[0-9a-f]{1,1024}$/i.test(userA))
      throw new Refusal(400, 'userA is not a number');
    const A = BigInt(`0x${userA}`);
    if (A % N === 0n) throw new Refusal(401, 'userA is zero');
    const b = randomBytes(32);
    const v = this.#verifierOf(session.account);
    const B = serverPublic(b, v);
    const key = serverSessionKey(A, B, v, b);
    session.exchange = { A, B, key, macKey: macKeyOf(key) };
    session.stage = 'exchanged';
    return json(200, { userB: B.toString(16).padStart(1024, '0') });
  }

  #confirm(session: Session, request: ServiceRequest): ServiceAnswer {
    const proof = parse(request.body)['clientVerifyHash'];
    const { account, exchange } = session;
    if (session.stage !== 'exchanged' || !exchange) throw new Refusal(401, 'no exchange to confirm');
    const expected = clientVerifyHash({
      identity: identityOf(skidOf(account), account.email),
      salt: Buffer.from(account.salt, 'hex'),
      A: exchange.A,
      B: exchange.B,
      sessionKey: exchange.key,
    });
    if (typeof proof !== 'string' || !same(proof, expected)) {
      this.#sessions.delete(session.id);
      throw new Refusal(401, 'the proof of the client is wrong');
    }
    session.stage = 'confirmed';
    return json(200, { serverVerifyHash: serverVerifyHash(exchange.A, expected, exchange.key) });
  }

  #batch(
    session: Session,
    key: SymmetricKey,
    vaultId: string,
    request: ServiceRequest,
    notes: Notes,
  ): ServiceAnswer {
    const body = open(key, parse(request.body));
    const ids = isObject(body) ? body['itemUuids'] : undefined;
    if (!Array.isArray(ids))
      throw new Refusal(400, 'the body is not an envelope of this session with itemUuids');
    notes.items = ids.map(String);
    const vault = this.#vaultOf(session.account, vaultId);
    const items = ids.map((id) => {
      const item = vault.items.find((one) => one.id === id);
      return item ? this.#wireItem(vault, item, session.account, true) : null;
    });
    return this.#sealed('batch', key, { contentVersion: this.#contentVersion, items });
  }

  #sessionOf(request: ServiceRequest): Session {
    const session = this.#sessions.get(header(request, 'x-agilebits-session-id') ?? '');
    if (!session) throw new Refusal(401, 'no such session');
    return session;
  }

  /** @returns the key of the session's envelopes */
  #checkMac(session: Session, request: ServiceRequest): SymmetricKey {
    if (!session.exchange || (session.stage !== 'confirmed' && session.stage !== 'complete')) {
      throw new Refusal(401, 'the session has no confirmed key');
    }
    const mac = header(request, 'x-agilebits-mac') ?? '';
    const requestId = /^v1\|(\d+)\|/.exec(mac)?.[1];
    const host = (header(request, 'host') ?? '').replace(/:\d+$/, '');
    const { method, target } = request;
    const expected =
      requestId &&
      requestMac(session.exchange.macKey, { session: session.id, method, host, target }, requestId);
    if (!expected || !same(mac, expected)) throw new Refusal(401, 'the MAC is missing or wrong');
    return { kid: session.id, bytes: session.exchange.key };
  }

  #verifierOf(account: ServiceAccount): bigint {
    const known = this.#verifiers.get(account.email);
    if (known !== undefined) return known;
    const verifier = verifierOf(Buffer.from(account.srpX, 'hex'));
    this.#verifiers.set(account.email, verifier);
    return verifier;
  }

  #vaultsOf(account: ServiceAccount): Vault[] {
    const { vaults } = account;
    return this.#vaults.filter(
      (vault) => !vaults || vaults.includes(vault.name) || vaults.includes(vault.id),
    );
  }

  #vaultOf(account: ServiceAccount, id: string): Vault {
    const vault = this.#vaultsOf(account).find((one) => one.id === id);
    if (!vault) throw new Refusal(404, 'no such vault');
    return vault;
  }

  #keyset(account: ServiceAccount): object {
    const uuid = this.account.keysetUuid;
    const key: SymmetricKey = { kid: uuid, bytes: Buffer.from(this.account.keysetKey, 'hex') };
    const muk: SymmetricKey = { kid: 'mp', bytes: Buffer.from(account.muk, 'hex') };
    return {
      uuid,
      encryptedBy: 'mp',
      sn: 1,
      encSymKey: { ...seal(muk, toJwk(key)), alg: 'PBES2g-HS256', p2c: 650_000, p2s: '' },
      encPriKey: seal(key, this.#privateJwk),
      pubKey: this.#publicJwk,
      encSPriKey: null,
      spubKey: null,
    };
  }

  #wireVault(vault: Vault, account: ServiceAccount): object {
    const encVaultKey: Envelope = sealForOwner(this.#publicKey, this.account.keysetUuid, toJwk(vault.key));
    return {
      uuid: vault.id,
      type: 'U',
      createdAt: timestamp,
      updatedAt: timestamp,
      attrVersion: 1,
      contentVersion: this.#contentVersion,
      encAttrs: seal(vault.key, {
        uuid: vault.id,
        name: vault.name,
        desc: vault.description,
        type: 'U',
        avatar: '',
      }),
      activeItemCount: vault.items.filter((item) => !item.archived).length,
      clientAccess: acl,
      combinedAccess: {
        vaultUuid: vault.id,
        accessorType: 'user',
        accessorUuid: account.userUuid,
        accessVersion: 1,
        acl,
        leaseTimeout: 0,
        vaultKeySN: 1,
        encryptedBy: this.account.keysetUuid,
        encVaultKey,
      },
    };
  }

  #wireItem(vault: Vault, item: Item, account: ServiceAccount, withDetails: boolean): object {
    return {
      uuid: item.id,
      templateUuid: item.template,
      trashed: item.archived ? 'Y' : 'N',
      createdAt: timestamp,
      updatedAt: timestamp,
      changerUuid: account.userUuid,
      itemVersion: this.#contentVersion,
      encryptedBy: vault.key.kid,
      encOverview: seal(vault.key, this.#tampered('an overview', item.overview)),
      ...(withDetails
        ? {
            encDetails: seal(vault.key, this.#tampered('details', item.details)),
            fileReferences: [...item.files.keys()],
          }
        : {}),
    };
  }
}

function itemOf(vault: Vault, id: string): Item {
  const item = vault.items.find((one) => one.id === id);
  if (!item) throw new Refusal(404, 'no such item');
  return item;
}

/** The headers that every client sends, whoever signs in. */
function checkClientHeaders(request: ServiceRequest): void {
  const expected = {
    'x-agilebits-client': /^1Password SDK\/\d{7}$/,
    'user-agent': /^1Password JS SDK\/\d{7} \S.*\/\S/,
    'op-user-agent': /^1\|SDK\|/,
    'op-data-consistency': /^eventual$/,
  };
  for (const [name, pattern] of Object.entries(expected)) {
    if (!pattern.test(header(request, name) ?? ''))
      throw new Refusal(400, `the header ${name} is missing or wrong`);
  }
}

function checkAccountHeaders(request: ServiceRequest, account: ServiceAccount): void {
  const device = (header(request, 'op-user-agent') ?? '').split('|')[3];
  if (device !== account.deviceUuid) throw new Refusal(400, 'op-user-agent names another device');
  const throttling = header(request, 'op-throttling-token') ?? '';
  const problem = throttlingTokenProblem(account, throttling, new Date());
  if (problem) throw new Refusal(400, `the header op-throttling-token: ${problem}`);
}

function header(request: ServiceRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The members of a JSON object. */
function parse(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {}
  if (!isObject(value)) throw new Refusal(400, 'the body is not a JSON object');
  return value;
}

function same(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function json(status: number, value: unknown): ServiceAnswer {
  return { status, contentType: 'application/json', body: Buffer.from(JSON.stringify(value)) };
}
