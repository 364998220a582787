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

/** A value of a manifest that is in order. */
export const value = fc.oneof(
  reference,
  variableText.map(literally).filter((text) => !text.startsWith('op://')),
  fc
    .tuple(variableText.map(literally), reference, variableText.map(literally))
    .map(([before, inner, after]) => `x${before}{{ ${inner} }}${after}`)
    .filter((text) => !text.includes('{{{')),
);

/** A name of a service, without `.service`. */
export const serviceName = fc
  .tuple(
    fc.stringMatching(/^[A-Za-z0-9:_-][A-Za-z0-9:_.\\-]{0,10}$/),
    fc.option(fc.stringMatching(/^[A-Za-z0-9:_.\\@-]{1,6}$/), { nil: undefined }),
  )
  .map(([base, instance]) => (instance === undefined ? base : `${base}@${instance}`))
  .filter((name) => !/^unit-secrets|\.[a-z]+$/.test(name));

const duration = fc.constantFrom('1s', '4min', '1h 30min', '1.5h', '90', '52w', '2 d');
const path = fc.constantFrom('/etc/a', '/', '/a b/%n', '/é/..x');
const identity = { identity: fc.oneof(path, fc.array(path, { minLength: 1, maxLength: 3 })) };

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
      ),
      fetch: fc.record(
        { tries: fc.integer({ min: 1, max: 100 }), timeout: duration, retryEvery: duration },
        { requiredKeys: [] },
      ),
      services: fc.dictionary(
        serviceName,
        fc.record({ environment: fc.dictionary(variableName, value, { maxKeys: 4 }) }),
        { maxKeys: 4 },
      ),
    },
    { requiredKeys: ['version'] },
  )
  .filter((whole) => read(whole as Json).problems.length === 0)
  .map((whole) => whole as Json);
