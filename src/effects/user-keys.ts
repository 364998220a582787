import { createECDH, createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { exitCodes } from '../domain/exit-codes.ts';
import { type Failure, FailureError } from '../domain/failure.ts';
import type { CurveHalves } from '../domain/ssh-key-pair.ts';
import { remove } from './secret-directory.ts';

/** Much more than any key, or any list of keys that people keep. */
const largestFile = 1024 * 1024;
const isPrivate = 0o600;
const directoryMode = 0o700;

/** A file below ~/.ssh. Contents have one character for each byte (latin1), so that all bytes are kept. */
export interface SshFile {
  readonly name: string;
  /** For a new file; one that was there loses what goes beyond it. */
  readonly mode: 0o600 | 0o644;
  /** What a file that is there may have; a private key has its own mode exactly. */
  readonly widest: 0o600 | 0o644;
  /** Leave it alone, without an error, where it is not a file that we would write. */
  readonly optional?: boolean;
  /** Its new content from its old one; undefined stands for no file. */
  readonly edit: (before: string | undefined) => string | undefined;
}

export interface SshFileChange {
  /** As people write it: `~/.ssh/id_ed25519`. */
  readonly path: string;
  readonly what: 'created' | 'installed' | 'updated' | 'mode corrected' | 'unchanged';
}

/** Whether the halves of a key belong together: the public one is derived anew. */
export function belongTogether({ curve, secret, public: given }: CurveHalves): boolean {
  try {
    if (curve !== 'ed25519') {
      const ecdh = createECDH(curve);
      ecdh.setPrivateKey(secret);
      return ecdh.getPublicKey().equals(given);
    }
    // the DER of RFC 8410, section 7: node:crypto does not take the bytes alone
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), secret]);
    const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
    return key.export({ format: 'der', type: 'spki' }).subarray(-32).equals(given);
  } catch {
    // the library's own messages are not passed on; what it does not take is no half of a key
    return false;
  }
}

