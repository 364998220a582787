import { expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { classifyReferenceError, classifySdkMessage } from '../../src/domain/sdk-failure.ts';

// the texts of the SDK, docs/notes/onepassword-sdk.md
const resolving = 'error resolving secret reference: unable to retrieve multiple items: ';
const reqwest =
  'request library compatibility issue, check that the your environment uses compatible versions: reqwest library: error sending request';

test.each([
  ['authentication error: rate limit exceeded', 'rate-limited', exitCodes.temporaryFailure],
  [
    `${resolving}performing an item operation: rate limit exceeded`,
    'rate-limited',
    exitCodes.temporaryFailure,
  ],
  [
    'createClient requires either `auth` (service account token) or `oidcFetcher` (workload identity).',
    'permanent',
    exitCodes.configuration,
  ],
  [
    'invalid user input: encountered the following errors: service account token had invalid format',
    'permanent',
    exitCodes.configuration,
  ],
  [
    'invalid service account token, please make sure you provide a valid service account token as parameter:  service account token base64 decoding failed, please create another token',
    'permanent',
    exitCodes.configuration,
  ],
  ['authentication error: you are not authenticated', 'permanent', exitCodes.noPermission],
  [`${resolving}bad credentials, please retry: failed to authenticate`, 'permanent', exitCodes.noPermission],
  ["you don't have the right permissions to access this resource", 'permanent', exitCodes.noPermission],
  [
    `${resolving}you do not have the right permissions to perform this action: performing a vault operation`,
    'permanent',
    exitCodes.noPermission,
  ],
  [`authentication error: ${reqwest}`, 'transient', exitCodes.temporaryFailure],
  [`${resolving}internal server error`, 'transient', exitCodes.temporaryFailure],
  [
    'authentication error: unexpected status code in response: 503 Service Unavailable',
    'transient',
    exitCodes.temporaryFailure,
  ],
  ['authentication error: request timeout', 'transient', exitCodes.temporaryFailure],
  [`${resolving}Unexpected error when retrieving response contents`, 'transient', exitCodes.temporaryFailure],
  ['authentication error: unexpected status code in response: 418', 'transient', exitCodes.temporaryFailure],
  ['authentication error: bad request', 'transient', exitCodes.temporaryFailure],
  [
    `${resolving}when decrypting request body: Aes(Jweb(BadEncoding(x)))`,
    'transient',
    exitCodes.temporaryFailure,
  ],
  [
    'error resolving secret reference: unlocking vaults when listing vaults: DecryptingSymmetricKey(GcmFailedToDecrypt)',
    'permanent',
    exitCodes.configuration,
  ],
  ['something that nobody has seen yet', 'transient', exitCodes.temporaryFailure],
])('%s: %s', (message, kind, exitCode) => {
  expect(classifySdkMessage(message)).toMatchObject({ class: kind, exitCode });
});

test('a message is told in our words: the SDK’s own may hold anything', () => {
  expect(classifySdkMessage('ops_SECRET: internal server error').message).not.toContain('ops_');
  expect(classifySdkMessage('ops_SECRET').message).not.toContain('ops_');
});

test.each([
  'parsing',
  'vaultNotFound',
  'tooManyVaults',
  'itemNotFound',
  'tooManyItems',
  'noMatchingSections',
  'fieldNotFound',
  'tooManyMatchingFields',
  'incompatibleTOTPQueryParameterField',
  'unableToGenerateTotpCode',
  'incompatibleSshKeyQueryParameterField',
  'unsupportedFileFormat',
])('%s is permanent and names the reference', (type) => {
  const failure = classifyReferenceError('op://v/i/f', type);
  expect(failure).toMatchObject({ class: 'permanent', exitCode: exitCodes.dataError });
  expect(failure.message).toMatch(/^"op:\/\/v\/i\/f": ./);
});

test.each(['other', 'somethingNew', 'constructor', '__proto__'])('%s is worth another try', (type) => {
  expect(classifyReferenceError('op://v/i/f', type)).toEqual({
    class: 'transient',
    exitCode: exitCodes.temporaryFailure,
    message: '"op://v/i/f": 1Password could not resolve it this time',
  });
});

test.each([
  [
    'performing an item operation: rate limit exceeded',
    'rate-limited',
    '1Password limits the rate of requests',
  ],
  [`${resolving}internal server error`, 'transient', '"op://v/i/f": 1Password reports an internal error'],
  [`${resolving}${reqwest}`, 'transient', '1Password could not be reached'],
  [
    `${resolving}you do not have the right permissions to perform this action: performing an item operation`,
    'permanent',
    '"op://v/i/f": the service account may not do this',
  ],
  // said of references by ids after any failure
  [
    'error resolving secret reference: no vault matched the secret reference query',
    'transient',
    '"op://v/i/f": 1Password could not resolve it this time',
  ],
])('a reference of which no reason is given has that of a call for it alone: %s', (text, kind, message) => {
  expect(classifyReferenceError('op://v/i/f', 'other', text)).toMatchObject({ class: kind, message });
});
