import { existsSync } from 'node:fs';
import { looksLikeRecipient, parseRecipientKey, type RecipientKey } from '../domain/age-recipient.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { type AgeRecipient, isNativeRecipient } from './age.ts';
import { sshTag } from './age-ssh.ts';
import { sshRecipient } from './age-ssh-recipient.ts';
import { readIdentities } from './identity-file.ts';
import { log } from './journal-log.ts';
import { configurationFailure, dataFailure, permanentFailure, readLimited } from './read-limited.ts';

const largestFile = 1024 * 1024;

/** Somebody whom files are encrypted for. */
export interface Recipient {
  /** The public key as it is written: `ssh-… AAAA… comment` or `age1…`. */
  readonly text: string;
  readonly key: AgeRecipient;
  /** How its stanzas begin; those of native recipients tell no more than the type. */
  readonly stanza: { readonly type: string; readonly tag?: string };
}

/**
 * Reads one recipient.
 *
 * @param place for messages: where the text is from
 * @throws FailureError with 65
 */
export function readRecipient(text: string, place: string): Recipient {
  const parsed = parseRecipientKey(text);
  if (!parsed.ok) throw dataFailure(place, parsed.message, parsed.hint);
  return toRecipient(parsed.key, place);
}

function toRecipient(key: RecipientKey, place: string): Recipient {
  if (key.kind === 'native') {
    if (!isNativeRecipient(key.text)) throw dataFailure(place, 'the age recipient is damaged');
    return { text: key.text, key: key.text, stanza: { type: 'X25519' } };
  }
  const { publicKey, text } = key;
  const recipient = sshRecipient(publicKey);
  if (!recipient) {
    const hint =
      publicKey.type === 'ssh-rsa'
        ? 'age takes ssh-rsa keys of 2048 bits and more'
        : 'was it copied in full?';
    throw dataFailure(place, `this ${publicKey.type} key cannot be a recipient`, hint);
  }
  return { text, key: recipient, stanza: { type: publicKey.type, tag: sshTag(publicKey.wire) } };
}

/**
 * Reads what a command line names as a recipient: a key, or a file of keys, one a line, with blank lines and
 * "#" comments: as `age -R` takes it, or as authorized_keys. In a file SSH keys of other types are passed over.
 *
 * @throws FailureError; 64 if it is empty, 65 for what is no key, else as `readLimited`
 */
export function readRecipientOption(option: string): Recipient[] {
  if (option.trim() === '') {
    const hint = 'name a public key, or a file of public keys';
    throw permanentFailure(exitCodes.usage, '--recipient', 'the recipient is empty', hint);
  }
  if (looksLikeRecipient(option)) return [readRecipient(option, '--recipient')];
  const text = Buffer.from(readLimited(option, largestFile).bytes).toString('utf8');
  if (/PRIVATE KEY-----|^AGE-/m.test(text)) {
    throw dataFailure(
      option,
      'this is a private key',
      'name the public half, for instance the file with ".pub"',
    );
  }
  const recipients: Recipient[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.trim().startsWith('#')) continue;
    const place = `${option}:${index + 1}`;
    const parsed = parseRecipientKey(line);
    if (parsed.ok) recipients.push(toRecipient(parsed.key, place));
    else if (parsed.otherSshType) log('warning', `${place}: ${parsed.message}; going on without it`);
    else throw dataFailure(place, parsed.message, parsed.hint);
  }
  if (recipients.length === 0) throw dataFailure(option, 'no recipient is in this file');
  return recipients;
}

/**
 * The recipients that stand for this host's keys: the public halves beside them, or derived from them.
 *
 * @param identities files, see `readIdentities`; those that are not there are passed over
 */
export async function hostRecipients(identities: readonly string[]): Promise<Recipient[]> {
  const recipients: Recipient[] = [];
  for (const identity of identities) {
    try {
      recipients.push(...(await recipientsOfIdentity(identity)));
    } catch (error) {
      if (!(error instanceof FailureError)) throw error;
      const { exitCode, message } = error.failure;
      if (exitCode !== exitCodes.noInput) log('warning', `${message}; going on without this key`);
    }
  }
  return recipients;
}

async function recipientsOfIdentity(identity: string): Promise<Recipient[]> {
  const publicHalf = `${identity}.pub`;
  if (existsSync(publicHalf)) return readRecipientOption(publicHalf);
  const keys = await Promise.all(readIdentities(identity).map((key) => key.recipient()));
  return keys.map((text) => readRecipient(text, identity));
}

/** Each recipient once, whatever the comments. */
export function distinct(recipients: readonly Recipient[]): Recipient[] {
  const known = new Map<string, Recipient>();
  for (const recipient of recipients) {
    const id = recipient.text.split(' ').slice(0, 2).join(' ');
    if (!known.has(id)) known.set(id, recipient);
  }
  return [...known.values()];
}

/** As messages name a recipient: type and tag, or the native recipient itself. */
export function describeRecipient({ stanza, text }: Recipient): string {
  return stanza.tag === undefined ? text : `${stanza.type} (tag ${stanza.tag})`;
}

/**
 * @param host whether this host's keys were to be among them
 * @throws FailureError if there is none; with 78, or 64 where the host's keys were not wanted
 */
export function requireRecipients(
  recipients: readonly Recipient[],
  identities: readonly string[],
  host: boolean,
): void {
  if (recipients.length > 0) return;
  if (!host) {
    throw permanentFailure(
      exitCodes.usage,
      '--no-host',
      "without this host's own keys nobody is left to encrypt for",
      'name a public key with --recipient',
    );
  }
  // keys that are there and of no use have been told
  const missing = identities.some((path) => !existsSync(path));
  throw configurationFailure(
    identities[0] ?? 'this host',
    'there is no key to encrypt for',
    `${missing ? '"ssh-keygen -A" makes missing host keys; or ' : ''}name a public key with --recipient`,
  );
}
