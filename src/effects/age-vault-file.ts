import { realpathSync } from 'node:fs';
import { type AgeStanza, describeRecipients } from '../domain/age-header.ts';
import { type AgeVault, recipientsMember } from '../domain/age-vault.ts';
import { type AgeVaultEdit, serialiseAgeVault } from '../domain/age-vault-edit.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { type OpenedAgeFile, openAgeFile } from './age-open.ts';
import {
  describeRecipient,
  distinct,
  hostRecipients,
  type Recipient,
  readRecipient,
} from './age-recipients.ts';
import { sealAge } from './age-seal.ts';
import { readAgeVault } from './age-vault-provider.ts';
import { createFile, replaceFile } from './atomic-file.ts';
import { takeFileLock } from './file-lock.ts';
import { permanentFailure } from './read-limited.ts';

/** How long to wait for another who changes the same vault, in milliseconds. */
const lockWait = 10_000;

export interface AgeVaultPlace {
  readonly path: string;
  /** Private keys, in the order in which they are tried; see `openAgeFile`. */
  readonly identities: readonly string[];
}

export interface OpenedAgeVault {
  readonly vault: AgeVault;
  /** Whom it says that it is for; undefined if it does not say. */
  readonly recipients?: readonly string[];
  readonly file: OpenedAgeFile;
}

/** @throws FailureError as `openAgeFile` and `readAgeVault` */
export async function openAgeVault(place: AgeVaultPlace): Promise<OpenedAgeVault> {
  const file = await openAgeFile({ ...place, purpose: 'vault' });
  const { vault, recipients } = readAgeVault(file.plaintext, place.path);
  return { vault, file, ...(recipients === undefined ? {} : { recipients }) };
}

/** Makes an empty vault. */
export async function createAgeVault(
  path: string,
  recipients: readonly Recipient[],
  armored: boolean,
): Promise<void> {
  createFile(path, await seal(new Map(), recipients, armored));
}

/** What came of a change: whether the field was set, and whom the vault is for. */
export interface AgeVaultChange {
  readonly what: (AgeVaultEdit & { readonly ok: true })['what'];
  readonly recipients: readonly Recipient[];
}

/**
 * Changes a vault in place, for all recipients that it had and the additional ones. Nobody else changes it
 * meanwhile with this program, and what anybody else has changed is not overwritten.
 *
 * @throws FailureError as `openAgeVault`, and what `change` refuses; 75 if it is being changed by others, 78 if
 *   it cannot be told for whom it has to be encrypted, 73 if it cannot be written
 */
export function changeAgeVault(
  place: AgeVaultPlace,
  additional: readonly Recipient[],
  change: (vault: AgeVault) => AgeVaultEdit,
  waiting?: Waiting,
): Promise<AgeVaultChange> {
  const work = async (): Promise<AgeVaultChange> => {
    const opened = await openAgeVault(place);
    const recipients = await knownRecipients(place, opened, additional);
    const edit = change(opened.vault);
    if (!edit.ok) throw new FailureError(edit.failure);
    const { what } = edit;
    if (what === 'unchanged' && additional.length === 0) return { what, recipients };
    await rewrite(place, opened, edit.vault, recipients);
    return { what, recipients };
  };
  return whileLocked(place.path, work, waiting);
}

/** Writes a vault anew in the place of the one that was opened, for these recipients and nobody else. */
export async function rewrite(
  { path }: AgeVaultPlace,
  { file }: OpenedAgeVault,
  vault: AgeVault,
  recipients: readonly Recipient[],
): Promise<void> {
  replaceFile(path, await seal(vault, recipients, file.armored), file.bytes);
}

function seal(vault: AgeVault, recipients: readonly Recipient[], armored: boolean): Promise<Uint8Array> {
  const texts = recipients.map(({ text }) => text);
  return sealAge(Buffer.from(serialiseAgeVault(vault, texts), 'utf8'), recipients, { armored });
}

/** Waits for something, and lets somebody know. */
export type Waiting = <T>(wait: () => Promise<T>) => Promise<T>;

/**
 * Runs while the vault is locked against others who use this program.
 *
 * @param waiting around the wait for the lock
 * @throws FailureError; 75 if it stays locked, 73 if it cannot be locked
 */
