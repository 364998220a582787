import { readFileSync } from 'node:fs';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { noTokenText, paths } from '../unit/paths.ts';
import { readRegularFile } from './regular-file.ts';
import { sourcePath } from './source-file.ts';

/**
 * The service account token as a fetcher finds it: opened by unit-secrets-token.service, which may have
 * renewed it since the unit was given its credential.
 *
 * @throws FailureError with 75 if there is none: the token unit is started anew with the next retry
 */
export function readOpenedToken(root: string): string {
  const credentials = process.env['CREDENTIALS_DIRECTORY'];
  const places = [
    `${root}${paths.token}`,
    ...(credentials === undefined ? [] : [`${credentials}/1password-token`]),
  ];
  for (const place of places) {
    try {
      const token = readFileSync(place, 'utf8').trim();
      if (token !== '' && token !== noTokenText) return token;
    } catch {
      // the next place, or the message below
    }
  }
  const trouble = readTrouble(root + paths.tokenTrouble);
  throw new FailureError({
    class: 'transient',
    exitCode: exitCodes.temporaryFailure,
    message:
      trouble === undefined
        ? 'the service account token has not been opened'
        : `the service account token could not be opened: ${trouble}`,
    hint:
      trouble === undefined
        ? 'systemctl reload-or-restart unit-secrets-token.service opens it, its status tells why not'
        : 'systemctl status unit-secrets-token.service tells what to do',
  });
}

function readTrouble(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Much more than any token. */
const largestToken = 64 * 1024;

/**
 * Reads a token that another tool has put into a file.
 *
 * @throws FailureError with 66 if the file is missing, 77 if it cannot be read
 */
export function readTokenFile(path: string): string {
  try {
    return readRegularFile(sourcePath(path), largestToken).bytes.toString('utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new FailureError({
        class: 'transient',
        exitCode: exitCodes.noInput,
        message: `the token file ${path} is missing`,
        hint: 'is what puts it there ordered before unit-secrets-token.service?',
      });
    }
    throw new FailureError({
      class: 'transient',
      exitCode: code === 'EACCES' || code === 'EPERM' ? exitCodes.noPermission : exitCodes.ioError,
      message: `the token file ${path} cannot be read${code === '' ? '' : ` (${code})`}`,
    });
  }
}
