import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Sampled {
  /** Seconds. */
  readonly cpu: number;
  /** Sum of PSS over all processes, at its highest, in MB. */
  readonly memory: number;
}

/**
 * Looks every 50 ms at all processes that run a program: the highest sum of their PSS, and the time they took.
 * What a process takes after the last look at it is not seen.
 *
 * @param isOurs of the executable, as /proc/PID/exe shows it
 * @param namespace that of the processes, as /proc/PID/ns/pid shows it; any by default
 */
export function sample(
  isOurs: (executable: string) => boolean,
  namespace?: string,
): { readonly stop: () => Sampled } {
  const ticks = new Map<string, number>();
  let memory = 0;
  const look = (): void => {
    let sum = 0;
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        if (!isOurs(readlinkSync(`/proc/${pid}/exe`))) continue;
        if (namespace !== undefined && readlinkSync(`/proc/${pid}/ns/pid`) !== namespace) continue;
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        ticks.set(pid, Number(fields[11]) + Number(fields[12]));
        sum += Number(/^Pss: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
      } catch {
        // it has ended
      }
    }
    memory = Math.max(memory, sum / 1024);
  };
  const timer = setInterval(look, 50);
  return {
    stop: () => {
      clearInterval(timer);
      const hundredths = [...ticks.values()].reduce((sum, one) => sum + one, 0);
      return { cpu: hundredths / 100, memory };
    },
  };
}
