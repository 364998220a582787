import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSecretReference } from '../../src/domain/secret-reference.ts';
import { reference } from '../support/manifests.ts';

test.each([
  ['op://Homelab/LiteLLM/db-password', { vault: 'Homelab', item: 'LiteLLM', field: 'db-password' }],
  [
    'op://v/i/Section 1/one-time password',
    { vault: 'v', item: 'i', section: 'Section 1', field: 'one-time password' },
  ],
  ['op://v/i/f?attribute=otp', { vault: 'v', item: 'i', field: 'f', query: 'attribute=otp' }],
  [
    'op://v/Homelab SSH - javiersc/private key?ssh-format=openssh',
    { vault: 'v', item: 'Homelab SSH - javiersc', field: 'private key', query: 'ssh-format=openssh' },
  ],
])('%s is read', (text, parts) => {
  expect(parseSecretReference(text)).toEqual({ ok: true, reference: parts });
});

test('a reference is the sum of its parts', () => {
  fc.assert(
    fc.property(reference, (text) => {
      const result = parseSecretReference(text);
      if (!result.ok) throw new Error(result.message);
      const { vault, item, section, field, query } = result.reference;
      const parts = [vault, item, ...(section === undefined ? [] : [section]), field];
      expect(`op://${parts.join('/')}${query === undefined ? '' : `?${query}`}`).toBe(text);
    }),
  );
});

test.each(['', 'op:/a/b/c', 'OP://a/b/c', ' op://a/b/c', 'https://a/b/c'])(
  '%j is not a reference',
  (text) => {
    expect(parseSecretReference(text)).toEqual({
      ok: false,
      message: 'a secret reference begins with "op://"',
    });
  },
);
