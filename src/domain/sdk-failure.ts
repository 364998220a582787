import { exitCodes } from './exit-codes.ts';
import type { Failure } from './failure.ts';

/** There is one text for all that can keep it from connecting: names, routes, certificates. */
export const notReached = '1Password could not be reached';

/**
 * Classifies what the 1Password SDK says when a whole call fails: its errors carry a text and nothing else
 * (docs/notes/onepassword-sdk.md). A text that is not known is transient.
 */
export function classifySdkMessage(message: string): Failure {
  if (/rate limit exceeded$/.test(message)) {
    return {
      class: 'rate-limited',
      exitCode: exitCodes.temporaryFailure,
      message: '1Password limits the rate of requests',
    };
  }
  if (
    /invalid service account token|service account token had invalid format|createClient requires|DecryptingSymmetricKey/.test(
      message,
    )
  ) {
    return {
      class: 'permanent',
      exitCode: exitCodes.configuration,
      message: 'the service account token is damaged',
      hint: 'it begins with "ops_" and is one line; seal the token again',
    };
  }
  if (/you are not authenticated$|failed to authenticate$/.test(message)) {
    return {
      class: 'permanent',
      exitCode: exitCodes.noPermission,
      message: '1Password does not accept the service account token',
      hint: 'it may have been revoked or have expired; create a new one and seal it',
    };
  }
  if (/right permissions/.test(message)) {
    return {
      class: 'permanent',
      exitCode: exitCodes.noPermission,
      message: 'the service account may not do this',
      hint: 'give it read access to the vault',
    };
  }
  if (/error sending request$/.test(message)) return transient(notReached);
  if (/internal server error$|unexpected status code in response: 5\d\d/.test(message)) {
    return transient('1Password reports an internal error');
  }
  if (/request timeout$|Unexpected error when retrieving response contents$/.test(message)) {
    return transient('the connection to 1Password broke off');
  }
  const status = /unexpected status code in response: (\d{3})/.exec(message)?.[1];
  if (status !== undefined) return transient(`1Password answers with the status ${status}`);
  if (/bad request$|conflict|resource not found$|vault couldn't be found$/.test(message))
    return transient('1Password refuses a request that is in order at other times');
  if (
    /deserializing HTTP responses|BadEncoding|Aes\(GcmFailedToDecrypt|verifying the server hash/.test(message)
  )
    return {
      ...transient('what answers for 1Password gives no answer of its kind'),
      hint: 'look for a proxy or a sign-in page in between',
    };
  return transient(unexpected);
}

const unexpected = '1Password or its SDK failed in an unexpected way';

/**
 * Whom a failure of a whole call concerns: `all` whatever they ask for, all of one `vault`, or a
 * `reference` among them that spoils it for the others.
 */
export function scopeOf(message: string): 'all' | 'vault' | 'reference' {
  if (/^authentication error|unlocking vaults when listing vaults/.test(message)) return 'all';
  const { class: kind, exitCode } = classifySdkMessage(message);
  if (kind === 'rate-limited' || exitCode === exitCodes.configuration) return 'all';
  if (/error sending request$|you are not authenticated$|failed to authenticate$/.test(message)) return 'all';
  if (kind === 'permanent') return 'vault';
  return vaultTexts.test(message) ? 'vault' : 'reference';
}

const vaultTexts =
  /internal server error$|unexpected status code in response: \d+|request timeout$|conflict|bad request$|Unexpected error when retrieving response contents$|BadEncoding|deserializing HTTP responses/;

/** Classifies why a call for the fields of one item, and nothing else, failed as a whole. */
export function classifyAlone(reference: string, message: string): Failure {
  const name = JSON.stringify(reference);
  if (/item is not in an active state$/.test(message)) {
    return permanent(`${name}: the item is archived`, 'restore it in 1Password, or name another');
  }
  // the SDK says so of vaults and items that are given by ids
  if (/no vault matched|vault couldn't be found/.test(message))
    return permanent(`${name}: ${referenceErrors['vaultNotFound']}`, referenceHints['vaultNotFound']);
  if (/no item matched/.test(message))
    return permanent(`${name}: ${referenceErrors['itemNotFound']}`, referenceHints['itemNotFound']);
  const failure = classifySdkMessage(message);
  return { ...failure, message: `${name}: ${failure.message}` };
}

function permanent(message: string, hint?: string): Failure {
  return {
    class: 'permanent',
    exitCode: exitCodes.dataError,
    message,
    ...(hint === undefined ? {} : { hint }),
  };
}

function transient(message: string): Failure {
  return { class: 'transient', exitCode: exitCodes.temporaryFailure, message };
}

const referenceErrors: Readonly<Record<string, string>> = {
  parsing: 'the secret reference is malformed',
  vaultNotFound: 'no vault of that name or id',
  tooManyVaults: 'more than one vault has that name; use its id',
  itemNotFound: 'no item of that name or id in the vault',
  tooManyItems: 'more than one item has that name; use its id',
  noMatchingSections: 'no section of that name in the item',
  fieldNotFound: 'no field of that name in the item',
  tooManyMatchingFields: 'more than one field has that name; name the section, or use the id',
  incompatibleTOTPQueryParameterField: 'the field is not a one-time password',
  unableToGenerateTotpCode: 'the one-time password has a bad secret',
  incompatibleSshKeyQueryParameterField: 'the field is not a private key',
  unsupportedFileFormat: 'the file is not UTF-8 text',
};

/** What to do, where the text does not say it. */
const referenceHints: Readonly<Record<string, string>> = {
  vaultNotFound: 'correct the reference, or let the service account see the vault',
  itemNotFound: 'correct the reference, or add the item in 1Password',
  noMatchingSections: 'correct the reference, or add the section in 1Password',
  fieldNotFound: 'correct the reference, or add the field in 1Password',
};

/**
 * Classifies the SDK's error for one reference of a batch; `other` and what is not known are transient, unless
 * it is known what the SDK says to a call for such a reference alone.
 *
 * @param message that text
 */
export function classifyReferenceError(reference: string, type: string, message?: string): Failure {
  const name = JSON.stringify(reference);
  const text = Object.hasOwn(referenceErrors, type) ? referenceErrors[type] : undefined;
  if (text !== undefined) return permanent(`${name}: ${text}`, referenceHints[type]);
  const unknown = transient(`${name}: 1Password could not resolve it this time`);
  if (message === undefined) return unknown;
  const failure = classifySdkMessage(message);
  if (failure.class === 'rate-limited' || scopeOf(message) === 'all') return failure;
  // what such a call says of vault and item is misleading at times (docs/notes/onepassword-sdk.md)
  if (failure.message === unexpected) return unknown;
  return { ...failure, message: `${name}: ${failure.message}` };
}
