import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { type BatchAnswer, resolveInParts } from '../domain/batch.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { Session } from '../domain/provider.ts';
import { classifySdkMessage } from '../domain/sdk-failure.ts';

/** How much a child may answer to one call: far more than systemd could take. */
const longestAnswer = 64 * 1024 * 1024;

type Child = ChildProcessByStdio<Writable, Readable, null>;

/**
 * Opens a session with 1Password in a child process, which begins to sign in at once: token and references
 * go in by its standard input, one JSON text per line, the answers come out likewise. Its environment is made
 * from scratch, and it is killed with its group when a call takes too long, says something else, or ends.
 *
 * @param command the program and its arguments which run `resolve-child`
 */
export function openOnePassword(options: {
  readonly command: readonly [string, ...string[]];
  readonly token: string;
}): Session {
  const [program, ...args] = options.command;
  const child = start(program, args);
  let problem: string | undefined;
  /** Whoever waits for the next line; there is one call at a time. */
  let waiting: ((line: string | undefined) => void) | undefined;
  const lines: string[] = [];
  let part: Buffer[] = [];
  let size = 0;

  const kill = (): void => {
    process.off('exit', kill);
    try {
      // a pid that is reaped may be somebody else's by now
      if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null)
        process.kill(-child.pid, 'SIGKILL');
    } catch {}
  };
  const end = (reason: string): void => {
    problem ??= reason;
    kill();
    waiting?.(undefined);
    waiting = undefined;
  };
  const receive = (chunk: Buffer): void => {
    for (let rest = chunk; ; ) {
      const newline = rest.indexOf(10);
      const piece = newline < 0 ? rest : rest.subarray(0, newline);
      part.push(piece);
      size += piece.length;
      if (size > longestAnswer) {
        end(notAnAnswer);
        return;
      }
      if (newline < 0) return;
      const line = Buffer.concat(part).toString('utf8');
      part = [];
      size = 0;
      if (waiting) waiting(line);
      else lines.push(line);
      waiting = undefined;
      rest = rest.subarray(newline + 1);
    }
  };

  if (child) {
    process.once('exit', kill);
    child.stdout.on('data', receive);
    child.once('error', () => end(notStarted));
    child.once('close', (_code, signal) => end(signal === null ? notAnAnswer : killedBy(signal)));
    // a child that dies early must not take us with it
    child.stdin.on('error', () => {});
    send({ token: options.token });
  } else problem = notStarted;

  function send(message: object): void {
    child?.stdin.write(`${JSON.stringify(message)}\n`);
  }

  function nextLine(deadline: number, within: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const line = lines.shift();
      if (line !== undefined) return resolve(line);
      if (problem !== undefined) return reject(transient(problem));
      const timer = setTimeout(
        () => end(`1Password did not answer within ${Math.round(within / 1000)} s`),
        Math.max(0, deadline - performance.now()),
      );
      waiting = (answer) => {
        clearTimeout(timer);
        if (answer === undefined) reject(transient(problem ?? notAnAnswer));
        else resolve(answer);
      };
    });
  }

  async function answerFrom(deadline: number, within: number): Promise<BatchAnswer> {
    const line = await nextLine(deadline, within);
    try {
      const answer: unknown = JSON.parse(line);
      if (isBatchAnswer(answer)) return answer;
    } catch {}
    end(notAnAnswer);
    throw transient(notAnAnswer);
  }

  let signedIn: Promise<void> | undefined;
  async function signIn(deadline: number, within: number): Promise<void> {
    const answer = await answerFrom(deadline, within);
    if (answer.ok) return;
    end(notAnAnswer);
    throw new FailureError(classifySdkMessage(answer.message));
  }

  return {
    ready(within) {
      signedIn ??= signIn(performance.now() + within, within);
      return signedIn;
    },
    async resolve(references, within) {
      const deadline = performance.now() + within;
      await this.ready(within);
      return resolveInParts(references, (some) => {
        send({ references: some });
        return answerFrom(deadline, within);
      });
    },
    isOpen: () => problem === undefined,
    close: () => end(notAnAnswer),
  };
}

const notStarted = 'the process that asks 1Password could not be started';
const notAnAnswer = 'the process that asks 1Password ended without an answer';
/** By somebody else: we say why first. */
const killedBy = (signal: string): string =>
  `the process that asks 1Password was killed (${signal})${signal === 'SIGKILL' ? ', perhaps for want of memory' : ''}`;

function transient(message: string): FailureError {
  return new FailureError({ class: 'transient', exitCode: exitCodes.temporaryFailure, message });
}

function start(program: string, args: readonly string[]): Child | undefined {
  try {
    return spawn(program, args, {
      // a group of its own, so that whatever it starts ends with it
      detached: true,
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8' },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
  } catch {
    // out of processes or memory
    return undefined;
  }
}

function isBatchAnswer(value: unknown): value is BatchAnswer {
  if (typeof value !== 'object' || value === null || !('ok' in value)) return false;
  if (value.ok === false) return 'message' in value && typeof value.message === 'string';
  return (
    value.ok === true && 'results' in value && typeof value.results === 'object' && value.results !== null
  );
}
