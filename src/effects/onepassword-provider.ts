import { spawn } from 'node:child_process';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { Provider, Resolution } from '../domain/provider.ts';
import { classifyReferenceError, classifySdkMessage } from '../domain/sdk-failure.ts';
import type { BatchAnswer } from './onepassword-sdk.ts';

/** How much a child may answer: far more than systemd could take. */
const longestAnswer = 64 * 1024 * 1024;

/**
 * Resolves references in a child process: token and references go in by its standard input, its
 * environment is made from scratch, and it is killed with its group when the deadline passes.
 *
 * @param command the program and its arguments which run `resolve-child`
 * @param deadline milliseconds for one call
 */
export function onePasswordProvider(options: {
  readonly command: readonly [string, ...string[]];
  readonly token: string;
  readonly deadline: number;
}): Provider {
  return {
    async resolve(references) {
      const answer = await callChild(options, references);
      if (!answer.ok) throw new FailureError(classifySdkMessage(answer.message));
      const resolutions = new Map<string, Resolution>();
      for (const reference of references) {
        const one = Object.hasOwn(answer.results, reference) ? answer.results[reference] : undefined;
        if (one && 'value' in one && typeof one.value === 'string')
          resolutions.set(reference, { ok: true, value: one.value });
        else {
          const type = one && 'error' in one && typeof one.error === 'string' ? one.error : 'other';
          resolutions.set(reference, { ok: false, failure: classifyReferenceError(reference, type) });
        }
      }
      return resolutions;
    },
  };
}

function callChild(
  options: {
    readonly command: readonly [string, ...string[]];
    readonly token: string;
    readonly deadline: number;
  },
  references: readonly string[],
): Promise<BatchAnswer> {
  const fail = (message: string) =>
    new FailureError({ class: 'transient', exitCode: exitCodes.temporaryFailure, message });
  return new Promise((resolve, reject) => {
    const [program, ...args] = options.command;
    const child = start(program, args);
    if (!child) {
      reject(fail(notStarted));
      return;
    }
    const kill = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {}
    };
    const timer = setTimeout(() => {
      kill();
      reject(fail(`1Password did not answer within ${Math.round(options.deadline / 1000)} s`));
    }, options.deadline);
    process.once('exit', kill);
    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > longestAnswer) kill();
      else chunks.push(chunk);
    });
    child.once('error', () => {
      clearTimeout(timer);
      process.off('exit', kill);
      reject(fail(notStarted));
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      process.off('exit', kill);
      try {
        const answer: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
        if (code !== 0 || !isBatchAnswer(answer)) throw new Error('not an answer');
        resolve(answer);
      } catch {
        reject(fail('the process that asks 1Password ended without an answer'));
      }
    });
    // a child that dies early must not take us with it
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify({ token: options.token, references }));
  });
}

const notStarted = 'the process that asks 1Password could not be started';

function start(program: string, args: readonly string[]) {
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
