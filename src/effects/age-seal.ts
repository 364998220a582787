import { encodeArmor, encryptAge } from './age.ts';
import type { Recipient } from './age-recipients.ts';

/** Encrypts for recipients, of whom there must be one, to an age file (age-encryption.org/v1). */
export async function sealAge(
  plaintext: Uint8Array,
  recipients: readonly Recipient[],
  options: { readonly armored: boolean },
): Promise<Uint8Array> {
  const file = await encryptAge(
    plaintext,
    recipients.map(({ key }) => key),
  );
  return options.armored ? encodeArmor(file) : file;
}
