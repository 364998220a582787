import { writeSync } from 'node:fs';
import { isatty, type WriteStream } from 'node:tty';
import { cutTo } from '../domain/text-width.ts';
import { beforeLog } from '../effects/journal-log.ts';

/** What takes less is not worth a word, in milliseconds. */
const patience = 1000;
/** How often the line is drawn again, in milliseconds. */
const interval = 1000;
const erase = '\r\u001b[K';
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Says what is being waited for, if it takes longer than a second and somebody looks at a terminal: one line on
 * standard error, drawn again each second, that is gone when the work is done or a signal ends the program.
 * Nothing may be printed meanwhile but by `log`, which it makes room for.
 *
 * @param what such as "asking 1Password"; a function for what changes. Never a value: it is seen
 */
export async function withProgress<T>(what: string | (() => string), work: () => Promise<T>): Promise<T> {
  if (!isatty(2) || process.env['TERM'] === undefined || process.env['TERM'] === 'dumb') return work();
  const stop = draw(typeof what === 'string' ? () => what : what);
  try {
    return await work();
  } finally {
    stop();
  }
}

function draw(what: () => string): () => void {
  const began = performance.now();
  let shown = false;
  const clear = (): void => {
    if (shown) write(erase);
    shown = false;
  };
  const end = (signal: NodeJS.Signals): void => {
    stop();
    // as it ends programs that do not listen
    process.kill(process.pid, signal);
  };
  const show = (): void => {
    const text = `${what()} (${Math.floor((performance.now() - began) / 1000)} s)`;
    // a line that wraps could not be taken back; the last column is left for the cursor
    const columns = (process.stderr as Partial<WriteStream>).columns || 80;
    write(erase + cutTo(text, columns - 1));
    shown = true;
  };
  let timer: NodeJS.Timeout = setTimeout(() => {
    for (const signal of signals) process.on(signal, end);
    show();
    timer = setInterval(show, interval);
  }, patience);
  beforeLog(clear);
  const stop = (): void => {
    clearTimeout(timer);
    for (const signal of signals) process.off(signal, end);
    beforeLog(undefined);
    clear();
  };
  return stop;
}

function write(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // nobody looks any more
  }
}
