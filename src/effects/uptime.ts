import { readFileSync } from 'node:fs';

/**
 * Seconds since the boot, in hundredths, from proc_uptime(5): a clock that never jumps and that all processes
 * share, for what one of them writes and another reads.
 */
export function uptime(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ', 1)[0]);
}