/** The fingerprint of a public key as ssh-keygen prints it: `SHA256:…`. */
export function keyFingerprint(wire: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(wire).digest('base64').replaceAll('=', '')}`;
}

/**
 * Reads one of the unit's credentials (systemd.exec(5), "CREDENTIALS").
 *
 * @returns undefined if the unit has no such credential
 * @throws FailureError; by exit code: 66 no directory of credentials, 65 not text, 77 not readable, 74 I/O
 */
export function readCredential(directory: string, id: string): string | undefined {
  const path = `${directory}/${id}`;
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const code = codeOf(error) ?? 'unknown error';
    if (code === 'ENOENT' && exists(directory)) return undefined;
    if (code === 'ENOENT')
      throw failure(exitCodes.noInput, `${directory}: the directory of the credentials does not exist`);
    const denied = code === 'EACCES' || code === 'EPERM';
    const exitCode = denied ? exitCodes.noPermission : exitCodes.ioError;
    throw failure(exitCode, `${path}: the credential cannot be read (${code})`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw failure(exitCodes.dataError, `the credential "${id}" is not text`, 'a key is stored as its text');
  }
}

/**
 * Checks the home directory.
 *
 * @returns whether others than its owner can write to it, which makes sshd ignore the user's keys
 * @throws FailureError; 73 no directory (transient if missing: it may not be mounted yet), 77 somebody else's
 */
export function checkHome(home: string): { readonly writableByOthers: boolean } {
  let status: Stats;
  try {
    // a home that is a link is the administrator's doing, and sshd follows it too
    status = statSync(home);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new FailureError({
        class: 'transient',
        exitCode: exitCodes.cannotCreate,
        message: `${home}: the home directory does not exist (not mounted yet?)`,
      });
    }
    throw fileFailure(home, 'the home directory cannot be reached', error);
  }
  if (!status.isDirectory())
    throw failure(exitCodes.cannotCreate, `${home}: the home directory is not a directory`);
  if (status.uid !== 0) checkOwner(home, status);
  return { writableByOthers: (status.mode & 0o022) !== 0 };
}

/**
 * Brings files below ~/.ssh up to date: all are read and written aside first, then renamed, so that trouble
 * with one of them leaves all as they were. Links and files of other users are refused: sshd would refuse
 * the latter (sshd_config(5), "StrictModes"), and the former lead who knows where.
 *
 * @param home an absolute path that `checkHome` has seen
 * @throws FailureError; by exit code: 73 cannot be created there (a link, no file, read-only), 77 not
 *   permitted or owned by somebody else, 74 I/O (disk full)
 */
export function updateSshFiles(home: string, files: readonly SshFile[]): SshFileChange[] {
  const directory = `${home === '/' ? '' : home}/.ssh`;
  const changes = prepareDirectory(directory);
  const planned = files.map((file) => plan(directory, file)).filter((one) => one !== undefined);
  for (const { temporary } of planned) guard(temporary, 'cannot be removed', () => remove(temporary));
  try {
    for (const { path, temporary, content, mode } of planned) {
      if (content !== undefined) {
        guard(path, 'cannot be written', () => writeAside(temporary, content, mode));
      }
    }
    for (const { path, temporary, content, mode, what } of planned) {
      if (content !== undefined) guard(path, 'cannot be replaced', () => renameSync(temporary, path));
      else if (what === 'mode corrected')
        guard(path, 'its mode cannot be changed', () => chmodSync(path, mode));
    }
  } catch (error) {
    for (const { temporary } of planned) tryTo(() => remove(temporary));
    throw error;
  }
  syncDirectory(directory);
  return [...changes, ...planned.map(({ name, what }) => ({ path: `~/.ssh/${name}`, what }))];
}

interface Planned {
  readonly name: string;
  readonly path: string;
  readonly temporary: string;
  /** To be written; undefined if it is there already. */
  readonly content: string | undefined;
  readonly mode: number;
  readonly what: SshFileChange['what'];
}

/** Makes ~/.ssh, or gives the one that is there its mode. */
function prepareDirectory(path: string): SshFileChange[] {
  const status = guard(path, 'cannot be reached', () => lstatSync(path, { throwIfNoEntry: false }));
  const shown = '~/.ssh';
  if (!status) {
    guard(path, 'cannot be made', () => mkdirSync(path, { mode: directoryMode }));
    // the home's default ACL or setgid bit may have added to it
    guard(path, 'its mode cannot be changed', () => chmodSync(path, directoryMode));
    return [{ path: shown, what: 'created' }];
  }
  if (status.isSymbolicLink()) throw linkFailure(path, 'make it a directory');
  if (!status.isDirectory()) throw failure(exitCodes.cannotCreate, `${path} is not a directory`);
  checkOwner(path, status);
  if ((status.mode & 0o7777) === directoryMode) return [];
  guard(path, 'its mode cannot be changed', () => chmodSync(path, directoryMode));
  return [{ path: shown, what: 'mode corrected' }];
}

/** Decides what is to be done about a file; undefined for nothing, not even a word. */
function plan(directory: string, file: SshFile): Planned | undefined {
  const { name, optional } = file;
  const path = `${directory}/${name}`;
  let there: { readonly content: string; readonly mode: number } | undefined;
  try {
    there = readOwn(path);
  } catch (error) {
    if (optional && error instanceof FailureError) return undefined;
    throw error;
  }
  const wanted = file.edit(there?.content);
  if (wanted === undefined) return undefined;
  const mode = modeFor(file, there?.mode);
  const same = there?.content === wanted;
  const what = !there
    ? 'installed'
    : !same
      ? 'updated'
      : there.mode === mode
        ? 'unchanged'
        : 'mode corrected';
  const temporary = `${directory}/.${name}.unit-secrets-new`;
  return { name, path, temporary, content: same ? undefined : wanted, mode, what };
}

function modeFor({ mode, widest }: SshFile, before: number | undefined): number {
  // a private key has the mode that it should have; stricter modes of other files are somebody's wish
  return before === undefined || widest === isPrivate ? mode : before & widest;
}

/** Reads a regular file of our own. */
function readOwn(path: string): { readonly content: string; readonly mode: number } | undefined {
  let descriptor: number | undefined;
  try {
    // O_NONBLOCK: the open of a FIFO would wait for a writer
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw failure(exitCodes.cannotCreate, `${path} is not a regular file`);
    checkOwner(path, status);
    if (status.size > largestFile) {
      throw failure(exitCodes.cannotCreate, `${path} is larger than ${largestFile / 1024} KiB`);
    }
    return { content: readFileSync(descriptor, 'latin1'), mode: status.mode & 0o7777 };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (codeOf(error) === 'ELOOP') throw linkFailure(path, 'make it a file');
    throw error instanceof FailureError ? error : fileFailure(path, 'cannot be read', error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Writes a file that does not exist, born with its mode. */
function writeAside(path: string, content: string, mode: number): void {
  const descriptor = openSync(path, 'wx', mode);
  try {
    // the unit's umask takes from 0644; nothing is in it yet
    fchmodSync(descriptor, mode);
    writeFileSync(descriptor, content, 'latin1');
    // a rename may reach the disk before the content: after a power cut, keys would be gone
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Best effort: some file systems cannot do that for directories, and all is in place. */
function syncDirectory(path: string): void {
  tryTo(() => {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  });
}

/** @throws FailureError for a file that is not ours */
function checkOwner(path: string, { uid }: Stats): void {
  const own = process.geteuid?.();
  if (uid === own) return;
  throw failure(
    exitCodes.noPermission,
    `${path} is owned by the user ${uid}, not by the user ${own} that this runs as`,
    'sshd ignores keys of other owners: change the owner',
  );
}

function linkFailure(path: string, remedy: string): FailureError {
  return failure(
    exitCodes.cannotCreate,
    `${path} is a symbolic link: keys are not written through one`,
    `remove the link, or ${remedy}`,
  );
}

/** Turns the file system's errors into failures. */
function guard<T>(path: string, what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fileFailure(path, what, error);
  }
}

function fileFailure(path: string, what: string, error: unknown): FailureError {
  const code = codeOf(error);
  if (code === undefined) throw error;
  const message = `${path}: ${what} (${code})`;
  if (code === 'EACCES' || code === 'EPERM') {
    return failure(
      exitCodes.noPermission,
      message,
      'it must belong to the user, and be visible: ProtectHome=no in the unit',
    );
  }
  if (code === 'EROFS') {
    return failure(
      exitCodes.cannotCreate,
      message,
      'the file system is read-only, or ProtectSystem= of the unit makes it so',
    );
  }
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EIO';
  return new FailureError({
    class: 'transient',
    exitCode: full ? exitCodes.ioError : exitCodes.cannotCreate,
    message,
  });
}

function failure(exitCode: Failure['exitCode'], message: string, hint?: string): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode,
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function tryTo(work: () => void): void {
  try {
    work();
  } catch {
    // what matters has been done or reported
  }
}
