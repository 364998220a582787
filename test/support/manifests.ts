import fc from 'fast-check';
import type { Json, Locate } from '../../src/domain/json-text.ts';
import type { Manifest } from '../../src/domain/manifest.ts';
import { readManifest } from '../../src/domain/manifest-reader.ts';

export const manifestPath = '/etc/unit-secrets/manifest.json';
const nowhere: Locate = () => undefined;

/** Reads a value as a manifest, without positions. */
export function read(value: Json): Manifest {
  return readManifest({ file: manifestPath, value, locate: nowhere }, []);
}

/** What the generator reads beside the manifest, on a machine that has just booted. */
export const nothingLeft = {
  visibleNames: [],
  secretsDirectories: [],
  configDirectories: [],
  listed: [],
} as const;

/** A manifest that gives the service `app` these variables. */
export function appWith(environment: Json): Json {
  return { version: 1, services: { app: { environment } } };
}

/** Text that has what makes trouble somewhere in it. */
export const oddText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '"',
        "'",
        '\\',
        '$',
        '`',
        '%',
        ';',
        '#',
        '[',
        ']',
        '=',
        '{{',
        '}}',
        ' ',
        '\t',
        '\r',
        '\n',
      ),
      fc.constantFrom(
        '\u2028',
        '\u2029',
        '\u0085',
        '\ufeff',
        '🔑',
        '\x01',
        '\x7f',
        '__proto__',
        'true',
        'null',
        'op://',
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

/** Text that an environment variable and the environment file can carry. */
export const variableText = oddText.map((text) =>
  text.toWellFormed().replace(/\0|\p{Noncharacter_Code_Point}/gu, '?'),
);

/** Text that a file or a credential can carry: all but NUL. */
const fileText = oddText.map((text) => text.toWellFormed().replaceAll('\0', '?'));

/** Text of a value as it is written in a manifest to stand for itself; what begins with `op://` cannot. */
export function literally(text: string): string {
  return text.replaceAll('{{', '{{ "{{" }}');
}

export const variableName = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/);

const referencePart = fc.stringMatching(/^[A-Za-z0-9._-][A-Za-z0-9 ._-]{0,6}$/);

export const reference = fc
  .tuple(
    fc.array(referencePart, { minLength: 3, maxLength: 4 }).map((parts) => parts.join('/').trimEnd()),
    fc.constantFrom('', '?attribute=otp', '?attribute=totp', '?ssh-format=openssh'),
  )
  .map(([parts, query]) => `op://${parts}${query}`);

function valueWith(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof(
    reference,
    text.map(literally).filter((literal) => !literal.startsWith('op://')),
    fc
      .tuple(text.map(literally), reference, text.map(literally))
      .map(([before, inner, after]) => `x${before}{{ ${inner} }}${after}`)
      .filter((whole) => !whole.includes('{{{')),
  );
}

/** A value of a variable in a manifest that is in order. */
export const value = valueWith(variableText);

/** A value of anything else. */
const anyValue = valueWith(fileText);

/** A name of a service, without `.service`. */
export const serviceName = fc
  .tuple(
    fc.stringMatching(/^[A-Za-z0-9:_-][A-Za-z0-9:_.\\-]{0,10}$/),
    fc.option(fc.stringMatching(/^[A-Za-z0-9:_.\\@-]{1,6}$/), { nil: undefined }),
  )
  .map(([base, instance]) => (instance === undefined ? base : `${base}@${instance}`))
  .filter((name) => !/^unit-secrets|\.[a-z]+$|^[^@]*-(?:@|$)/.test(name));

const duration = fc.constantFrom(
  '1s',
  '4min',
  '1h 30min',
  '1.5h',
  '90',
  '52w',
  '2 d',
  '1month',
  '1y',
  '1000ms',
);
const path = fc.constantFrom('/etc/a', '/', '/a b/%n', '/é/..x');
const identity = { identity: fc.oneof(path, fc.array(path, { minLength: 1, maxLength: 3 })) };

export const fileName = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,8}$/);
const mode = fc.constantFrom('0400', '0440', '0600', '640', '0000', '0240');
const environment = fc.dictionary(variableName, value, { maxKeys: 4 });

/** Files of a service, with or without those that are credentials, too. */
function filesWith(credential: fc.Arbitrary<boolean>): fc.Arbitrary<Record<string, unknown>> {
  const file = fc.record({ value: anyValue, mode, credential }, { requiredKeys: ['value'] });
  return fc.dictionary(fileName, fc.oneof(anyValue, file), { maxKeys: 3 });
}

const config = fc.record(
  {
    template: fc.constantFrom('/etc/a.yaml', '/t/a=b c.json', '/%n/"é"', '/etc/x.conf'),
    format: fc.constantFrom('json', 'yaml', 'toml', 'ini', 'env', 'text'),
    values: fc.dictionary(variableName, anyValue, { maxKeys: 2 }),
    mode,
    credential: fc.boolean(),
  },
  { requiredKeys: ['template'] },
);

const rootFetched = fc.record(
  {
    environment,
    credentials: fc.dictionary(fileName, anyValue, { maxKeys: 3 }),
    files: filesWith(fc.boolean()),
    configs: fc.dictionary(fileName, config, { maxKeys: 2 }),
    group: fc.constantFrom('litellm', '_x', 'a-b_9'),
    runtimeDirectory: fileName,
  },
  { requiredKeys: [] },
);

const selfFetched = fc.record(
  {
    dynamicUser: fc.constant('inline'),
    environment,
    files: filesWith(fc.constant(false)),
  },
  { requiredKeys: ['dynamicUser'] },
);

const deliveries = ['environment', 'credentials', 'files', 'configs'];

/** What a manifest that is in order gives a service. */
export const service: fc.Arbitrary<Record<string, unknown>> = fc
  .oneof({ arbitrary: rootFetched, weight: 3 }, selfFetched)
  .filter((entry) => deliveries.some((delivery) => delivery in entry));

export const userName = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,8}$/);

const sshKeys = fc.oneof(
  fc.record(
    {
      privateKey: anyValue,
      publicKey: anyValue,
      authorize: fc.boolean(),
      file: fc.constantFrom('id_ed25519', 'work.key'),
    },
    { requiredKeys: ['privateKey'] },
  ),
  fc.record({ publicKey: anyValue, authorize: fc.constant(true) }),
);

/** A manifest that is in order. */
export const manifest: fc.Arbitrary<Json> = fc
  .record(
    {
      version: fc.constant(1),
      $schema: fc.string(),
      provider: fc.oneof(
        fc.constant({ type: '1password' }),
        fc.record({ type: fc.constant('age-vault'), path, ...identity }, { requiredKeys: ['type'] }),
      ),
      token: fc.oneof(
        fc.record({ age: path, ...identity }, { requiredKeys: ['age'] }),
        fc.record({ file: path }),
        fc.record({ credential: fileName }),
      ),
      fetch: fc.record(
        { tries: fc.integer({ min: 1, max: 100 }), timeout: duration, retryEvery: duration },
        { requiredKeys: [] },
      ),
      services: fc.dictionary(serviceName, service, { maxKeys: 4 }),
      sshKeys: fc.dictionary(userName, sshKeys, { maxKeys: 2 }),
    },
    { requiredKeys: ['version'] },
  )
  .filter((whole) => read(whole as Json).problems.length === 0)
  .map((whole) => whole as Json);
