import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { notRegular, readRegularFile } from './regular-file.ts';
import { isRootsAlone } from './roots-alone.ts';
import { sourcePath } from './source-file.ts';

/** More than any configuration file that people write, and no danger to the memory that units may have. */
const largestTemplate = 16 * 1024 * 1024;

/**
 * Reads a template: a regular file of UTF-8 text.
 *
 * One that only root may read is taken only from where nobody else can put something: who owns a directory of
 * templates could have any file of root's rendered by a link to it.
 *
 * @throws FailureError with 66 if it is missing, 77 if it may not be read, 65 if it is something else, 74 for
 *   an I/O error (transient)
 */
export function readTemplateFile(path: string): string {
  const fail = (exitCode: FailureError['failure']['exitCode'], message: string, hint?: string) =>
    new FailureError({
      class: exitCode === exitCodes.ioError ? 'transient' : 'permanent',
      exitCode,
      message: `${path}: ${message}`,
      ...(hint === undefined ? {} : { hint }),
    });
  let bytes: Uint8Array;
  try {
    const file = readRegularFile(sourcePath(path), largestTemplate);
    if (file.status.uid === 0 && (file.status.mode & 0o004) === 0 && !isRootsAlone(path)) {
      throw fail(
        exitCodes.noPermission,
        'only root may read this file, and others can change what is at its path: they might have put a link there',
        'make the template readable for all, or keep it where only root can write',
      );
    }
    bytes = file.bytes;
  } catch (error) {
    if (error instanceof FailureError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    // ENXIO: a socket came into its place
    if (code === notRegular || code === 'EISDIR' || code === 'ENXIO')
      throw fail(exitCodes.dataError, 'the template is not a regular file');
    if (code === 'EFBIG') throw fail(exitCodes.dataError, 'the template is larger than 16 MiB');
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw fail(exitCodes.noInput, 'the template does not exist', 'the manifest names it under "configs"');
    }
    if (code === 'EACCES' || code === 'EPERM')
      throw fail(exitCodes.noPermission, 'the template cannot be read: permission denied');
    throw fail(exitCodes.ioError, `the template cannot be read (${code})`);
  }
  try {
    // a byte order mark is part of the text, and stays
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fail(exitCodes.dataError, 'the template is not valid UTF-8');
  }
}
