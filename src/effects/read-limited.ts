import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { sourcePath } from './source-file.ts';

export interface LimitedFile {
  readonly bytes: Uint8Array;
  /** Permissions only, such as 0o600. */
  readonly mode: number;
}

/**
 * Reads a regular file of limited size.
 *
 * @param limit in bytes
 * @throws FailureError; by exit code: 66 missing, 77 not readable, 65 too large or not a file, 74 I/O
 */
export function readLimited(path: string, limit: number): LimitedFile {
  let descriptor: number | undefined;
  try {
    // O_NONBLOCK: the open of a FIFO would wait for a writer
    descriptor = openSync(sourcePath(path), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const status = fstatSync(descriptor);
    if (!status.isFile()) {
      throw dataFailure(
        path,
        status.isDirectory() ? 'this is a directory, not a file' : 'this is not a regular file',
      );
    }
    const buffer = Buffer.alloc(limit + 1);
    let length = 0;
    while (length < buffer.length) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (count === 0) break;
      length += count;
    }
    if (length > limit) throw dataFailure(path, `the file is larger than ${limit / 1024} KiB`);
    return { bytes: buffer.subarray(0, length), mode: status.mode & 0o7777 };
  } catch (error) {
    if (error instanceof FailureError) throw error;
    throw readFailure(path, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function readFailure(path: string, error: unknown): FailureError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const message = isLink(path) ? 'is a symbolic link to something that does not exist' : 'does not exist';
    return permanentFailure(exitCodes.noInput, path, message);
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return permanentFailure(
      exitCodes.noPermission,
      path,
      'cannot be read: permission denied',
      'run as root, or change its owner or mode',
    );
  }
  if (code === 'ELOOP') return dataFailure(path, 'is a loop of symbolic links');
  return new FailureError({
    class: 'transient',
    exitCode: exitCodes.ioError,
    message: `${path}: cannot be read (${code})`,
  });
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

/** Something is damaged, or is something else than it should be. */
export function dataFailure(place: string, message: string, hint?: string): FailureError {
  return permanentFailure(exitCodes.dataError, place, message, hint);
}

/** What was configured cannot work. */
export function configurationFailure(place: string, message: string, hint?: string): FailureError {
  return permanentFailure(exitCodes.configuration, place, message, hint);
}

export function permanentFailure(
  exitCode: ExitCode,
  place: string,
  message: string,
  hint?: string,
): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode,
    message: `${place}: ${message}`,
    ...(hint === undefined ? {} : { hint }),
  });
}
