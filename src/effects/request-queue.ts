import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import type { Answer } from '../domain/answer.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { isAlive } from './processes.ts';
import { remove, writeNew } from './secret-directory.ts';

/** One try of one service, as the others see it. */
export interface QueuedRequest {
  /** `PID-NUMBER` of the process that asks. */
  readonly id: string;
  readonly service: string;
  readonly references: readonly string[];
  /** When the service gives up, in seconds of uptime(). */
  readonly until: number;
}

const requestSuffix = '.request';
const answerSuffix = '.answer';
/** What is named after a process: requests, and what is written aside before a rename. */
const named = /^(?:(\d+)-\d+\.(?:request|answer|new)|(?:.+\.state|cool-down)\.(\d+))$/;

/**
 * The directory in which services put down what they want, and in which the one that fetches for all puts
 * the answers: `ID.request` and `ID.answer`, 0600, written aside and renamed. A request stays until it is
 * answered, an answer until it is taken; whoever comes along removes what belongs to dead processes.
 */
export class RequestQueue {
  readonly #directory: string;

  /** @throws FailureError if there is no such directory and none can be made */
  constructor(directory: string) {
    this.#directory = directory;
    this.#guard(() => mkdirSync(directory, { recursive: true, mode: 0o700 }));
  }

  /** @throws FailureError if it cannot be written: 74 if there is no room, else 73 */
  put(request: QueuedRequest): void {
    this.#guard(() => this.#write(request.id, requestSuffix, request));
  }

  /** Whether a request waits for its answer. */
  has(id: string): boolean {
    return existsSync(`${this.#directory}/${id}${requestSuffix}`);
  }

  /** The requests that wait; what cannot be one is removed. */
  pending(): readonly QueuedRequest[] {
    const requests: QueuedRequest[] = [];
    for (const name of this.#names()) {
      if (!name.endsWith(requestSuffix)) continue;
      const request = this.#read(name);
      if (request !== undefined && isRequest(request) && name === request.id + requestSuffix)
        requests.push(request);
      else this.#remove(name);
    }
    return requests;
  }

  /** Hands an answer over. One that cannot be written leaves no request either, which the asker finds. */
  answer(id: string, answer: Answer): void {
    try {
      this.#write(id, answerSuffix, answer.ok ? { ok: true, values: [...answer.values] } : answer);
    } catch {
      this.#remove(`${id}.new`);
    }
    this.#remove(id + requestSuffix);
  }

  /** The answer to a request, if it is there; it is gone then. */
  take(id: string): Answer | undefined {
    // asked often: an error each time would be garbage for each of many processes to keep
    if (!existsSync(`${this.#directory}/${id}${answerSuffix}`)) return undefined;
    const answer = this.#read(id + answerSuffix);
    this.#remove(id + answerSuffix);
    return isAnswer(answer) ? (answer.ok ? { ok: true, values: new Map(answer.values) } : answer) : undefined;
  }

  /** Whether an answer has not been taken yet. */
  waitsToBeTaken(id: string): boolean {
    return existsSync(`${this.#directory}/${id}${answerSuffix}`);
  }

  withdraw(id: string): void {
    for (const suffix of [requestSuffix, answerSuffix, '.new']) this.#remove(id + suffix);
  }

  /** Removes what dead processes left. */
  sweep(): void {
    for (const name of this.#names()) {
      const match = named.exec(name);
      if (match && !isAlive(Number(match[1] ?? match[2]))) this.#remove(name);
    }
  }

  #names(): readonly string[] {
    try {
      return readdirSync(this.#directory);
    } catch {
      return [];
    }
  }

  #write(id: string, suffix: string, content: unknown): void {
    const aside = `${this.#directory}/${id}.new`;
    writeNew(aside, JSON.stringify(content), 0o600);
    renameSync(aside, `${this.#directory}/${id}${suffix}`);
  }

  #read(name: string): unknown {
    let text: string;
    try {
      text = readFileSync(`${this.#directory}/${name}`, 'utf8');
    } catch {
      return undefined;
    }
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  }

  #remove(name: string): void {
    try {
      remove(`${this.#directory}/${name}`);
    } catch {
      // a directory that has become read-only: nothing that we could do about it
    }
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw queueFailure(this.#directory, error);
    }
  }
}

/** Why the directory of requests cannot be used. */
export function queueFailure(directory: string, error: unknown): FailureError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new FailureError({
    class: 'transient',
    exitCode: code === 'ENOSPC' || code === 'EIO' ? exitCodes.ioError : exitCodes.cannotCreate,
    message: `cannot put down a request in ${directory}${code === '' ? '' : ` (${code})`}`,
    hint: remedyOf(directory, code),
  });
}

function remedyOf(directory: string, code: string): string {
  if (code === 'ENOSPC') return 'the file system for secrets is full: what else is in /run/unit-secrets?';
  // in the sandbox of a unit, what is around a directory that is missing is read-only as well
  if (code === 'EROFS' && existsSync(directory))
    return 'the file system for secrets is read-only: mount -o remount,rw /run/unit-secrets';
  return 'unit-secrets-token.service makes it: systemctl restart unit-secrets-token.service';
}

function isRequest(value: unknown): value is QueuedRequest {
  if (typeof value !== 'object' || value === null) return false;
  const request = value as Partial<Record<keyof QueuedRequest, unknown>>;
  return (
    typeof request.id === 'string' &&
    typeof request.service === 'string' &&
    typeof request.until === 'number' &&
    Array.isArray(request.references) &&
    request.references.every((reference) => typeof reference === 'string')
  );
}

type StoredAnswer =
  | { readonly ok: true; readonly values: readonly (readonly [string, string])[] }
  | Extract<Answer, { ok: false }>;

/** What a fetcher of this version wrote; nobody else can write here. */
function isAnswer(value: unknown): value is StoredAnswer {
  return typeof value === 'object' && value !== null && 'ok' in value;
}
