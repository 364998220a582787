import { closeSync, openSync, readdirSync, renameSync, unlinkSync, writeSync } from 'node:fs';

const newEnvironment = '.new-env';
const newMarker = '.new-marker';

/**
 * Leaves a complete new set of files in a service's directory, or the old one: all are written aside with
 * their final modes, then renamed, the marker last; markers of earlier sets are removed.
 *
 * @param environment the text of `env`; undefined if the service has none
 * @param marker the name of the file that says "complete"
 * @throws the file system's error; the old files are then still there
 */
export function writeSecrets(directory: string, environment: string | undefined, marker: string): void {
  if (environment !== undefined) writeNew(`${directory}/${newEnvironment}`, environment, 0o600);
  writeNew(`${directory}/${newMarker}`, '', 0o600);
  if (environment !== undefined) renameSync(`${directory}/${newEnvironment}`, `${directory}/env`);
  else remove(`${directory}/env`);
  renameSync(`${directory}/${newMarker}`, `${directory}/${marker}`);
  for (const name of readdirSync(directory)) {
    // `.new-…` is what a killed run left
    if (/^\.(?:ok|new)-/.test(name) && name !== marker) remove(`${directory}/${name}`);
  }
}

/** Whether there is a complete set in a service's directory, of whatever unit. */
export function hasMarker(directory: string): boolean {
  try {
    return readdirSync(directory).some((name) => name.startsWith('.ok-'));
  } catch {
    return false;
  }
}

/** Writes a file that did not exist, born with its mode; one left by a killed run is removed first. */
export function writeNew(path: string, content: string | Uint8Array, mode: number): void {
  remove(path);
  const descriptor = openSync(path, 'wx', mode);
  try {
    const bytes = Buffer.from(content);
    for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
  } catch (error) {
    closeSync(descriptor);
    remove(path);
    throw error;
  }
  closeSync(descriptor);
}

/** Removes a file if it is there. */
export function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}
