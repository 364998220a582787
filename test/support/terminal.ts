import { spawn } from '@lydell/node-pty';
import { poll } from '../container/poll.ts';

const deadline = 30_000;

export interface Ended {
  readonly exitCode: number;
  /** The number of the signal that ended it, 0 if none did. */
  readonly signal: number;
}

/** A program that runs on a terminal of its own, with a shell around it that outlives it. */
export interface Terminal {
  /** All that the terminal was sent. */
  readonly output: () => string;
  /** Types, or pastes. */
  readonly type: (text: string) => void;
  /** Waits for something to appear; gives all that was there by then. */
  readonly waitFor: (text: string | RegExp) => Promise<string>;
  readonly ended: Promise<Ended>;
  readonly kill: (signal: string) => void;
  readonly resize: (cols: number, rows: number) => void;
}

/** Starts a program on a terminal. */
export function onTerminal(
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
  size: { readonly cols?: number; readonly rows?: number } = {},
): Terminal {
  const [program, ...args] = command;
  const pty = spawn(program, args, {
    cols: 200,
    rows: 40,
    ...size,
    env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm', ...env },
  });
  let output = '';
  pty.onData((data) => {
    output += data;
  });
  const ended = new Promise<Ended>((resolve) => {
    pty.onExit(({ exitCode, signal }) => resolve({ exitCode, signal: signal ?? 0 }));
  });
  return {
    output: () => output,
    type: (text) => pty.write(text),
    waitFor: async (text) => {
      const there = (): boolean => (typeof text === 'string' ? output.includes(text) : text.test(output));
      await poll(there, `${text} on the terminal, where there is: ${output}`, deadline);
      return output;
    },
    ended,
    kill: (signal) => pty.kill(signal),
    resize: (cols, rows) => pty.resize(cols, rows),
  };
}
