import { fstatSync, readSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';

/** Much more than any secret that systemd would take. */
const longest = 1024 * 1024;
/** How long to look for the rest of what was pasted, in milliseconds. */
const pasteGap = 50;

/** Whether there is somebody to ask. */
export function canAsk(): boolean {
  return isatty(0);
}

/** Whether standard input is a pipe or a file: what comes from there was meant, even where it is nothing. */
export function isFed(): boolean {
  try {
    const input = fstatSync(0);
    return input.isFIFO() || input.isFile() || input.isSocket();
  } catch {
    // closed
    return false;
  }
}

/**
 * Gets a text that must not be seen: asked for without echo if standard input is a terminal, else all of
 * standard input.
 *
 * @throws FailureError with 65 if it is too long, not UTF-8 or, on a terminal, more than one line
 */
export async function readSecret(question: string): Promise<string> {
  const bytes = canAsk() ? await ask(question) : readInput();
  if (bytes.length > longest) throw refuse(`the input is longer than ${longest / 1024} KiB`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuse('the input is not valid UTF-8');
  }
}

/** Standard input, no more of it than tells that it is too long. */
function readInput(): Uint8Array {
  const buffer = Buffer.alloc(longest + 1);
  let length = 0;
  try {
    while (length < buffer.length) {
      const count = readSync(0, buffer, length, buffer.length - length, null);
      if (count === 0) break;
      length += count;
    }
  } catch (error) {
    // closed: as good as empty
    if (!(error instanceof Error && 'code' in error && (error.code === 'EBADF' || error.code === 'EOF'))) {
      throw new FailureError({
        class: 'permanent',
        exitCode: exitCodes.ioError,
        message: 'standard input cannot be read',
      });
    }
  }
  return buffer.subarray(0, length);
}

/**
 * Asks on the terminal, in raw mode. Lines of a bracketed paste belong to the text; any other newline ends it.
 * Ctrl-C restores the terminal and ends this process as it ends others.
 */
async function ask(question: string): Promise<Uint8Array> {
  const input = process.stdin;
  const line = new SecretLine();
  const restore = (): void => {
    // off: the terminal marks pastes
    writeSync(2, '\x1b[?2004l\n');
    input.setRawMode(false);
  };
  const end = (signal: NodeJS.Signals): void => {
    restore();
    for (const name of signals) process.off(name, end);
    process.kill(process.pid, signal);
  };
  // raw first: what is typed ahead must not show
  input.setRawMode(true);
  for (const name of signals) process.on(name, end);
  writeSync(2, `\x1b[?2004h${question}: `);
  try {
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const finish = (): void => {
        input.off('data', take);
        input.off('end', finish);
        resolve();
      };
      const take = (chunk: Buffer): void => {
        const state = line.take(chunk);
        if (state === 'interrupted') end('SIGINT');
        else if (state === 'done') {
          // what follows is the rest of a paste: it must not be left for the shell to run
          clearTimeout(timer);
          timer = setTimeout(finish, pasteGap);
        }
      };
      input.on('data', take);
      input.once('end', finish);
      input.resume();
    });
  } finally {
    input.pause();
    input.unref?.();
    for (const name of signals) process.off(name, end);
    restore();
  }
  if (line.more) {
    throw refuse(
      'more than one line was entered',
      'for a text of several lines, use standard input: … < FILE',
    );
  }
  return line.bytes();
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What has been typed: bytes in, with the keys that edit a line. */
class SecretLine {
  #bytes: number[] = [];
  /** An escape sequence that is not complete yet. */
  #escape = '';
  #pasting = false;
  #done = false;
  /** Whether anything but white space came after the end. */
  more = false;

  take(chunk: Uint8Array): 'more' | 'done' | 'interrupted' {
    for (const byte of chunk) {
      if (this.#escape !== '') this.#continueEscape(byte);
      else if (byte === 0x1b) this.#escape = '\x1b';
      else if (this.#done) {
        if (byte > 0x20) this.more = true;
      } else if (this.#pasting) this.#bytes.push(byte === 0x0d ? 0x0a : byte);
      else if (byte === 0x03 || byte === 0x1c) return 'interrupted';
      else if (byte === 0x0d || byte === 0x0a || byte === 0x04) this.#done = true;
      else if (byte === 0x7f || byte === 0x08) this.#backspace();
      else if (byte === 0x15) this.#bytes = [];
      else if (byte >= 0x20) this.#push(byte);
    }
    return this.#done ? 'done' : 'more';
  }

  #push(byte: number): void {
    if (this.#bytes.length <= longest) this.#bytes.push(byte);
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  /** Sequences of keys are ignored (CSI: up to a letter or "~"; SS3: one byte more), but for a paste's marks. */
  #continueEscape(byte: number): void {
    this.#escape += String.fromCharCode(byte);
    if (this.#escape === '\x1b[' || this.#escape === '\x1bO') return;
    if (this.#escape.startsWith('\x1b[') && (byte < 0x40 || byte > 0x7e) && this.#escape.length < 32) return;
    if (this.#escape === '\x1b[200~') this.#pasting = true;
    if (this.#escape === '\x1b[201~') this.#pasting = false;
    this.#escape = '';
  }

  #backspace(): void {
    // all bytes of a character, of which the first is no 10xxxxxx
    let last: number | undefined;
    do last = this.#bytes.pop();
    while (last !== undefined && last >= 0x80 && last < 0xc0);
  }
}

function refuse(message: string, hint?: string): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.dataError,
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}
