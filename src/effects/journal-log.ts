import { fstatSync } from 'node:fs';
import { sendDatagram } from './datagram.ts';
import { writeErr } from './standard-error.ts';

const priorities = { error: 3, warning: 4, info: 6 } as const;
const journalSocket = '/run/systemd/journal/socket';

/** Fields of a journal entry beside its message: names in capitals, never a secret. */
export type Fields = Readonly<Record<string, string>>;

let makeRoom: (() => void) | undefined;

/** Has something done before each line that goes to standard error: for who has drawn there what must go first. */
export function beforeLog(work: (() => void) | undefined): void {
  makeRoom = work;
}

/**
 * Writes lines to stderr; below systemd each with its priority in front (sd-daemon(3), systemd.exec(5)
 * "SyslogLevelPrefix="), for people without. Control characters would turn a journal entry into a blob.
 *
 * With fields, and where stderr is the journal, an entry goes to the journal itself instead
 * (systemd.io/JOURNAL_NATIVE_PROTOCOL).
 */
export function log(level: keyof typeof priorities, message: string, fields: Fields = {}): void {
  const terminal = process.env['JOURNAL_STREAM'] === undefined || isDevice();
  const lines = message.split('\n').map(printable);
  if (!terminal && Object.keys(fields).length > 0) {
    const unsent = lines.filter(
      (line) => !sendDatagram(journalSocket, entry(priorities[level], line, fields)),
    );
    if (unsent.length === 0) return;
  }
  makeRoom?.();
  const prefix = terminal ? '' : `<${priorities[level]}>`;
  writeErr(lines.map((line) => `${prefix}${line}\n`).join(''));
}

/** Whether stderr is a terminal, or another device; node:tty would take 1 MB of each of the many fetchers at boot. */
export function isDevice(): boolean {
  try {
    return fstatSync(2).isCharacterDevice();
  } catch {
    return false;
  }
}

function entry(priority: number, message: string, fields: Fields): Uint8Array {
  const all = { MESSAGE: message, PRIORITY: String(priority), SYSLOG_IDENTIFIER: 'unit-secrets', ...fields };
  const lines = Object.entries(all).map(([name, value]) => `${name}=${printable(value)}\n`);
  return Buffer.from(lines.join(''));
}

function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
  return text.replace(/[\0-\x1f\x7f]/g, '�');
}
