import { randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { permanentFailure } from './read-limited.ts';

/** Encrypted or not, nobody else needs to read them. */
const newMode = 0o600;

/** Whether there is anything of that name, a dangling link too. */
export function isThere(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes the directory of a file, 0755, if it is not there.
 *
 * @throws FailureError with 73
 */
export function makeDirectoryOf(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  } catch (error) {
    throw writeFailure(path, error);
  }
}

/**
 * Tells early that a file cannot be written: before a person is asked for its content.
 *
 * @throws FailureError with 73
 */
export function requireWritable(path: string): void {
  const target = isThere(path) ? targetOf(path) : path;
  try {
    accessSync(dirname(target), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw writeFailure(path, error);
  }
}

/**
 * Writes a new file, all or nothing, on the disk when it returns; with the mode 0600.
 *
 * @throws FailureError with 73 if there is one of that name, or it cannot be written
 */
export function createFile(path: string, bytes: Uint8Array): void {
  withTemporary(path, bytes, undefined, (temporary) => {
    try {
      // unlike a rename, this fails if there is one
      linkSync(temporary, path);
      unlinkSync(temporary);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EEXIST') throw permanentFailure(exitCodes.cannotCreate, path, 'exists already');
      // a file system without hard links
      if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error;
      renameSync(temporary, path);
    }
  });
}

/**
 * Replaces a file, all or nothing; owner and mode stay. Through a symbolic link, what it points to is replaced.
 *
 * @param expected what is there; it is not overwritten if it is something else by now
 * @throws FailureError; 75 if the file was changed meanwhile, 73 if it cannot be written
 */
export function replaceFile(path: string, bytes: Uint8Array, expected?: Uint8Array): void {
  const target = targetOf(path);
  withTemporary(target, bytes, statSync(target), (temporary) => {
    if (expected !== undefined && !readFileSync(target).equals(expected)) {
      throw new FailureError({
        class: 'transient',
        exitCode: exitCodes.temporaryFailure,
        message: `${path}: the file was changed by somebody else meanwhile; it is left as it is now`,
        hint: 'do it again, on what is there now',
      });
    }
    renameSync(temporary, target);
  });
}

function targetOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    throw permanentFailure(
      exitCodes.cannotCreate,
      path,
      'is a symbolic link to something that does not exist',
    );
  }
}

function withTemporary(
  path: string,
  bytes: Uint8Array,
  like: { readonly mode: number; readonly uid: number; readonly gid: number } | undefined,
  install: (temporary: string) => void,
): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.new`);
  try {
    const descriptor = openSync(temporary, 'wx', newMode);
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
      if (like && process.geteuid?.() === 0) fchownSync(descriptor, like.uid, like.gid);
      // no setuid: what is to be replaced may be in somebody else's directory, and not be what it was
      if (like) fchmodSync(descriptor, like.mode & 0o777);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    install(temporary);
    syncDirectory(dirname(path));
  } catch (error) {
    try {
      unlinkSync(temporary);
    } catch {
      // it was never made, or has its final name
    }
    if (error instanceof FailureError) throw error;
    throw writeFailure(path, error);
  }
}

function writeFailure(path: string, error: unknown): FailureError {
  const code = codeOf(error);
  return permanentFailure(
    code === 'EIO' || code === 'ENOSPC' ? exitCodes.ioError : exitCodes.cannotCreate,
    path,
    `cannot be written (${code})`,
    code === 'ENOENT' ? `does ${dirname(path)} exist?` : undefined,
  );
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } catch {
    // not every file system can; the rename itself is done
  } finally {
    closeSync(descriptor);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
