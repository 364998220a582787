import { resolveInAgeVault } from '../domain/age-vault.ts';
import {
  type AgeVaultEdit,
  referencesInAgeVault,
  removeFromAgeVault,
  setInAgeVault,
} from '../domain/age-vault-edit.ts';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import {
  describeRecipient,
  distinct,
  hostRecipients,
  readRecipientOption,
  requireRecipients,
} from '../effects/age-recipients.ts';
import {
  type AgeVaultPlace,
  changeAgeVault,
  createAgeVault,
  knownRecipients,
  openAgeVault,
  type Waiting,
} from '../effects/age-vault-file.ts';
import { isThere, makeDirectoryOf, requireWritable } from '../effects/atomic-file.ts';
import { log } from '../effects/journal-log.ts';
import { isFed, readSecret } from '../effects/prompt.ts';
import { permanentFailure } from '../effects/read-limited.ts';
import { writeOut } from '../effects/standard-output.ts';
import { readHostSettings, vaultIdentities } from './host-settings.ts';
import { withProgress } from './progress.ts';
import { toExitCode } from './report-failure.ts';

export interface VaultOptions {
  /** The vault's file; undefined for the one that the manifest names. */
  readonly vault: string | undefined;
  /** Private keys; empty for those that the manifest names. */
  readonly identities: readonly string[];
  readonly root: string;
}

/** Options of what writes a vault. */
export interface VaultWriteOptions extends VaultOptions {
  /** Additional ones: keys, or files of keys. */
  readonly recipients: readonly string[];
}

const defaultPath = '/etc/unit-secrets/vault.age';

/** Where the vault is and what opens it. */
export async function vaultPlace({ vault, identities, root }: VaultOptions): Promise<AgeVaultPlace> {
  const settings = await readHostSettings(root);
  const { provider } = settings;
  return {
    path: vault ?? root + (provider.type === 'age-vault' ? provider.path : defaultPath),
    identities: identities.length > 0 ? identities : vaultIdentities(settings, root),
  };
}

/** `vault init`: makes an empty vault for this host, and others. */
export function vaultInitCommand(
  options: VaultWriteOptions & { readonly host: boolean; readonly armor: boolean },
): Promise<ExitCode> {
  return toExitCode(async () => {
    const { path, identities } = await vaultPlace(options);
    if (isThere(path)) {
      const hint = 'change it with "vault set" or "vault edit"; to begin anew, remove it';
      throw permanentFailure(exitCodes.cannotCreate, path, 'exists already', hint);
    }
    const own = options.host ? await hostRecipients(identities) : [];
    const recipients = distinct([...own, ...options.recipients.flatMap(readRecipientOption)]);
    requireRecipients(recipients, identities, options.host);
    if (options.vault === undefined) makeDirectoryOf(path);
    await createAgeVault(path, recipients, options.armor);
    log('info', `made ${path}`);
    log('info', `it can be opened by ${recipients.map(describeRecipient).join(', ')}`);
    return exitCodes.ok;
  });
}

/** `vault list`: the references of all fields, and nothing of their values. */
export function vaultListCommand(options: VaultOptions & { readonly json: boolean }): Promise<ExitCode> {
  return toExitCode(async () => {
    const references = referencesInAgeVault((await openAgeVault(await vaultPlace(options))).vault);
    const shown = references.map((reference) => `${reference.replace(/\p{Cc}/gu, '�')}\n`).join('');
    writeOut(options.json ? `${JSON.stringify(references)}\n` : shown);
    return exitCodes.ok;
  });
}

/** `vault get`: prints the value of one reference. */
export function vaultGetCommand(
  reference: string,
  options: VaultOptions & { readonly newline: boolean },
): Promise<ExitCode> {
  return toExitCode(async () => {
    const { vault } = await openAgeVault(await vaultPlace(options));
    const resolution = resolveInAgeVault(vault, reference);
    if (!resolution.ok) throw new FailureError(resolution.failure);
    writeOut(options.newline ? `${resolution.value}\n` : resolution.value);
    return exitCodes.ok;
  });
}

/** `vault set`: sets one field, to what is entered without echo or comes on standard input. */
export function vaultSetCommand(reference: string, options: VaultWriteOptions): Promise<ExitCode> {
  return toExitCode(async () => {
    const place = await vaultPlace(options);
    // before anything is asked: the vault opens, can be written again, and the reference can be set
    const opened = await openAgeVault(place);
    requireWritable(place.path);
    accept(setInAgeVault(opened.vault, reference, ''));
    await knownRecipients(place, opened, options.recipients.flatMap(readRecipientOption));
    const value = fieldValue(await readSecret(`value of ${reference}`), isFed());
    await change(reference, options, place, (vault) => setInAgeVault(vault, reference, value));
    return exitCodes.ok;
  });
}

/** `vault rm`: removes one field. */
export function vaultRmCommand(reference: string, options: VaultWriteOptions): Promise<ExitCode> {
  return toExitCode(async () => {
    const place = await vaultPlace(options);
    await change(reference, options, place, (vault) => removeFromAgeVault(vault, reference));
    return exitCodes.ok;
  });
}

/** Somebody else may be changing the vault. */
export function waitingForVault(path: string): Waiting {
  return (wait) => withProgress(`waiting for whoever is changing ${path}`, wait);
}

async function change(
  reference: string,
  options: VaultWriteOptions,
  place: AgeVaultPlace,
  edit: Parameters<typeof changeAgeVault>[2],
): Promise<void> {
  const additional = options.recipients.flatMap(readRecipientOption);
  const { what, recipients } = await changeAgeVault(place, additional, edit, waitingForVault(place.path));
  log('info', what === 'unchanged' ? `${reference} has that value already` : `${what} ${reference}`);
  if (additional.length > 0)
    log('info', `the vault can be opened by ${recipients.map(describeRecipient).join(', ')}`);
}

function accept(edit: AgeVaultEdit): void {
  if (!edit.ok) throw new FailureError(edit.failure);
}

/**
 * The newline that ends a single line is not part of a value; of several lines all is kept, as keys need it.
 *
 * @param fed whether it may be empty: nobody was asked
 */
function fieldValue(text: string, fed: boolean): string {
  const value = /^[^\n]*\r?\n$/.test(text) ? text.replace(/\r?\n$/, '') : text;
  const problem =
    value === '' && !fed
      ? 'nothing was entered'
      : value.includes('\0')
        ? 'the value has a NUL, which no service can take'
        : '';
  if (problem === '') return value;
  throw new FailureError({
    class: 'permanent',
    exitCode: exitCodes.dataError,
    message: `${problem}; nothing was changed`,
  });
}
