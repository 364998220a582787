import { type AgeStanza, describeRecipients, parseAgeHeader } from '../domain/age-header.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { type Failure, FailureError } from '../domain/failure.ts';
import { decodeArmor, decryptAge, isArmored } from './age.ts';
import { describeKey, type HostKey, readIdentities } from './identity-file.ts';
import { configurationFailure, dataFailure, permanentFailure, readLimited } from './read-limited.ts';

/** Half a second per MiB without JIT, in units that take ten: much more than tokens and vaults need. */
const largestFile = 4 * 1024 * 1024;

/** What to do next depends on what the file is. */
const purposes = {
  token: {
    missing: '"unit-secrets token seal" makes it',
    foreign: () =>
      'was the host key made anew? seal the token for this host: unit-secrets token seal --force',
  },
  vault: {
    missing: 'restore it, from git for instance; "unit-secrets vault init" makes a new one',
    foreign: (recipient: string) =>
      `was the host key made anew? where the vault opens: unit-secrets vault edit --recipient "${recipient}"`,
  },
} as const;

const noneFit =
  'no key here is one that age encrypts for, such as ssh-rsa of less than 2048 bits: make another, "ssh-keygen -A" for a host';

const restoreHint = 'restore it, from git for instance';

export interface OpenedAgeFile {
  readonly plaintext: Uint8Array;
  /** The file as it was read. */
  readonly bytes: Uint8Array;
  readonly armored: boolean;
  /** Whom the file is for. */
  readonly stanzas: readonly AgeStanza[];
  /** The key that opened it. */
  readonly key: HostKey;
}

/**
 * Opens an age file (age-encryption.org/v1, binary or armored) with keys of this host.
 *
 * @param path the file, at most 4 MiB
 * @param purpose what the file is, for hints
 * @param identities files in the order in which they are tried, see `readIdentities`; one that is missing or
 *   unusable is passed over if another opens the file
 * @throws FailureError; by exit code:
 *   - 66: the file is missing (permanent), or the keys are (transient: they may not be mounted yet)
 *   - 77: the file or the keys are not readable; or this host is not a recipient of the file
 *   - 65: the file or a key is damaged, or is something else
 *   - 78: a key that cannot be used: encrypted, of another type
 *   - 74: an I/O error (transient)
 */
export async function openAgeFile(options: {
  readonly path: string;
  readonly identities: readonly string[];
  readonly purpose: keyof typeof purposes;
}): Promise<OpenedAgeFile> {
  const { path, identities } = options;
  const hints = purposes[options.purpose];
  const bytes = readAgeFile(path, hints.missing);
  const armored = isArmored(bytes);
  const file = armored ? dearmor(path, bytes) : bytes;
  const header = parseAgeHeader(file);
  if (!header.ok) throw dataFailure(path, header.message, header.hint);

  const failures: Failure[] = [];
  const keys: HostKey[] = [];
  for (const identity of identities) {
    try {
      keys.push(...readIdentities(identity));
    } catch (error) {
      if (!(error instanceof FailureError)) throw error;
      failures.push(error.failure);
    }
  }
  if (keys.length === 0) throw withoutKeys(path, failures);

  const result = await decryptAge(
    file,
    keys.map(({ identity }) => identity),
  );
  if (result.ok) {
    const key = keys[result.index];
    if (!key) throw new Error('opened with a key that was not given');
    return { plaintext: result.plaintext, bytes, armored, stanzas: header.stanzas, key };
  }
  if (result.reason === 'no-match') {
    const { message, recipient } = await notRecipient(header.stanzas, keys, failures);
    const hint = recipient === undefined ? noneFit : hints.foreign(recipient);
    throw permanentFailure(exitCodes.noPermission, path, message, hint);
  }
  throw dataFailure(path, `the file is damaged: its ${result.reason} was altered or cut off`, restoreHint);
}

function readAgeFile(path: string, hint: string): Uint8Array {
  try {
    return readLimited(path, largestFile).bytes;
  } catch (error) {
    if (!(error instanceof FailureError) || error.failure.exitCode !== exitCodes.noInput) throw error;
    throw new FailureError({ ...error.failure, hint });
  }
}

function dearmor(path: string, bytes: Uint8Array): Uint8Array {
  try {
    return decodeArmor(bytes);
  } catch {
    throw dataFailure(path, 'the file is damaged: its armor was altered or cut off', restoreHint);
  }
}

/** No key could be used at all: the first one's trouble decides, the others are mentioned. */
function withoutKeys(path: string, [first, ...others]: readonly Failure[]): FailureError {
  if (!first) return configurationFailure(path, 'no key was named to open it with');
  const message = [first, ...others].map((failure) => failure.message).join('; ');
  return new FailureError({ ...first, message: `${path} cannot be opened: ${message}` });
}

async function notRecipient(
  stanzas: readonly AgeStanza[],
  keys: readonly HostKey[],
  failures: readonly Failure[],
): Promise<{ readonly message: string; readonly recipient: string | undefined }> {
  const own = await Promise.all(keys.map(async (key) => describeKey(await key.about())));
  const notes = failures.map((failure) => `; ${failure.message}`).join('');
  return {
    message: `this host is not a recipient: the file is for ${describeRecipients(stanzas)}; here ${own.join(', ')}${notes}`,
    recipient: await firstRecipient(keys),
  };
}

/** The first of these keys that can be encrypted for, as a public key; undefined if there is none. */
async function firstRecipient(keys: readonly HostKey[]): Promise<string | undefined> {
  // nothing that opens a file needs it
  const { readRecipient } = await import('./age-recipients.ts');
  for (const key of keys) {
    try {
      return readRecipient(await key.recipient(), 'this host').text;
    } catch (error) {
      if (!(error instanceof FailureError)) throw error;
    }
  }
  return undefined;
}
