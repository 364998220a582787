import { reservedDirectories } from './runtime-directory.ts';

/**
 * The JSON Schema (2020-12) of the manifest. It accepts what `manifest-reader.ts` accepts, as far as a
 * schema can tell: that two names are the same unit or one that is generated for the other, that two
 * credentials of a service have one ID or two services one directory, that a member is given twice, how many
 * bytes a value or a path has, how long the name of a user with hyphens is when it is escaped, and how many seconds
 * a duration (but for one that is too short in a unit that says so at once), only the program checks.
 */
const part = ' *[A-Za-z0-9._-][A-Za-z0-9 ._-]*';
const reference = `op://${part}(?:/${part}){2,3}(?:\\?(?:attribute=otp|attribute=totp|ssh-format=openssh))?`;
/** NUL and lone surrogates: no text. */
const unfitAnywhere = '\\u0000\\p{Surrogate}';
/** Noncharacters, too: systemd refuses a whole environment file for one of them. */
const unfit = `${unfitAnywhere}\\p{Noncharacter_Code_Point}`;
const literal = '\\{\\{\\s*"\\{\\{"\\s*\\}\\}';
const embedded = `\\{\\{\\s*${reference}\\s*\\}\\}`;
const unit =
  '(?:us|usec|µs|μs|ms|msec|s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?|M|months?|y|years?)';
const gap = '[ \\t\\n\\r]*';
/** Nothing at all, or less than a second in one span of seconds or less. */
const tooShort =
  `[^1-9]*|${gap}0*(?:(?:\\.\\d+)?${gap}(?:s|sec|seconds?)?|\\d{0,3}(?:\\.\\d+)?${gap}(?:ms|msec)` +
  `|\\d{0,6}(?:\\.\\d+)?${gap}(?:us|usec|µs|μs))${gap}`;

const path = (description: string) => ({
  description,
  type: 'string',
  pattern: `^(?:/(?!\\.\\.(?:/|$))[^/\\u0000-\\u001f\\u007f${unfit}]{0,255})+$`,
  maxLength: 4095,
});

const duration = (description: string, fallback: string) => ({
  description: `${description} A time span as systemd writes them (systemd.time(7)), from one second to one year, "infinity" not among them.`,
  type: 'string',
  maxLength: 100,
  // each text can be matched in one way only: a wrong one must not keep an editor busy
  pattern: `^(?!(?:${tooShort})$)${gap}(?:(?:\\d+(?:\\.\\d+)?|\\.\\d+)(?![\\d.])${gap}(?:${unit}${gap})?)+$`,
  default: fallback,
  examples: [fallback, '1h 30min'],
});

const identity = {
  description:
    'The private keys to try, in this order: OpenSSH host keys or age identities. One path, or a list of them.',
  anyOf: [{ $ref: '#/$defs/path' }, { type: 'array', minItems: 1, items: { $ref: '#/$defs/path' } }],
  default: ['/etc/ssh/ssh_host_ed25519_key', '/etc/ssh/ssh_host_rsa_key'],
};

const value = (kind: 'value' | 'variable') => ({ $ref: `#/$defs/${kind}` });
const fileName = '^(?=.{1,255}$)[A-Za-z0-9_-][A-Za-z0-9._-]*$';
const variableName = '^[A-Za-z_][A-Za-z0-9_]*$';
const valuePattern = (unfitFor: string) =>
  `^(?:${reference}|(?!op://)(?:(?!\\{\\{)[^${unfitFor}]|${literal}|${embedded})*)$`;
const mode = (fallback: string) => ({
  description: `The mode of the file, in octal digits; never wider than 0640. ${fallback}`,
  type: 'string',
  // no bit but rw for root and r for the group
  pattern: '^0?[0246][04]0$',
  examples: ['0400'],
});
const asCredential = {
  description: 'Also give the file to the service as a credential of its name.',
  type: 'boolean',
  default: false,
};
const notInline = {
  // a service that fetches by itself gets environment and files only
  if: { type: 'object', required: ['dynamicUser'] },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: {
    properties: {
      credentials: false,
      configs: false,
      group: false,
      runtimeDirectory: false,
      files: {
        type: 'object',
        additionalProperties: {
          if: { type: 'object' },
          // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
          then: { type: 'object', properties: { credential: { const: false } } },
        },
      },
    },
  },
};

