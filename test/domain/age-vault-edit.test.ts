import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AgeVault, parseAgeVault, resolveInAgeVault } from '../../src/domain/age-vault.ts';
import {
  referencesInAgeVault,
  removeFromAgeVault,
  serialiseAgeVault,
  setInAgeVault,
} from '../../src/domain/age-vault-edit.ts';

function read(text: string): { vault: AgeVault; recipients?: readonly string[] } {
  const result = parseAgeVault(text, 'vault');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result;
}
const vaultOf = (content: unknown): AgeVault => read(JSON.stringify(content)).vault;
const plain = (vault: AgeVault): unknown => {
  const { $recipients, ...rest } = JSON.parse(serialiseAgeVault(vault, [])) as Record<string, unknown>;
  expect($recipients).toEqual([]);
  return rest;
};
const after = (content: unknown, reference: string, value: string): unknown => {
  const edit = setInAgeVault(vaultOf(content), reference, value);
  return edit.ok ? [edit.what, plain(edit.vault)] : edit.failure.message;
};

describe('set', () => {
  test.each([
    [{}, 'op://v/i/f', ['added', { v: { i: { f: 'x' } } }]],
    [{}, 'op://v/i/s/f', ['added', { v: { i: { s: { f: 'x' } } } }]],
    [{ V: {} }, 'op://v/i/f', ['added', { V: { i: { f: 'x' } } }]],
    [{ V: { I: { g: '1' } } }, 'op://v/i/f', ['added', { V: { I: { g: '1', f: 'x' } } }]],
    [{ V: { I: { F: '1' } } }, 'op://v/i/f', ['replaced', { V: { I: { F: 'x' } } }]],
    [{ V: { I: { S: { F: '1' } } } }, 'op://v/i/f', ['replaced', { V: { I: { S: { F: 'x' } } } }]],
    [{ V: { I: { S: { F: '1' } } } }, 'op://v/i/s/g', ['added', { V: { I: { S: { F: '1', g: 'x' } } } }]],
    [{ V: { I: { f: 'x' } } }, 'op://v/i/f', ['unchanged', { V: { I: { f: 'x' } } }]],
    [
      { V: { I: { f: '1', S: { f: '2' } } } },
      'op://v/i/f',
      '"op://v/i/f": more than one field has that name',
    ],
    [{ V: { I: { S: { f: '2' } } } }, 'op://v/i/s', '"op://v/i/s": no field of that name in the item'],
    [
      { V: { I: { s: '1' } } },
      'op://v/i/S/f',
      '"op://v/i/S/f": the item has a field with the name of that section',
    ],
    [{ V: {}, v: {} }, 'op://v/i/f', '"op://v/i/f": more than one vault has that name'],
    [{ V: { I: {}, i: {} } }, 'op://v/i/f', '"op://v/i/f": more than one item has that name'],
    [
      { V: { I: { s: { a: '' }, S: { a: '' } } } },
      'op://v/i/s/f',
      '"op://v/i/s/f": no field of that name in the section',
    ],
    [{}, 'op://v/i/f?ssh-format=openssh', '"op://v/i/f?ssh-format=openssh": what is changed is a field'],
    [
      {},
      'op://v/i',
      '"op://v/i": a secret reference has three or four parts, op://vault/item/[section/]field, this one has 2: the field is missing',
    ],
  ])('in %j, %s', (content, reference, expected) => {
    expect(after(content, reference, 'x')).toEqual(expected);
  });
});

test('what has been set is found, and nothing else has changed', () => {
  const name = fc.stringMatching(/^[A-Za-c0-2_]{1,3}$/);
  const fields = fc.dictionary(name, fc.string({ unit: 'binary' }), { maxKeys: 3 });
  const item = fc.dictionary(name, fc.oneof(fc.string({ unit: 'binary' }), fields), { maxKeys: 4 });
  const vaults = fc.dictionary(name, fc.dictionary(name, item, { maxKeys: 3 }), { maxKeys: 3 });
  const path = fc.array(name, { minLength: 3, maxLength: 4 });
  fc.assert(
    fc.property(vaults, path, fc.string({ unit: 'binary' }), (content, parts, value) => {
      const before = vaultOf(content);
      const reference = `op://${parts.join('/')}`;
      const edit = setInAgeVault(before, reference, value);
      if (!edit.ok) return;
      const again = read(serialiseAgeVault(edit.vault, ['key'])).vault;
      expect(resolveInAgeVault(again, reference)).toEqual({ ok: true, value });
      const removed = removeFromAgeVault(again, reference);
      if (!removed.ok) throw new Error('not removed');
      const others = (vault: AgeVault): string[] => [...referencesInAgeVault(vault)];
      const lost = others(before).filter((one) => !others(removed.vault).includes(one));
      expect(lost.length).toBe(edit.what === 'added' ? 0 : 1);
      expect(others(removed.vault).filter((one) => !others(before).includes(one))).toEqual([]);
    }),
  );
});

test('writing and reading again changes nothing, whatever the names', () => {
  const text =
    '{"$recipients": ["a"], "__proto__": {"constructor": {"f": "1", "__proto__": {"g": "2"}}}, "e": {"i": {}}}';
  const { vault, recipients } = read(text);
  expect(recipients).toEqual(['a']);
  expect(read(serialiseAgeVault(vault, ['a', 'b']))).toEqual({ ok: true, vault, recipients: ['a', 'b'] });
  expect(referencesInAgeVault(vault)).toEqual([
    'op://__proto__/constructor/f',
    'op://__proto__/constructor/__proto__/g',
  ]);
});

test('removing takes what is empty with it', () => {
  const remove = (content: unknown, reference: string): unknown => {
    const edit = removeFromAgeVault(vaultOf(content), reference);
    return edit.ok ? plain(edit.vault) : edit.failure.message;
  };
  expect(remove({ v: { i: { s: { f: '' } } } }, 'op://V/I/F')).toEqual({});
  expect(remove({ v: { i: { s: { f: '' } }, j: { k: '' } } }, 'op://V/I/S/F')).toEqual({
    v: { j: { k: '' } },
  });
  expect(remove({ v: { i: { s: { f: '' }, g: '' } } }, 'op://V/I/F')).toEqual({ v: { i: { g: '' } } });
  expect(remove({ v: { i: { f: '' } } }, 'op://v/i/g')).toBe(
    '"op://v/i/g": no field of that name in the item',
  );
});

test('the recipients must be an array of texts, and are no vault', () => {
  const problem = (text: string): string | undefined => {
    const result = parseAgeVault(text, 'vault');
    return result.ok ? undefined : result.problems[0]?.message;
  };
  expect(problem('{"$recipients": "key"}')).toBe('must be an array of public keys, this is a string');
  expect(problem('{"$recipients": [1]}')).toContain('must be a string, a public key, this is a number');
  expect(resolveInAgeVault(read('{"$recipients": []}').vault, 'op://recipients/i/f').ok).toBe(false);
});
