import { editAuthorizedKeys } from '../domain/authorized-keys.ts';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { type Failure, FailureError } from '../domain/failure.ts';
import { quoteName } from '../domain/problem.ts';
import { keyFileNameError } from '../domain/ssh-key-file.ts';
import {
  formatPublicKey,
  keyFileName,
  type Parsed,
  type PrivateKey,
  type PublicKey,
  parsePrivateKey,
  parsePublicKey,
  samePublicKey,
} from '../domain/ssh-key-pair.ts';
import { log } from '../effects/journal-log.ts';
import {
  belongTogether,
  checkHome,
  keyFingerprint,
  readCredential,
  type SshFile,
  updateSshFiles,
} from '../effects/user-keys.ts';
import { toExitCode } from './report-failure.ts';

/** The keys of a user, checked. */
interface UserKeys {
  readonly privateKey: PrivateKey | undefined;
  readonly publicKey: PublicKey;
}

/**
 * `install-keys U`, as ssh-key-setup@U.service calls it, running as U: puts the keys that it has as
 * credentials (`private-key`, `public-key`) below ~/.ssh.
 *
 * The private key comes with the public one, which may be left out; a public key alone is for `authorize`.
 * With `authorize` the public key stands in a block of authorized_keys, without it that block is removed.
 * Keys that cannot be used leave everything as it was.
 *
 * @param options `file` names the private key below ~/.ssh; by default its type does, as for ssh
 * @returns 64 a wrong name, 65 a key that cannot be used, 66 a missing one, 73 cannot create, 74 I/O, 77 not
 *   permitted, 78 the unit does not run as U with a home
 */
export function installKeysCommand(options: {
  readonly user: string;
  readonly authorize: boolean;
  readonly file?: string | undefined;
}): Promise<ExitCode> {
  return toExitCode(() => {
    const { user, authorize, file } = options;
    const nameError = file === undefined ? undefined : keyFileNameError(file);
    if (nameError !== undefined) throw failure(exitCodes.usage, `${quoteName(file ?? '')}: ${nameError}`);
    // as root, links in the home of U would lead anywhere
    if (process.geteuid?.() === 0 && user !== 'root') {
      throw failure(exitCodes.configuration, `this must run as ${quoteName(user)}, not as root`, 'set User=');
    }
    const keys = readKeys(user, authorize);
    const home = homeOf(user);
    const { writableByOthers } = checkHome(home);
    let damaged = false;
    const authorizedKeys = authorizedKeysFile(authorize ? keys.publicKey : undefined, () => {
      damaged = true;
    });
    const changes = updateSshFiles(home, [...keyFiles(keys, file), authorizedKeys]);

    const fingerprint = keyFingerprint(keys.publicKey.wire);
    for (const { what, path } of changes) {
      if (what !== 'unchanged') log('info', `${what} ${path}`);
    }
    const unchanged = changes.filter(({ what }) => what === 'unchanged').map(({ path }) => path);
    if (unchanged.length > 0) log('info', `unchanged ${unchanged.join(', ')}`);
    log('info', `the key of ${quoteName(user)} is ${keys.publicKey.type} ${fingerprint}`);
    if (damaged) {
      log(
        'warning',
        'the markers of the block in ~/.ssh/authorized_keys were not as written: every line that is not known to be ours was kept; look whether each of them should be there',
      );
    }
    if (authorize && writableByOthers) {
      log(
        'warning',
        `${home} can be written by others than ${quoteName(user)}: sshd ignores the keys in it (chmod go-w ${home}, or StrictModes in sshd_config(5))`,
      );
    }
    return exitCodes.ok;
  });
}

/** Reads and checks the credentials. */
function readKeys(user: string, authorize: boolean): UserKeys {
  const directory = process.env['CREDENTIALS_DIRECTORY'];
  if (directory === undefined || directory === '') {
    throw failure(
      exitCodes.noInput,
      'there are no credentials: CREDENTIALS_DIRECTORY is not set',
      'this command is for ssh-key-setup@.service, which has LoadCredential=',
    );
  }
  const privateText = readCredential(directory, 'private-key');
  const publicText = readCredential(directory, 'public-key');
  const what = (half: string): string => `the ${half} key for ${quoteName(user)}`;
  const privateKey =
    privateText === undefined ? undefined : accept(what('private'), parsePrivateKey(privateText));
  const publicKey = publicText === undefined ? undefined : accept(what('public'), parsePublicKey(publicText));
  if (!privateKey) {
    if (publicKey && authorize) return { privateKey, publicKey };
    throw failure(
      exitCodes.noInput,
      publicKey
        ? `${what('private')} is missing, and the public one is not to be authorized`
        : `${what('private')} is missing, and so is the public one`,
      'the credentials are "private-key" and "public-key"',
    );
  }
  if (privateKey.halves && !belongTogether(privateKey.halves)) {
    throw unusable(`${what('private')} is damaged: its halves do not belong together`);
  }
  if (publicKey && !samePublicKey(publicKey, privateKey.publicKey)) {
    const [own, other] = [privateKey.publicKey, publicKey].map(
      ({ type, wire }) => `${type} ${keyFingerprint(wire)}`,
    );
    throw unusable(
      `${what('public')} does not belong to the private key: it is ${other}, the private key is ${own}`,
      'take both from the same item',
    );
  }
  return { privateKey, publicKey: publicKey ?? privateKey.publicKey };
}

function accept<T>(what: string, parsed: Parsed<T>): T {
  if (parsed.ok) return parsed.key;
  throw unusable(`${what} ${parsed.message}`, parsed.hint);
}

function unusable(message: string, hint?: string): FailureError {
  return failure(exitCodes.dataError, `${message}; nothing was changed`, hint);
}

function homeOf(user: string): string {
  // set by systemd with User=; asking NSS is not reliable in the compiled program
  const home = process.env['HOME'] ?? '';
  if (home.startsWith('/')) return home.replace(/(?<=.)\/+$/, '');
  throw failure(
    exitCodes.configuration,
    `the home directory of ${quoteName(user)} is not known: HOME is ${home === '' ? 'not set' : 'not an absolute path'}`,
    'systemd sets it with User=, from the user database',
  );
}

function keyFiles({ privateKey, publicKey }: UserKeys, file: string | undefined): SshFile[] {
  // without a private key the file with this name would describe another one
  if (!privateKey) return [];
  const name = file ?? keyFileName(publicKey.type);
  return [
    { name, mode: 0o600, widest: 0o600, edit: () => privateKey.text },
    {
      name: `${name}.pub`,
      mode: 0o644,
      widest: 0o644,
      edit: () => oneCharacterPerByte(`${formatPublicKey(publicKey)}\n`),
    },
  ];
}

/** @param publicKey undefined for none: a file without a block of ours is then left alone */
function authorizedKeysFile(publicKey: PublicKey | undefined, onDamage: () => void): SshFile {
  const key = publicKey && {
    line: oneCharacterPerByte(formatPublicKey(publicKey)),
    fingerprint: keyFingerprint(publicKey.wire),
  };
  return {
    name: 'authorized_keys',
    mode: 0o600,
    widest: 0o644,
    optional: !key,
    edit: (before = '') => {
      const { text, damaged } = editAuthorizedKeys(before, key, (base64) =>
        keyFingerprint(Buffer.from(base64, 'base64')),
      );
      if (damaged) onDamage();
      return !key && text === before ? undefined : text;
    },
  };
}

function oneCharacterPerByte(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function failure(exitCode: Failure['exitCode'], message: string, hint?: string): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode,
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}
