import { closeSync, mkdirSync, openSync, renameSync, symlinkSync, unlinkSync, writeSync } from 'node:fs';
import type { GeneratedFile, GeneratedLink } from '../unit/plan-units.ts';

/**
 * Writes files below a directory, each to a temporary name (one that systemd ignores) and renamed, so that
 * nobody ever reads half a unit.
 *
 * @throws the file system's error, with the path in it
 */
export function writeFiles(
  directory: string,
  files: readonly GeneratedFile[],
  links: readonly GeneratedLink[],
): void {
  mkdirSync(directory, { recursive: true });
  for (const file of files) {
    const { path, temporary } = place(directory, file.path);
    try {
      writeNew(temporary, file.content);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      unlinkSync(temporary); // left by a run that was killed
      writeNew(temporary, file.content);
    }
    renameSync(temporary, path);
  }
  for (const link of links) {
    const { path, temporary } = place(directory, link.path);
    try {
      symlinkSync(link.target, temporary);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      unlinkSync(temporary);
      symlinkSync(link.target, temporary);
    }
    renameSync(temporary, path);
  }
}

/** The final and the temporary path; makes the one directory that may lie between. */
function place(directory: string, path: string): { path: string; temporary: string } {
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
