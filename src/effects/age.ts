import {
  armor,
  Decrypter,
  Encrypter,
  type Identity,
  identityToRecipient,
  type Recipient,
} from 'age-encryption';

export { Stanza } from 'age-encryption';

/** Opens a file key, or gives null where no stanza is for it; or the text of a native identity. */
export type AgeIdentity = Identity | string;
/** Wraps a file key; or the text of a native recipient. */
export type AgeRecipient = Recipient | string;

export type Decrypted =
  | {
      readonly ok: true;
      readonly plaintext: Uint8Array;
      /** Which of the identities it was. */
      readonly index: number;
    }
  | {
      readonly ok: false;
      /** `no-match`: no stanza is for any of the identities; else the part that was altered or cut off. */
      readonly reason: 'no-match' | 'header' | 'payload';
    };

/**
 * Decrypts a binary age file. Nothing of it is given out unless all of it is sound.
 *
 * @param identities tried in this order
 */
export async function decryptAge(file: Uint8Array, identities: readonly AgeIdentity[]): Promise<Decrypted> {
  const decrypter = new Decrypter();
  let tried = 0;
  for (const identity of identities) {
    decrypter.addIdentity(identity);
    // the next one is asked only when this one had nothing to say
    decrypter.addIdentity({
      unwrapFileKey: () => {
        tried++;
        return null;
      },
    });
  }
  let fileKey: Uint8Array;
  try {
    fileKey = await decrypter.decryptHeader(file);
  } catch {
    // the library's own messages are not passed on: some of them quote what they were given
    return { ok: false, reason: tried === identities.length ? 'no-match' : 'header' };
  }
  try {
    const payload = new Decrypter();
    payload.addIdentity({ unwrapFileKey: () => fileKey });
    return { ok: true, plaintext: await payload.decrypt(file), index: tried };
  } catch {
    return { ok: false, reason: 'payload' };
  }
}

/**
 * Encrypts to a binary age file.
 *
 * @throws Error if a recipient is not one, or there is none
 */
export async function encryptAge(
  plaintext: Uint8Array,
  recipients: readonly AgeRecipient[],
): Promise<Uint8Array> {
  if (recipients.length === 0) throw new Error('a file for nobody');
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return encrypter.encrypt(plaintext);
}

/** Whether a text is a native identity (`AGE-SECRET-KEY-1…`). */
export function isNativeIdentity(text: string): boolean {
  try {
    new Decrypter().addIdentity(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether a text is a native recipient (`age1…`). */
export function isNativeRecipient(text: string): boolean {
  try {
    new Encrypter().addRecipient(text);
    return true;
  } catch {
    return false;
  }
}

/** The recipient of a native identity. */
export function nativeRecipientOf(identity: string): Promise<string> {
  return identityToRecipient(identity);
}

const armorBegin = '-----BEGIN AGE ENCRYPTED FILE-----';

/** Whether bytes look like an age file in ASCII armor; white space may come first. */
export function isArmored(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, 1024)).toString('latin1').trimStart().startsWith(armorBegin);
}

export function encodeArmor(file: Uint8Array): Uint8Array {
  return Buffer.from(armor.encode(file), 'latin1');
}

/** @throws Error if the armor was altered or cut off */
export function decodeArmor(bytes: Uint8Array): Uint8Array {
  return armor.decode(Buffer.from(bytes).toString('latin1'));
}
