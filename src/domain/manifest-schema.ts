/**
 * The JSON Schema (2020-12) of the manifest. It accepts what `manifest.ts` accepts, as far as a schema can
 * tell: that two names are the same unit or one that is generated for the other, that a member is given
 * twice, how many bytes a value has and how many seconds a duration, only the program checks.
 */
const part = ' *[A-Za-z0-9._-][A-Za-z0-9 ._-]*';
const reference = `op://${part}(?:/${part}){2,3}(?:\\?(?:attribute=otp|attribute=totp|ssh-format=openssh))?`;
/** NUL, lone surrogates and noncharacters: systemd refuses a whole environment file for one of them. */
const unfit = '\\u0000\\p{Surrogate}\\p{Noncharacter_Code_Point}';
const literal = '\\{\\{\\s*"\\{\\{"\\s*\\}\\}';
const embedded = `\\{\\{\\s*${reference}\\s*\\}\\}`;
const unit = '(?:us|usec|µs|μs|ms|msec|s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?)';

const path = (description: string) => ({
  description,
  type: 'string',
  pattern: '^(?:/(?!\\.\\.(?:/|$))[^/\\u0000-\\u001f\\u007f]*)+$',
});

const duration = (description: string, fallback: string) => ({
  description: `${description} A time span as systemd writes them (systemd.time(7)), from 1s to 52 weeks.`,
  type: 'string',
  maxLength: 100,
  // each text can be matched in one way only: a wrong one must not keep an editor busy
  pattern: `^\\s*(?:\\d+(?:\\.\\d+)?(?![\\d.])\\s*(?:${unit}\\s*)?)+$`,
  default: fallback,
  examples: [fallback, '1h 30min'],
});

const identity = {
  description:
    'The private keys to try, in this order: OpenSSH host keys or age identities. One path, or a list of them.',
  anyOf: [{ $ref: '#/$defs/path' }, { type: 'array', minItems: 1, items: { $ref: '#/$defs/path' } }],
  default: ['/etc/ssh/ssh_host_ed25519_key', '/etc/ssh/ssh_host_rsa_key'],
};

export const manifestSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'unit-secrets manifest',
  description: 'Which systemd services get which secrets: /etc/unit-secrets/manifest.json.',
  type: 'object',
  required: ['version'],
  additionalProperties: false,
  properties: {
    $schema: {
      description: 'Where this schema is, for editors.',
      type: 'string',
      examples: ['/usr/share/unit-secrets/manifest.schema.json'],
    },
    version: { description: 'The version of the format.', const: 1 },
    provider: {
      description: 'Where the secrets are kept.',
      default: { type: '1password' },
      oneOf: [
        {
          description: 'In 1Password, read with a service account token.',
          type: 'object',
          required: ['type'],
          additionalProperties: false,
          properties: { type: { description: 'The kind of provider.', const: '1password' } },
        },
        {
          description: 'In a file that is encrypted with age: no account, no network.',
          type: 'object',
          required: ['type'],
          additionalProperties: false,
          properties: {
            type: { description: 'The kind of provider.', const: 'age-vault' },
            path: { ...path('The encrypted file.'), default: '/etc/unit-secrets/vault.age' },
            identity,
          },
        },
      ],
    },
    token: {
      description: 'Where the service account token is. Not needed for an age vault.',
      default: { age: '/etc/unit-secrets/1password-token.age' },
      oneOf: [
        {
          description: 'In a file that is encrypted with age to the host’s SSH key.',
          type: 'object',
          required: ['age'],
          additionalProperties: false,
          properties: { age: path('The encrypted file.'), identity },
        },
        {
          description: 'In a plain file that another tool puts into RAM.',
          type: 'object',
          required: ['file'],
          additionalProperties: false,
          properties: { file: path('The file.') },
        },
      ],
    },
    fetch: {
      description: 'How to fetch, for all services.',
      type: 'object',
      additionalProperties: false,
      properties: {
        tries: {
          description: 'How often to try in one start of a unit.',
          type: 'integer',
          minimum: 1,
          maximum: 100,
          default: 12,
        },
        timeout: duration('How long all tries of one start may take together.', '4min'),
        retryEvery: duration('How long after a failed start the service is started again.', '1min'),
      },
    },
    services: {
      description:
        'The services and what each is given. The key is the name of the unit; ".service" may be left out.',
      type: 'object',
      propertyNames: {
        description: 'A unit name as systemd takes it (systemd.unit(5)); of a template, an instance.',
        pattern:
          '^(?!unit-secrets)(?!.*\\.(?:automount|device|mount|path|scope|slice|snapshot|socket|swap|target|timer)$)' +
          '(?!.{248})(?!.{240,}(?<!\\.service)$)[A-Za-z0-9:_\\\\-][A-Za-z0-9:_.\\\\-]*(?:@(?!\\.service$)[A-Za-z0-9:_.\\\\@-]+)?$',
      },
      additionalProperties: {
        description: 'What a service is given.',
        type: 'object',
        minProperties: 1,
        additionalProperties: false,
        properties: {
          environment: {
            description: 'Environment variables: name and value.',
            type: 'object',
            propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
            additionalProperties: { $ref: '#/$defs/value' },
          },
        },
      },
    },
  },
  $defs: {
    path: path('An absolute path, without "..".'),
    value: {
      description:
        'A secret reference, op://VAULT/ITEM/[SECTION/]FIELD; or text with references in {{ … }}; or plain text. {{ "{{" }} stands for two braces. Plain text ends up in unit files, which everyone can read.',
      type: 'string',
      pattern: `^(?:${reference}|(?!op://)(?:(?!\\{\\{)[^${unfit}]|${literal}|${embedded})*)$`,
      examples: [
        'op://Homelab/Cloudflare/tunnel-token',
        'postgresql://app:{{ op://Homelab/App/db-password }}@127.0.0.1/app',
      ],
    },
  },
} as const;
