import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Priorities of syslog(3). */
export const priority = { error: 3, warning: 4, info: 6 } as const;

/**
 * Logs a line to the kernel's log, the one place that exists when generators run (systemd.generator(7)),
 * and to stderr as well when a person looks on. Never throws: containers often have no /dev/kmsg.
 */
export function logToKernel(level: number, message: string): void {
  const line = `unit-secrets-generator[${process.pid}]: ${message.replaceAll('\n', ' ')}`;
  try {
    // without O_CREAT: where there is no such device, no file may come to be
    const descriptor = openSync('/dev/kmsg', constants.O_WRONLY | constants.O_NOCTTY);
    try {
      // one record holds about 1 KiB (LOG_LINE_MAX)
      writeSync(descriptor, `<${level}>${line.slice(0, 900)}\n`);
    } finally {
      closeSync(descriptor);
    }
  } catch {}
  try {
    if (isatty(2)) writeSync(2, `${line}\n`);
  } catch {}
}
