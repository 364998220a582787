import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AgeVault, parseAgeVault, resolveInAgeVault } from '../../src/domain/age-vault.ts';
import { formatProblem } from '../../src/domain/problem.ts';

const file = '/etc/unit-secrets/vault.age';

function vaultOf(content: unknown): AgeVault {
  const result = parseAgeVault(JSON.stringify(content), file);
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  return result.vault;
}

function problemsOf(text: string): string[] {
  const result = parseAgeVault(text, file);
  return result.ok ? [] : result.problems.map(formatProblem);
}

describe('the format', () => {
  test('vaults, items, fields and sections', () => {
    const vault = vaultOf({ Homelab: { Grafana: { password: 'a', db: { password: 'b' } }, empty: {} } });
    expect(vault.get('Homelab')?.get('Grafana')).toEqual({
      fields: new Map([['password', 'a']]),
      sections: new Map([['db', new Map([['password', 'b']])]]),
    });
    expect([...(vault.get('Homelab')?.keys() ?? [])]).toEqual(['Grafana', 'empty']);
    expect(vaultOf({}).size).toBe(0);
  });

  test('names that are special to JavaScript', () => {
    const text = '{"__proto__": {"constructor": {"toString": "a", "__proto__": {"__proto__": "b"}}}}';
    const result = parseAgeVault(text, file);
    if (!result.ok) throw new Error('refused');
    const item = result.vault.get('__proto__')?.get('constructor');
    expect(item?.fields).toEqual(new Map([['toString', 'a']]));
    expect(item?.sections.get('__proto__')).toEqual(new Map([['__proto__', 'b']]));
    expect(resolveInAgeVault(vaultOf({}), 'op://constructor/toString/x').ok).toBe(false);
  });

  test.each([
    ['', `${file}:1:1: not valid JSON: the file is empty`],
    ['[]', `${file}:1:1: $: the age vault must be an object of vaults, this is an array`],
    ['"secret"', `${file}:1:1: $: the age vault must be an object of vaults, this is a string`],
    ['{"v": "secret"}', `${file}:1:7: $.v: a vault must be an object of items, this is a string`],
    [
      '{"v": {"i": "secret"}}',
      `${file}:1:13: $.v.i: an item must be an object of fields and sections, this is a string`,
    ],
    [
      '{"v": {"i": {\n  "f": 4711}}}',
      `${file}:2:8: $.v.i.f: must be a string, or an object for a section, this is a number (put it in double quotes)`,
    ],
    [
      '{"v": {"i": {"f": ["secret"]}}}',
      `${file}:1:19: $.v.i.f: must be a string, or an object for a section, this is an array`,
    ],
    ['{"v": {"i": {"s": {"f": null}}}}', `${file}:1:25: $.v.i.s.f: must be a string, this is null`],
    ['{"v": {"i": {"s": {"t": {}}}}}', `${file}:1:25: $.v.i.s.t: must be a string, this is an object`],
    [
      '{"v": {"i": {"f": "1", "f": "2"}}}',
      `${file}:1:24: $.v.i.f: this member is given twice: keep one of them`,
    ],
    ['{"v": {}, "v": {}}', `${file}:1:11: $.v: this member is given twice: keep one of them`],
    [
      '{"v": {"a b": 1}}',
      `${file}:1:15: $.v["a b"]: an item must be an object of fields and sections, this is a number`,
    ],
  ])('%s', (text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });

  test('all problems are found', () => {
    expect(problemsOf('{"a": 1, "b": {"c": 2, "d": {"e": 3, "f": {"g": 4}}}}')).toHaveLength(4);
  });

  test('no mutation of a vault makes a problem quote a value', () => {
    const text = JSON.stringify(
      { v: { i: { f: 'SECRET', s: { g: 'SECRET' } } }, w: { j: { h: 'SECRET' } } },
      null,
      1,
    );
    const mutation = fc.record({
      at: fc.nat(text.length),
      length: fc.nat(4),
      insert: fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '\\', '1', 'null', '//', '\n', '\u0000'),
    });
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        let mutated = text;
        for (const { at, length, insert } of mutations) {
          mutated = mutated.slice(0, at) + insert + mutated.slice(at + length);
        }
        for (const problem of problemsOf(mutated)) {
          // a value that the damage has turned into a name is quoted as one
          if (!/SECRET[^,{}[\]]*:/.test(mutated)) expect(problem).not.toContain('SECRET');
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('resolving', () => {
  const vault = vaultOf({
    Homelab: {
      Grafana: {
        password: 'direct',
        'admin key': 'spaced',
        db: { user: 'dbuser', token: 'dbtoken' },
        api: { token: 'apitoken', password: 'apipassword' },
        empty: '',
      },
      twin: { a: '1' },
      Twin: { a: '2' },
      item: { Field: '1', field: '2', s: { x: '1', X: '2' }, S: { y: '3' } },
    },
    double: {},
    Double: {},
  });
  const value = (reference: string) => {
    const resolution = resolveInAgeVault(vault, reference);
    return resolution.ok ? resolution.value : resolution.failure;
  };
  const failure = (message: string, hint?: string) => ({
    class: 'permanent',
    exitCode: 65,
    message,
    ...(hint === undefined ? {} : { hint }),
  });

  test.each([
    ['op://Homelab/Grafana/user', 'dbuser'],
    ['op://homelab/GRAFANA/User', 'dbuser'],
    ['op://Homelab/Grafana/admin key', 'spaced'],
    ['op://Homelab/Grafana/api/password', 'apipassword'],
    ['op://Homelab/Grafana/DB/Token', 'dbtoken'],
    ['op://Homelab/Grafana/empty', ''],
    ['op://Homelab/item/S/y', '3'],
  ])('%s', (reference, expected) => {
    expect(value(reference)).toBe(expected);
  });

  test.each([
    ['op://Homlab/Grafana/x', 'no vault of that name in the age vault', 'did you mean "Homelab"?'],
    ['op://Elsewhere/Grafana/x', 'no vault of that name in the age vault', undefined],
    ['op://Homelab/Grafanna/x', 'no item of that name in the vault', 'did you mean "Grafana"?'],
    ['op://Homelab/Grafana/dbx/token', 'no section of that name in the item', 'did you mean "db"?'],
    ['op://Homelab/Grafana/db/tokem', 'no field of that name in the section', 'did you mean "token"?'],
    ['op://Homelab/Grafana/usr', 'no field of that name in the item', 'did you mean "user"?'],
    [
      'op://Homelab/Grafana/api',
      'no field of that name in the item',
      'it is the name of a section: write SECTION/FIELD',
    ],
    [
      'op://Homelab/Grafana/token',
      'more than one field has that name',
      'name the section, or rename one of them',
    ],
    [
      'op://Homelab/Grafana/password',
      'more than one field has that name',
      'name the section, or rename one of them',
    ],
    [
      'op://Homelab/twin/a',
      'more than one item has that name',
      'names are compared without case: rename one of them',
    ],
    [
      'op://double/i/f',
      'more than one vault has that name',
      'names are compared without case: rename one of them',
    ],
    [
      'op://Homelab/item/s/x',
      'more than one field has that name',
      'names are compared without case: rename one of them',
    ],
    [
      'op://Homelab/Grafana/user?attribute=otp',
      'an age vault has no one-time passwords',
      'leave out "?attribute=otp"',
    ],
    [
      'op://Homelab/Grafana/user?attribute=totp',
      'an age vault has no one-time passwords',
      'leave out "?attribute=totp"',
    ],
    [
      'op://Homelab',
      'a secret reference has three or four parts, op://vault/item/[section/]field, this one has 1',
      undefined,
    ],
  ])('%s', (reference, message, hint) => {
    expect(value(reference)).toEqual(failure(`${JSON.stringify(reference)}: ${message}`, hint));
  });

  test('every field of any vault is found by its full path, whatever the case', () => {
    const flip = (text: string, flips: readonly boolean[]) =>
      [...text]
        .map((letter, i) => (flips[i % flips.length] ? letter.toUpperCase() : letter.toLowerCase()))
        .join('');
    const name = fc.stringMatching(/^[a-z0-9._-]([a-z0-9 ._-]{0,6}[a-z0-9._-])?$/);
    const fields = fc.dictionary(name, fc.string({ unit: 'binary' }), { maxKeys: 4 });
    const item = fc.dictionary(name, fc.oneof(fc.string({ unit: 'binary' }), fields), { maxKeys: 4 });
    const vaults = fc.dictionary(name, fc.dictionary(name, item, { maxKeys: 3 }), { maxKeys: 3 });
    const flips = fc.array(fc.boolean(), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(vaults, flips, (content, pattern) => {
        const read = vaultOf(content);
        for (const [v, items] of Object.entries(content)) {
          for (const [i, members] of Object.entries(items)) {
            for (const [f, member] of Object.entries(members)) {
              if (typeof member === 'string') {
                const elsewhere = Object.values(members).some(
                  (s) => typeof s === 'object' && Object.hasOwn(s, f),
                );
                const found = resolveInAgeVault(
                  read,
                  flip(`op://${v}/${i}/${f}`, pattern).replace(/^op/i, 'op'),
                );
                expect(found.ok ? found.value : undefined).toBe(elsewhere ? undefined : member);
              } else {
                for (const [g, text] of Object.entries(member)) {
                  const found = resolveInAgeVault(
                    read,
                    flip(`op://${v}/${i}/${f}/${g}`, pattern).replace(/^op/i, 'op'),
                  );
                  expect(found).toEqual({ ok: true, value: text });
                }
              }
            }
          }
        }
      }),
    );
  });
});

describe('?ssh-format=openssh', () => {
  const key = [
    '-----BEGIN OPENSSH PRIVATE KEY-----',
    'b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW',
    'QyNTUxOQAAACDuNSgGU7GOmMSVU8lTyAQ/5PONmG3khOqmLYRT0TKE1wAAAIiOQRDajkEQ',
    '-----END OPENSSH PRIVATE KEY-----',
  ].join('\n');

  test.each([
    ['PEM', '-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n'],
    ['a cut off key', key],
    ['something else', 'hunter2'],
  ])('refuses %s without quoting it', (_, value) => {
    const vault = vaultOf({ v: { i: { 'private key': value } } });
    const resolution = resolveInAgeVault(vault, 'op://v/i/private key?ssh-format=openssh');
    expect(resolution).toEqual({
      ok: false,
      failure: {
        class: 'permanent',
        exitCode: 65,
        message:
          '"op://v/i/private key?ssh-format=openssh": the field is not a private key in OpenSSH format, and an age vault does not convert',
        hint: 'store it as "ssh-keygen -t ed25519" writes it, or leave out "?ssh-format=openssh"',
      },
    });
  });
});
