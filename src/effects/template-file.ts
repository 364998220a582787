import { readFileSync, statSync } from 'node:fs';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { sourcePath } from './source-file.ts';

/** More than any configuration file that people write, and no danger to the memory that units may have. */
const largestTemplate = 16 * 1024 * 1024;

/**
 * Reads a template: a regular file of UTF-8 text.
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
    const source = sourcePath(path);
    const status = statSync(source);
    // before it is opened: opening a pipe would wait for a writer for ever
    if (!status.isFile()) throw fail(exitCodes.dataError, 'the template is not a regular file');
    if (status.size > largestTemplate) throw fail(exitCodes.dataError, 'the template is larger than 16 MiB');
    bytes = readFileSync(source);
  } catch (error) {
    if (error instanceof FailureError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
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
