import { closeSync, constants, openSync, writeSync } from 'node:fs';

/** Priorities of syslog(3). */
export const priority = { error: 3, warning: 4, info: 6 } as const;

/** A record holds less than 1 KiB (LOG_LINE_MAX); the kernel refuses a longer one as a whole. */
const longestRecord = 900;

/** A line as /dev/kmsg takes it, cut off where it is too long. */
export function kernelRecord(level: number, line: string): Uint8Array {
  const bytes = Buffer.from(`<${level}>${line}`);
  let end = Math.min(bytes.length, longestRecord);
  // not within a character: 10xxxxxx continues one
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return Buffer.concat([bytes.subarray(0, end), Buffer.from('\n')]);
}

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
      writeSync(descriptor, kernelRecord(level, line));
    } finally {
      closeSync(descriptor);
    }
  } catch {}
  try {
    // not imported: it takes 2 ms to load, which only a run with something to say should pay
    if (process.getBuiltinModule('node:tty').isatty(2)) writeSync(2, `${line}\n`);
  } catch {}
}