const noInlineVault = {
  // the keys of a vault are root's
  if: {
    properties: {
      provider: { type: 'object', required: ['type'], properties: { type: { const: 'age-vault' } } },
    },
    required: ['provider'],
  },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: {
    properties: {
      services: {
        type: 'object',
        additionalProperties: { type: 'object', properties: { dynamicUser: false } },
      },
    },
  },
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
        {
          description: 'In a credential that is encrypted with systemd-creds(1); needs systemd 250.',
          type: 'object',
          required: ['credential'],
          additionalProperties: false,
          properties: {
            credential: {
              description: 'The ID, and the name of the file below /etc/credstore.encrypted.',
              type: 'string',
              pattern: '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$',
            },
          },
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
          '(?![^@]*-(?:@|(?:\\.service)?$))(?!.{248})(?!.{240,}(?<!\\.service)$)[A-Za-z0-9:_\\\\-][A-Za-z0-9:_.\\\\-]*(?:@(?!\\.service$)[A-Za-z0-9:_.\\\\@-]+)?$',
      },
      additionalProperties: {
        description: 'What a service is given.',
        type: 'object',
        anyOf: [
          { required: ['environment'] },
          { required: ['credentials'] },
          { required: ['files'] },
          { required: ['configs'] },
        ],
        additionalProperties: false,
        properties: {
          environment: {
            description: 'Environment variables: name and value.',
            type: 'object',
            propertyNames: { pattern: variableName },
            additionalProperties: value('variable'),
          },
          credentials: {
            description: 'Credentials as in systemd.exec(5), "LoadCredential=": ID and value.',
            type: 'object',
            propertyNames: { pattern: fileName },
            additionalProperties: value('value'),
          },
          files: {
            description: 'Files, below files/ in the directory of the service’s secrets: name and value.',
            type: 'object',
            propertyNames: { pattern: fileName },
            additionalProperties: {
              description: 'The value, or the value with how the file is to be.',
              if: { type: 'object' },
              // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
              then: {
                type: 'object',
                required: ['value'],
                additionalProperties: false,
                properties: {
                  value: { description: 'What is in the file.', ...value('value') },
                  mode: mode('0440 with a group, else 0400, if it is not given.'),
                  credential: asCredential,
                },
              },
              else: value('value'),
            },
          },
          configs: {
            description: 'Configuration files that are rendered from templates, by their names.',
            type: 'object',
            propertyNames: { pattern: fileName },
            additionalProperties: {
              description: 'How the file is made.',
              type: 'object',
              required: ['template'],
              additionalProperties: false,
              properties: {
                template: path('The template; what its placeholders name is put in.'),
                format: {
                  description:
                    'What values are escaped for; the extension of the template tells if this does not.',
                  enum: ['json', 'yaml', 'toml', 'ini', 'env', 'text'],
                },
                values: {
                  description: 'Values for the template only, beside the environment: name and value.',
                  type: 'object',
                  propertyNames: { pattern: variableName },
                  additionalProperties: value('value'),
                },
                mode: { ...mode('0640 if it is not given.'), default: '0640' },
                credential: asCredential,
              },
            },
          },
          group: {
            description: 'The group that may read files and configs; without it, root alone.',
            type: 'string',
            pattern: '^[A-Za-z_][A-Za-z0-9_-]{0,30}$',
          },
          runtimeDirectory: {
            description: 'The name of a directory below /run for environment, files and configs.',
            type: 'string',
            pattern: fileName,
            not: {
              pattern: `^(?:(?:${reservedDirectories.map((name) => name.replaceAll('.', '\\.')).join('|')})$|systemd|unit-secrets)`,
            },
          },
          dynamicUser: {
            description:
              '"inline": the service itself fetches, in its own context, with the token as its credential. Left out, a unit of root’s does, which works for DynamicUser= too.',
            const: 'inline',
          },
        },
        ...notInline,
      },
    },
    sshKeys: {
      description: 'The SSH keys of users, put in place before sshd starts: user name and keys.',
      type: 'object',
      propertyNames: {
        description: 'The name of a user.',
        // what the name of ssh-key-setup-secrets@USER.service leaves; a hyphen takes four
        maxLength: 225,
        pattern: '^(?!\\d+$)[A-Za-z0-9_][A-Za-z0-9_.-]*$',
      },
      additionalProperties: {
        description: 'The keys of the user.',
        type: 'object',
        additionalProperties: false,
        properties: {
          privateKey: {
            description: 'The private key; for one in 1Password, with "?ssh-format=openssh".',
            ...value('value'),
          },
          publicKey: { description: 'The public key; the private one tells it, too.', ...value('value') },
          authorize: {
            description: 'Whether the key may log in as this user: it is put into authorized_keys.',
            type: 'boolean',
            default: false,
          },
          file: {
            description: 'The name of the private key below ~/.ssh; its type tells if this does not.',
            type: 'string',
            pattern:
              '^(?!(?:authorized_keys2?|config|environment|known_hosts(?:\\.old|2)?|rc)$)(?!.*\\.pub$)[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$',
          },
        },
        anyOf: [
          { required: ['privateKey'] },
          {
            required: ['publicKey', 'authorize'],
            properties: { authorize: { const: true }, file: false },
          },
        ],
      },
    },
  },
  ...noInlineVault,
  $defs: {
    path: path('An absolute path, without "..".'),
    value: {
      description:
        'A secret reference, op://VAULT/ITEM/[SECTION/]FIELD; or text with references in {{ … }}; or plain text. {{ "{{" }} stands for two braces. Plain text ends up in unit files, which everyone can read.',
      type: 'string',
      pattern: valuePattern(unfitAnywhere),
      examples: ['op://Homelab/Cloudflare/tunnel-token'],
    },
    variable: {
      description: 'The same for an environment variable, which cannot carry quite all characters.',
      type: 'string',
      pattern: valuePattern(unfit),
      examples: ['postgresql://app:{{ op://Homelab/App/db-password }}@127.0.0.1/app'],
    },
  },
} as const;

const { version, services, sshKeys } = manifestSchema.properties;

/**
 * The JSON Schema of a file below manifest.d: of what is in the manifest only that which may stand there, and no
 * version, for which manifest.json is enough. That an age vault excludes fetching inline is not known there.
 */
export const fragmentSchema = {
  $schema: manifestSchema.$schema,
  title: 'unit-secrets manifest, a part of it',
  description:
    'More services and users: /etc/unit-secrets/manifest.d/*.json, read with manifest.json as one.',
  type: 'object',
  additionalProperties: false,
  properties: {
    $schema: {
      ...manifestSchema.properties.$schema,
      examples: ['/usr/share/unit-secrets/fragment.schema.json'],
    },
    version,
    services,
    sshKeys,
  },
  $defs: manifestSchema.$defs,
} as const;