export async function whileLocked<T>(
  path: string,
  work: () => Promise<T>,
  waiting: Waiting = (wait) => wait(),
): Promise<T> {
  let target: string;
  try {
    target = realpathSync(path);
  } catch {
    // what is wrong with it is for those to say who open it
    return work();
  }
  const take = () => takeFileLock(target, performance.now() + lockWait);
  const release = await waiting(take).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw permanentFailure(
      exitCodes.cannotCreate,
      path,
      `cannot be locked (${code})`,
      'is its directory writable?',
    );
  });
  if (!release) {
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.temporaryFailure,
      message: `${path}: is being changed by somebody else`,
      hint: `they hold ${target}.lock`,
    });
  }
  try {
    return await work();
  } finally {
    await release();
  }
}

/**
 * For whom a vault is, with the additional ones: those that it names itself, else this host's keys as far as
 * they are among its recipients. Its header tells tags only: where the two differ, nothing is guessed.
 *
 * @throws FailureError with 78 where that leaves a doubt, 65 if it names what is no recipient
 */
export async function knownRecipients(
  { path, identities }: AgeVaultPlace,
  opened: OpenedAgeVault,
  additional: readonly Recipient[],
): Promise<Recipient[]> {
  const named = recordedRecipients(path, opened);
  const { stanzas } = opened.file;
  const own = named ?? (await ownRecipients(identities, opened));
  const known = distinct([...own, ...additional]);
  const unknown = unaccounted(stanzas, known);
  if (unknown.length > 0) {
    throw permanentFailure(
      exitCodes.configuration,
      path,
      `is encrypted for ${describeRecipients(unknown)} too, whose public key it does not name`,
      'name it with --recipient, so that it is kept; or leave it out for good with "vault edit"',
    );
  }
  const surplus = withoutStanza(named ?? [], stanzas);
  if (surplus.length > 0) {
    throw permanentFailure(
      exitCodes.configuration,
      path,
      `names ${surplus.map(describeRecipient).join(', ')} in "${recipientsMember}", and is not encrypted for that`,
      'correct the list with "vault edit"',
    );
  }
  return known;
}

/** @throws FailureError with 65 if one is no recipient */
export function recordedRecipients(
  path: string,
  { recipients }: Pick<OpenedAgeVault, 'recipients'>,
): Recipient[] | undefined {
  return recipients?.map((text, index) => readRecipient(text, `${path}: $.${recipientsMember}[${index}]`));
}

async function ownRecipients(identities: readonly string[], { file }: OpenedAgeVault): Promise<Recipient[]> {
  const opener = readRecipient(await file.key.recipient(), 'this host');
  const own = distinct([...(await hostRecipients(identities)), opener]);
  return own.filter(
    (recipient) =>
      recipient.text === opener.text ||
      (recipient.stanza.tag !== undefined && file.stanzas.some((stanza) => isOf(stanza, recipient))),
  );
}

/** Whom an opened vault is for, as far as that can be told, and the stanzas of others. */
export async function presumedRecipients(
  { path, identities }: AgeVaultPlace,
  opened: OpenedAgeVault,
): Promise<{ readonly recipients: Recipient[]; readonly unknown: readonly AgeStanza[] }> {
  const recipients = recordedRecipients(path, opened) ?? (await ownRecipients(identities, opened));
  return { recipients, unknown: unaccounted(opened.file.stanzas, recipients) };
}

/** The stanzas that are for none of these; of native recipients only the number can be told. */
function unaccounted(stanzas: readonly AgeStanza[], recipients: readonly Recipient[]): AgeStanza[] {
  let native = recipients.filter(({ stanza }) => stanza.tag === undefined).length;
  return stanzas.filter((stanza) => {
    if (stanza.type.endsWith('-grease')) return false;
    if (stanza.type === 'X25519') return native-- <= 0;
    return !recipients.some((recipient) => isOf(stanza, recipient));
  });
}

/** The recipients that no stanza is for; where native ones are too many, it may be any of them. */
function withoutStanza(recipients: readonly Recipient[], stanzas: readonly AgeStanza[]): Recipient[] {
  const native = recipients.filter(({ stanza }) => stanza.tag === undefined);
  const tooMany = native.length > stanzas.filter(({ type }) => type === 'X25519').length;
  return recipients.filter((recipient) =>
    recipient.stanza.tag === undefined ? tooMany : !stanzas.some((stanza) => isOf(stanza, recipient)),
  );
}

function isOf(stanza: AgeStanza, { stanza: { type, tag } }: Recipient): boolean {
  return stanza.type === type && (tag === undefined || stanza.args[0] === tag);
}
