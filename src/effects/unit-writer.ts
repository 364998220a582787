import { closeSync, mkdirSync, openSync, renameSync, symlinkSync, unlinkSync, writeSync } from 'node:fs';
import type { GeneratedFile } from '../unit/generated-file.ts';
import type { GeneratedLink } from '../unit/plan-units.ts';

/**
 * Writes files below a directory, each to a temporary name (one that systemd ignores) and renamed, so that
 * nobody ever reads half a unit. One that cannot be written does not keep the others from being written.
 *
 * @returns what could not be written, and why
 * @throws the file system's error if the directory cannot be made
 */
export function writeFiles(
  directory: string,
  files: readonly GeneratedFile[],
  links: readonly GeneratedLink[],
): string[] {
  mkdirSync(directory, { recursive: true });
  const failures: string[] = [];
  const attempt = (path: string, make: (temporary: string) => void): void => {
    let place: Place | undefined;
    try {
      place = placeOf(directory, path);
      replace(place, make);
    } catch (error) {
      if (place) tryToRemove(place.temporary);
      failures.push(`cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  for (const { path, content } of files) attempt(path, (temporary) => writeNew(temporary, content));
  for (const { path, target } of links) attempt(path, (temporary) => symlinkSync(target, temporary));
  return failures;
}

function replace({ path, temporary }: Place, make: (temporary: string) => void): void {
  try {
    make(temporary);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    unlinkSync(temporary); // left by a run that was killed
    make(temporary);
  }
  renameSync(temporary, path);
}

function tryToRemove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // it was not even made
  }
}

interface Place {
  readonly path: string;
  readonly temporary: string;
}

/** The final and the temporary path; makes the one directory that may lie between. */
function placeOf(directory: string, path: string): Place {
  const slash = path.lastIndexOf('/');
  const parent = slash < 0 ? directory : `${directory}/${path.slice(0, slash)}`;
  if (slash >= 0) {
    try {
      mkdirSync(parent);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }
  // not derived from the name: names may be as long as the file system allows
  return { path: `${directory}/${path}`, temporary: `${parent}/.unit-secrets.tmp` };
}

function writeNew(path: string, content: string): void {
  const descriptor = openSync(path, 'wx', 0o644);
  try {
    let written = writeSync(descriptor, content);
    // all of it in all but the oddest cases, so bytes to count are made only then
    if (written < Buffer.byteLength(content)) {
      const bytes = Buffer.from(content);
      while (written < bytes.length) written += writeSync(descriptor, bytes, written);
    }
  } finally {
    closeSync(descriptor);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
