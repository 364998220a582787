import { existsSync } from 'node:fs';

/** No clock that is right can say so: this program was not there yet. */
const earliest = Date.UTC(2026, 10, 1);

/**
 * Whether the wall clock can be wrong because nothing has set it yet: systemd-timesyncd(8) runs and has not
 * made `/run/systemd/timesync/synchronized`, or the time is before this program was written. Where another
 * program keeps the time, time-set.target and the second test must do: adjtimex(2) is closed to us by
 * `ProtectClock=`.
 */
export function isClockInDoubt(root: string, now: number = Date.now()): boolean {
  if (now < earliest) return true;
  const directory = `${root}/run/systemd/timesync`;
  return existsSync(directory) && !existsSync(`${directory}/synchronized`);
}
