import { realpathSync } from 'node:fs';
import { quoteProgram } from '../unit/syntax.ts';
import type { UnitTree } from '../unit/unit-changes.ts';

const generators = [
  '/etc/systemd/system-generators/unit-secrets-generator',
  '/run/systemd/system-generators/unit-secrets-generator',
  '/usr/local/lib/systemd/system-generators/unit-secrets-generator',
  '/usr/lib/systemd/system-generators/unit-secrets-generator',
];

/**
 * The program that the generator's units call: what they call now; else that of an installed generator;
 * else this one. A comparison with another would show nothing but its path.
 */
export function generatorExecutable(loaded: UnitTree): string {
  for (const content of loaded.values()) {
    const [, program] = /^ExecStart=(\/\S+) (?:fetch|token) /m.exec(content) ?? [];
    if (program !== undefined && program === quoteProgram(program)) return program;
  }
  for (const path of generators) {
    try {
      return realpathSync(path);
    } catch {
      // not there
    }
  }
  return process.execPath;
}
