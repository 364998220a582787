/** The emulator: the service over HTTP on the loopback, with its faults and its controls. */
import { appendFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { handleControl } from './control.ts';
import { mergePatch } from './data-file.ts';
import { type Fault, type FaultHandle, FaultList } from './faults.ts';
import { type RequestEntry, routeOf } from './requests.ts';
import { type DeviceState, errorAnswer, Service, type ServiceAnswer } from './service.ts';
import { type Account, emailOfToken, newAccount, newServiceAccount, tokenOf } from './token.ts';
import type { References } from './vault-data.ts';

export interface EmulatorOptions {
  /** What the vaults hold, see README.md. */
  readonly data: unknown;
  /** Any free one where it is missing. */
  readonly port?: number;
  /** That of an earlier emulator, so that its tokens stay valid (on the same port); else a new one. */
  readonly account?: Account;
  /** Gets one JSON line per request. */
  readonly log?: string;
  /** Key and certificate, in PEM; without them it is plain HTTP. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** Changes answers of the service, for fuzzing. */
export interface Tamper {
  /** @param name of the request; or `an overview`, or `details`, of an item */
  readonly plain: (name: string, value: unknown) => unknown;
  readonly sent: (name: string, body: Buffer) => Buffer;
}

export interface Emulator {
  readonly port: number;
  /** `http://127.0.0.1:PORT`, or `https:` */
  readonly origin: string;
  /** Sees all vaults. */
  readonly token: string;
  readonly account: Account;
  /** All requests so far, in the order of their arrival; those to `/control/` are left out. */
  readonly requests: readonly RequestEntry[];
  readonly faults: FaultList;
  fault(fault: Fault): FaultHandle;
  /** Changes answers before they are encrypted, and as they are sent, until it is called without. */
  tamper(tamper?: Tamper): void;
  /** Requests that hang already go on hanging. */
  clearFaults(): void;
  data(): unknown;
  setData(data: unknown): void;
  /** Changes the data by a merge patch (RFC 7396). */
  patchData(patch: unknown): void;
  /** Every field, by names and by ids. */
  references(): References[];
  /** The reference by ids alone of the field that `op://Vault/Item/[Section/]field` is. */
  byId(reference: string): string;
  /** The token of a new service account, which sees these vaults (names or ids; all by default). */
  addToken(vaults?: readonly string[]): string;
  /** Ends a token's sessions and refuses it from now on; the main token by default. */
  revoke(token?: string): void;
  restore(token?: string): void;
  expireSessions(): void;
  setDevice(state: DeviceState, token?: string): void;
  /** Ends all connections as well. */
  close(): Promise<void>;
}

const page =
  '<!DOCTYPE html><html><head><title>Sign in to this network</title></head><body>Hello</body></html>\n';

export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const account = options.account ?? newAccount();
  const service = new Service(account, options.data);
  const requests: RequestEntry[] = [];
  const faults = new FaultList();
  let data = options.data;
  let tamper: Tamper | undefined;

  const listener: RequestListener = (request, response) => {
    handle(request, response).catch((error: unknown) => {
      // a bug of the emulator: it must be seen, and the client must not hang
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  };
  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  // clients keep connections: closing an idle one at the wrong moment would be a fault nobody asked for
  server.keepAliveTimeout = 0;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? '';
    const target = request.url ?? '';
    const path = target.split('?', 1)[0] ?? '';
    if (path.startsWith('/control/')) {
      const answer = handleControl(emulator, method, target, await bodyOf(request));
      response.writeHead(answer.status, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(answer.value)}\n`);
      return;
    }

    const { name } = routeOf(method, path);
    const entry: RequestEntry = {
      n: requests.length + 1,
      time: new Date().toISOString(),
      name,
      method,
      target,
      userAgent: request.headers['user-agent'] ?? '',
      account: null,
      items: null,
      status: null,
      fault: null,
      problem: null,
      end: null,
    };
    requests.push(entry);
    response.once('close', () => {
      entry.end ??= response.writableFinished && entry.fault !== 'cut' ? 'answered' : 'gone';
    });

    const body = await bodyOf(request);
    const fault = faults.take({ name, method, path });
    if (fault) {
      entry.fault = fault.kind;
      if (fault.delayMs) await delay(fault.delayMs);
    }
    const serviceRequest = { method, target, headers: request.headers, body };
    // a fault in front of the service is one that the service never heard of
    const answer =
      answerOfFault(fault) ?? (isSilent(fault) ? undefined : service.answer(serviceRequest, entry));
    entry.status = answer?.status ?? null;
    if (options.log) appendFileSync(options.log, `${JSON.stringify({ ...entry, end: undefined })}\n`);
    send(
      request,
      response,
      answer && tamper ? { ...answer, body: tamper.sent(name, answer.body) } : answer,
      fault,
    );
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  const origin = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const [first] = account.serviceAccounts;
  if (!first) throw new Error('the account has no service account');
  const token = tokenOf(first, origin);
  const emailOf = (of = token): string => {
    const email = emailOfToken(of);
    if (email === undefined) throw new Error('not a token');
    return email;
  };

  const emulator: Emulator = {
    port,
    origin,
    token,
    account,
    requests,
    faults,
    fault: (fault) => faults.add(fault),
    tamper(next) {
      tamper = next;
      service.tamper = next?.plain;
    },
    clearFaults: () => faults.clear(),
    data: () => data,
    setData(next) {
      service.setData(next);
      data = next;
    },
    patchData(patch) {
      emulator.setData(mergePatch(data, patch));
    },
    references: () => service.references(),
    byId(reference) {
      const found = service.references().filter(({ names }) => names === reference);
      if (found.length !== 1 || !found[0]) throw new Error(`${found.length} fields are ${reference}`);
      return found[0].ids;
    },
    addToken(vaults) {
      const added = newServiceAccount(vaults);
      account.serviceAccounts.push(added);
      return tokenOf(added, origin);
    },
    revoke: (of) => service.revoke(emailOf(of)),
    restore: (of) => service.restore(emailOf(of)),
    expireSessions: () => service.expireSessions(),
    setDevice: (state, of) => service.setDevice(emailOf(of), state),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return emulator;
}

/** The whole answer of a fault that needs nothing of the service. */
function answerOfFault(fault: Fault | undefined): ServiceAnswer | undefined {
  const web = { contentType: 'text/html', body: Buffer.from(page) };
  const nothing = { contentType: 'application/json', body: Buffer.alloc(0) };
  switch (fault?.kind) {
    case 'html':
      return { status: 200, ...web };
    case 'empty':
      return { status: 200, ...nothing };
    case 'status': {
      const status = fault.status ?? 500;
      if (fault.body === 'html') return { status, ...web };
      return fault.body === 'empty' ? { status, ...nothing } : errorAnswer(status);
    }
    default:
      return undefined;
  }
}

function isSilent(fault: Fault | undefined): boolean {
  return fault?.kind === 'hang' || fault?.kind === 'reset' || fault?.kind === 'close';
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: ServiceAnswer | undefined,
  fault: Fault | undefined,
): void {
  const { socket } = request;
  if (!answer) {
    // resetAndDestroy is not everywhere; without it, the client sees the connection close
    if (fault?.kind === 'reset' && typeof socket.resetAndDestroy === 'function') socket.resetAndDestroy();
    else if (fault?.kind !== 'hang') socket.destroy();
    return;
  }
  const body = bodyAfter(fault, answer);
  const headers = { 'content-type': answer.contentType, 'content-length': body.length };
  response.writeHead(answer.status, { ...headers, ...fault?.headers });
  if (fault?.kind === 'cut' || fault?.kind === 'hang-body') {
    response.write(body.subarray(0, body.length / 2), () => {
      if (fault.kind === 'cut') socket.destroy();
    });
    return;
  }
  response.end(body);
}

function bodyAfter(fault: Fault | undefined, answer: ServiceAnswer): Buffer {
  if (fault?.kind === 'garbled') return garble(answer);
  return fault?.kind === 'truncated' ? answer.body.subarray(0, answer.body.length / 2) : answer.body;
}

/** Changes the first character of an envelope's data or of the proof; of anything else, every byte. */
function garble(answer: ServiceAnswer): Buffer {
  const text = answer.body.toString('utf8');
  const changed = text.replace(
    /"(data|serverVerifyHash)":"(.)/,
    (_all, name, first) => `"${name}":"${first === 'A' ? 'B' : 'A'}`,
  );
  return Buffer.from(changed === text ? answer.body.map((byte) => byte ^ 0x55) : changed);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
