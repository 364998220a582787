/**
 * Runs one program to its end. The harness lives on util-linux, debootstrap and nspawn; this is the one
 * place that starts them, so that time limits and error texts are the same everywhere.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';

export interface RunOptions {
  /** Given as standard input; without it the program reads an empty one (CI has none to pass on). */
  readonly input?: string | Uint8Array;
  /** Read standard input from this file instead: for big files that should not pass through memory. */
  readonly inputFile?: string;
  /** The whole environment; the test process's own by default. */
  readonly env?: NodeJS.ProcessEnv;
  /** Throw when the exit code is not 0 (default); `false` is for callers who look at the code. */
  readonly check?: boolean;
  /** After this the whole process group is killed and an error thrown. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  /** The exit code, or 128 + N after signal N, as shells count. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What `stdout` was decoded from, for output that is not text. */
  readonly stdoutBytes: Buffer;
}

/** A program that ended with an error, or not in time; the message has everything that it said. */
export class RunError extends Error {
  override readonly name = 'RunError';
  readonly result: RunResult;

  constructor(what: string, result: RunResult) {
    super([what, result.stdout.trimEnd(), result.stderr.trimEnd()].filter((text) => text !== '').join('\n'));
    this.result = result;
  }
}

/** `describe` stands for the command line in errors, where the real one is mostly nsenter's arguments. */
export async function run(
  argv: readonly string[],
  options: RunOptions = {},
  describe = argv.join(' '),
): Promise<RunResult> {
  const [program, ...args] = argv;
  if (program === undefined) {
    throw new TypeError('run() needs the name of a program');
  }
  const stdin = options.inputFile === undefined ? undefined : openSync(options.inputFile, 'r');
  try {
    return await spawnAndCollect(program, args, options, stdin, describe);
  } finally {
    if (stdin !== undefined) {
      closeSync(stdin);
    }
  }
}

function spawnAndCollect(
  program: string,
  args: readonly string[],
  options: RunOptions,
  stdin: number | undefined,
  describe: string,
): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [stdin ?? (options.input === undefined ? 'ignore' : 'pipe'), 'pipe', 'pipe'],
      env: options.env ?? process.env,
      // a group of its own: nsenter forks, and a time limit must end what it forked as well
      detached: true,
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    // a program may end without reading its input: that is its exit code's to tell, not EPIPE's
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input);

    let timedOut = false;
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            killGroup(child.pid);
          }, options.timeoutMs);

    child.on('error', (error) => {
      clearTimeout(timer);
      reject(
        new Error(`cannot run ${program}: ${error.message} (scripts/test installs what the tests need)`),
      );
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const stdoutBytes = Buffer.concat(stdout);
      const result: RunResult = {
        code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
        stdout: stdoutBytes.toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
        stdoutBytes,
      };
      if (timedOut) {
        reject(new RunError(`not finished after ${options.timeoutMs} ms: ${describe}`, result));
      } else if (result.code !== 0 && options.check !== false) {
        reject(new RunError(`exit code ${result.code}: ${describe}`, result));
      } else {
        resolve(result);
      }
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) {
    return;
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // gone in the meantime
  }
}
