import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withFileLock } from '../container/lock.ts';
import { cacheDirectory } from '../container/rootfs.ts';
import { run } from '../container/run.ts';

const repository = join(import.meta.dirname, '../..');
const build = ['scripts/build.ts', 'scripts/lib', 'package.json', 'package-lock.json'];

/** The path of dist/unit-secrets, built first if it is older than what it is made of. */
export function binary(): Promise<string> {
  return fresh('unit-secrets', ['src', 'generators', ...build], []);
}

/** The path of dist/op-emulator, likewise. */
export function emulatorBinary(): Promise<string> {
  return fresh('op-emulator', ['test/emulator', 'src/effects', ...build], ['--emulator']);
}

async function fresh(name: string, sources: readonly string[], options: readonly string[]): Promise<string> {
  const path = join(repository, 'dist', name);
  mkdirSync(cacheDirectory(), { recursive: true });
  // test files run side by side
  return withFileLock(join(cacheDirectory(), 'build.lock'), async () => {
    const made = existsSync(path) ? statSync(path).mtimeMs : 0;
    if (sources.some((source) => newest(join(repository, source)) >= made)) {
      await run([process.execPath, join(repository, 'scripts/build.ts'), ...options]);
    }
    return path;
  });
}

/** A directory is itself as new as what came or went in it last. */
function newest(path: string): number {
  const found = statSync(path);
  if (!found.isDirectory()) return found.mtimeMs;
  return Math.max(found.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
