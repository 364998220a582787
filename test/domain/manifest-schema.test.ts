import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fragmentSchemaText, schemaText } from '../../src/cli/schema.ts';
import { parseDuration } from '../../src/domain/duration.ts';
import type { Json } from '../../src/domain/json-text.ts';
import { readManifest } from '../../src/domain/manifest-reader.ts';
import { manifestSchema } from '../../src/domain/manifest-schema.ts';
import { appWith, manifest, oddText, read, value } from '../support/manifests.ts';
import { fragmentSchemaAccepts, schemaAccepts } from '../support/schema.ts';
import { wrong } from '../support/wrong-manifests.ts';

/** What only the program can tell, as the schema's comment says. */
const untold =
  /is the same service as|is the name of (?:a|the) unit|longer than the 128 KiB|longer than a line|must be a duration|already has a credential|is already that of/;

/** The name of a user with hyphens, which are longer when they are escaped. */
const untoldName = /^"[^"]*-[^"]*" is too long for the name of a unit/;

function expectAgreement(whole: Json): void {
  const problems = read(whole).problems.map(({ message }) => message);
  if (!problems.some((message) => untold.test(message) || untoldName.test(message)))
    expect(schemaAccepts(whole)).toBe(problems.length === 0);
}

describe('the JSON Schema', () => {
  const json = wrong.filter(
    ({ problems }) => !problems.some((problem) => problem.includes('not valid JSON')),
  );

  test.each(json.filter(({ schema }) => schema === undefined))('refuses $what', ({ text }) => {
    expect(schemaAccepts(JSON.parse(text))).toBe(false);
  });

  test.each(json.filter(({ schema }) => schema === 'cannot tell'))('cannot tell $what', ({ text }) => {
    expect(schemaAccepts(JSON.parse(text))).toBe(true);
  });

  test('accepts what the program accepts', () => {
    fc.assert(
      fc.property(manifest, (whole) => {
        expect(schemaAccepts(whole)).toBe(true);
      }),
    );
  });

  test('agrees with the program on manifests with something put in somewhere', () => {
    const intruder = fc.oneof(
      fc.jsonValue({ maxDepth: 1 }),
      oddText,
      fc.constantFrom(
        '',
        '/',
        '/..',
        '/a/../b',
        '1s',
        '1 1 1',
        'op://a/b/c',
        'age-vault',
        '1password',
        'inline',
        'systemd',
        'authorized_keys',
        'id.pub',
        '0400',
        '0644',
        '1000',
        'yaml',
        true,
        false,
        [],
        {},
      ),
    );
    fc.assert(
      fc.property(manifest, fc.nat(), intruder, fc.boolean(), (whole, place, bad, asMember) => {
        expectAgreement(mutate(whole, place, bad as Json, asMember));
      }),
      { numRuns: 1000 },
    );
  });

  test('agrees with the program on values', () => {
    const text = fc.oneof(
      value,
      fc
        .array(
          fc.oneof(
            fc.constantFrom(
              'op://',
              'a/b',
              '/c',
              '?attribute=otp',
              '{{',
              '}}',
              ' ',
              '"{{"',
              '{',
              '\ufffe',
              '\0',
            ),
            oddText,
          ),
          { maxLength: 9 },
        )
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (A) => {
        expectAgreement(appWith({ A }));
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    [
      'unit names',
      (text: string): Json => ({ version: 1, services: { [text]: { environment: {} } } }),
      [
        'a',
        '.',
        '@',
        ':',
        '\\',
        '-',
        '.service',
        '.socket',
        'unit-secrets',
        '/',
        ' ',
        'é',
        'x'.repeat(120),
        '\n',
      ],
    ],
    [
      'paths',
      (text: string): Json => ({ version: 1, token: { file: text } }),
      ['/', 'a', '..', '.', ' ', '\u2028', '\n', '\x7f', '🔑', '\ud800'],
    ],
    [
      'names of variables',
      (text: string): Json => appWith({ [text]: 'x' }),
      ['A', '_', '0', '-', ' ', 'é', '\n', '='],
    ],
    [
      'names of files and credentials',
      (text: string): Json => ({
        version: 1,
        services: { app: { credentials: { [text]: 'x' }, files: { [text]: 'x' } } },
      }),
      ['a', '.', '_', '-', '0', '/', ' ', ':', 'é', '\n', 'x'.repeat(127)],
    ],
    [
      'modes',
      (text: string): Json => ({
        version: 1,
        services: { app: { files: { a: { value: 'x', mode: text } } } },
      }),
      ['0', '4', '6', '40', '400', '2', '1', '8', ' ', 'r', '\n'],
    ],
    [
      'groups',
      (text: string): Json => ({ version: 1, services: { app: { files: {}, group: text } } }),
      ['a', 'Z', '_', '0', '-', '.', ' ', '%i', '\n', 'x'.repeat(15)],
    ],
    [
      'runtime directories',
      (text: string): Json => ({ version: 1, services: { app: { files: {}, runtimeDirectory: text } } }),
      ['systemd', 'unit-secrets', 'dbus', 'user', 'sshd', '.', '-', '/', ' ', 'x', '\n', 'polkit-1'],
    ],
    [
      'names of users',
      (text: string): Json => ({ version: 1, sshKeys: { [text]: { privateKey: 'x' } } }),
      ['a', 'Z', '0', '1', '-', '.', '_', ' ', '@', '/', 'é', '\n', 'x'.repeat(100)],
    ],
    [
      'names of key files',
      (text: string): Json => ({ version: 1, sshKeys: { alice: { privateKey: 'x', file: text } } }),
      [
        'id',
        '.pub',
        '.',
        'authorized_keys',
        'config',
        'known_hosts',
        '2',
        '.old',
        'rc',
        '/',
        ' ',
        '\n',
        'x'.repeat(99),
      ],
    ],
    [
      'IDs of the token',
      (text: string): Json => ({ version: 1, token: { credential: text } }),
      ['a', '.', '_', '-', '0', '/', ' ', ':', '\n', 'x'.repeat(127)],
    ],
  ])('agrees with the program on %s', (_, place, pieces) => {
    fc.assert(
      fc.property(textOf(pieces), (odd) => {
        expectAgreement(place(odd));
      }),
      { numRuns: 1000 },
    );
  });

  test('agrees with the program on what a member of an entry excludes or needs', () => {
    const flag = fc.constantFrom<Json>(true, false);
    const services = fc.record(
      {
        environment: fc.constant({}),
        credentials: fc.constant({}),
        files: fc.oneof(
          fc.constant({}),
          fc.record({ k: fc.record({ value: fc.constant('x'), credential: flag }) }),
        ),
        configs: fc.constant({}),
        group: fc.constant('app'),
        runtimeDirectory: fc.constant('app'),
        dynamicUser: fc.constantFrom<Json>('inline', 'yes', true),
      },
      { requiredKeys: [] },
    );
    const keys = fc.record(
      {
        privateKey: fc.constant('x'),
        publicKey: fc.constant('x'),
        authorize: flag,
        file: fc.constant('id'),
      },
      { requiredKeys: [] },
    );
    const provider = fc.constantFrom('1password', 'age-vault');
    const token = fc.subarray(['age', 'file', 'credential', 'identity']);
    fc.assert(
      fc.property(services, keys, provider, token, (app, alice, type, places) => {
        expectAgreement({ version: 1, services: { app } } as Json);
        expectAgreement({ version: 1, provider: { type }, services: { app } } as Json);
        expectAgreement({ version: 1, sshKeys: { alice } } as Json);
        expectAgreement({
          version: 1,
          token: Object.fromEntries(places.map((place) => [place, place === 'credential' ? 'id' : '/x'])),
        });
      }),
      { numRuns: 500 },
    );
  });

  test('agrees with the program on what is a duration', () => {
    const pieces = [
      '1',
      '0',
      '000',
      '.5',
      '.',
      ' ',
      's',
      'ms',
      'us',
      'min',
      'h',
      'M',
      'y',
      '\u00b5s',
      '-',
      '\n',
    ];
    fc.assert(
      fc.property(textOf([...pieces, '\u00a0', ' '.repeat(40)]), (timeout) => {
        const seconds = parseDuration(timeout);
        const accepted = schemaAccepts({ version: 1, fetch: { timeout } });
        // a sum, or a part of a longer unit, may come to less than a second; the end of the year is not told
        const sum = (timeout.match(/\d+(?:\.\d+)?|\.\d+/g) ?? []).length > 1;
        const part = /[.]\d+[ \t\r\n]*(?:min|h|M|y)/.test(timeout);
        if (seconds === undefined || seconds >= 1 || seconds === 0)
          expect(accepted).toBe((seconds ?? 0) >= 1);
        else if (!sum && !part) expect(accepted).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  test.each(['0', '0.5', '.5 s', '500ms', '999.9ms', '1us', '999999us', '0s 0ms', '00min', 'infinity'])(
    'refuses %j as a duration',
    (timeout) => {
      expect(schemaAccepts({ version: 1, fetch: { timeout } })).toBe(false);
    },
  );

  test.each(['1', '1.5', '01s', '1000ms', '1000000us', '.5s .5s', '500ms 500ms', '0h 1s', '1 M', '1year'])(
    'accepts %j as a duration',
    (timeout) => {
      expect(schemaAccepts({ version: 1, fetch: { timeout } })).toBe(true);
      expect(read({ version: 1, fetch: { timeout } }).problems).toEqual([]);
    },
  );

  test.each([
    ['a'.repeat(225), true],
    ['a'.repeat(226), false],
  ])('tells whether the name of a user fits into the name of a unit: %s', (user, fits) => {
    const whole = { version: 1, sshKeys: { [user]: { privateKey: 'x' } } };
    expect(schemaAccepts(whole)).toBe(fits);
    expect(read(whole).problems.length === 0).toBe(fits);
  });

  test('keeps no editor busy with a text that is nearly right', () => {
    const before = performance.now();
    for (const timeout of ['1'.repeat(99), '1 '.repeat(49), `1${' '.repeat(98)}`, '1s '.repeat(33)])
      expect(schemaAccepts({ version: 1, fetch: { timeout: `${timeout}!`.slice(-100) } })).toBe(false);
    for (const A of [`op://${'a '.repeat(50_000)}`, '{'.repeat(50_001), `x{{ op://${' '.repeat(5_000)}`])
      expect(schemaAccepts(appWith({ A }))).toBe(false);
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  test('describes every member', () => {
    const described = new Map<string, boolean>();
    describeMembers(manifestSchema, '$', described);
    expect([...described].filter(([, well]) => !well)).toEqual([]);
    expect(described.size).toBeGreaterThan(40);
  });

  test('of a fragment accepts what the program accepts below manifest.d', () => {
    const entry = { environment: { A: 'op://v/i/f' } };
    const fragments: readonly (readonly [Json, boolean])[] = [
      [{}, true],
      [{ services: { app: entry } }, true],
      [{ $schema: 'x', version: 1, sshKeys: { me: { privateKey: 'op://v/i/f' } } }, true],
      [{ version: 2 }, false],
      [{ services: { 'a b': entry } }, false],
      [{ services: { app: { enviroment: {} } } }, false],
      [{ service: {} }, false],
      [{ provider: { type: '1password' } }, false],
      [{ token: { file: '/t' } }, false],
      [{ fetch: {} }, false],
      [[], false],
    ];
    for (const [value, accepted] of fragments) {
      const text = { file: 'x.json', value, locate: () => undefined };
      expect({ value, accepted: readManifest(undefined, [text]).problems.length === 0 }).toEqual({
        value,
        accepted,
      });
      expect({ value, accepted: fragmentSchemaAccepts(value) }).toEqual({ value, accepted });
    }
    // which that of the manifest does not
    expect(schemaAccepts({ services: { app: entry } })).toBe(false);
  });

  test('is the published one', () => {
    const path = join(import.meta.dirname, '../../schema/manifest.schema.json');
    expect(readFileSync(path, 'utf8')).toBe(schemaText());
    const ofFragment = join(import.meta.dirname, '../../schema/fragment.schema.json');
    expect(readFileSync(ofFragment, 'utf8')).toBe(fragmentSchemaText());
  });
});

function textOf(pieces: readonly string[]): fc.Arbitrary<string> {
  return fc.array(fc.constantFrom(...pieces), { maxLength: 7 }).map((parts) => parts.join(''));
}

/** Puts something in place of a value, or beside it as another member, somewhere in a manifest. */
function mutate(whole: Json, place: number, bad: Json, asMember: boolean): Json {
  const copy = structuredClone(whole) as Record<string, Json>;
  const slots: [holder: Record<string, Json>, name: string][] = [];
  const visit = (holder: Record<string, Json>): void => {
    for (const name of Object.keys(holder)) {
      slots.push([holder, name]);
      const member = holder[name];
      if (typeof member === 'object' && member !== null) visit(member as Record<string, Json>);
    }
  };
  visit(copy);
  const [holder, name] = slots[place % slots.length] ?? [copy, 'version'];
  // defined, not assigned: a member may be called __proto__
  const newName = typeof bad === 'string' ? bad : JSON.stringify(bad);
  const slot = asMember && !Array.isArray(holder) ? newName : name;
  Object.defineProperty(holder, slot, { value: bad, enumerable: true, configurable: true, writable: true });
  return copy;
}

type SchemaNode = { readonly [key: string]: unknown };

/**
 * Collects the members of a schema, however deep, and whether one of the places that speak of it has a
 * description or refers to something that has: `then` and `anyOf` may say more of what is described elsewhere.
 */
function describeMembers(node: SchemaNode, path: string, described: Map<string, boolean>): void {
  const note = (member: string, well: boolean): void => {
    const place = `${path}.${member}`.replace(/\.(?:then|if|(?:anyOf|oneOf)\.\d+)(?=\.)/g, '');
    described.set(place, well || (described.get(place) ?? false));
  };
  for (const [key, child] of Object.entries(node)) {
    if (typeof child !== 'object' || child === null) continue;
    if (key === 'properties' || key === '$defs') {
      for (const [name, member] of Object.entries(child as Record<string, SchemaNode>))
        note(name, typeof member['description'] === 'string' && member['description'] !== '');
    }
    if (key === 'additionalProperties') note('*', 'description' in child || '$ref' in child);
    describeMembers(child as SchemaNode, `${path}.${key}`, described);
  }
}
