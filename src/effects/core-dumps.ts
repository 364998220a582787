import { writeFileSync } from 'node:fs';

/**
 * Keeps the memory of this process and of its children out of core dumps (core(5), "coredump_filter"). LimitCORE=0
 * alone does not: the kernel ignores it where a program takes the dumps, and some of those write them to a disk
 * nevertheless. Best effort.
 */
export function keepMemoryOutOfCoreDumps(): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // no /proc, or a kernel without core dumps
  }
}
