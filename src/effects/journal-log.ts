import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';

const prefixes = { error: '<3>', warning: '<4>', info: '<6>' } as const;

/**
 * Writes lines to stderr; below systemd each with its priority in front (sd-daemon(3), systemd.exec(5)
 * "SyslogLevelPrefix="), for people without. Control characters would turn a journal entry into a blob.
 */
export function log(level: keyof typeof prefixes, message: string): void {
  const prefix = isatty(2) || process.env['JOURNAL_STREAM'] === undefined ? '' : prefixes[level];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
  const lines = message.split('\n').map((line) => `${prefix}${line.replace(/[\0-\x1f\x7f]/g, '�')}\n`);
  try {
    writeSync(2, lines.join(''));
  } catch {
    // a log that nobody takes any more is no reason to fail
  }
}
