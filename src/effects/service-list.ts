import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import { log } from './journal-log.ts';
import { writeNew } from './secret-directory.ts';

/**
 * The names of services, a line each, on disk: a boot at which the manifest cannot be read keeps them down.
 * Without the list fewer are, so what fails here fails nothing else.
 *
 * @param services units with their suffix
 */
export function noteServices(path: string, services: readonly string[]): void {
  try {
    mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true, mode: 0o755 });
    writeNew(`${path}.new`, services.map((name) => `${name}\n`).join(''), 0o644);
    renameSync(`${path}.new`, path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    log('warning', `cannot note the names of services in ${path}${code}; going on without`);
  }
}

/** Adds services that came into the manifest after the list was written. */
export function addServices(path: string, services: readonly string[]): void {
  const listed = readList(path);
  const added = services.filter((service) => !listed.includes(service));
  if (added.length > 0) noteServices(path, [...listed, ...added]);
}

function readList(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}
