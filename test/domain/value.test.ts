import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { composeValue, parseValue, referencesOf, type ValuePart } from '../../src/domain/value.ts';
import { literally, oddText, reference } from '../support/manifests.ts';

function parts(text: string): readonly ValuePart[] {
  const result = parseValue(text);
  if (!result.ok) throw new Error(result.messages[0]);
  return result.parts;
}

const text = (content: string): ValuePart => ({ kind: 'text', text: content });
const secret = (name: string): ValuePart => ({ kind: 'reference', reference: name });

test.each([
  ['', [text('')]],
  ['plain }} text { with } braces', [text('plain }} text { with } braces')]],
  ['op://v/i/f', [secret('op://v/i/f')]],
  ['see op://v/i/f', [text('see op://v/i/f')]],
  ['{{op://v/i/f}}', [secret('op://v/i/f')]],
  [
    'a{{ op://v/i/f }}b{{\top://v/i/g\n}}',
    [text('a'), secret('op://v/i/f'), text('b'), secret('op://v/i/g')],
  ],
  ['{{ "{{" }}', [text('{{')]],
  ['{{"{{"}} op://v/i/f }}', [text('{{'), text(' op://v/i/f }}')]],
])('%j is read', (written, expected) => {
  expect(parseValue(written)).toEqual({ ok: true, parts: expected });
});

describe('composing', () => {
  test('plain text comes out as it was meant, whatever it contains', () => {
    fc.assert(
      fc.property(
        oddText.filter((odd) => !odd.startsWith('op://')),
        (odd) => {
          expect(composeValue(parts(literally(odd)), new Map())).toBe(odd);
        },
      ),
    );
  });

  test('secrets go in as they are and are not looked at again, even if they hold references themselves', () => {
    const hostile = fc.oneof(
      oddText,
      reference,
      reference.map((inner) => `{{ ${inner} }}`),
      fc.constant("$&$1$`$'"),
    );
    fc.assert(
      fc.property(fc.uniqueArray(reference, { minLength: 1, maxLength: 4 }), hostile, (references, value) => {
        const resolved = new Map(references.map((one) => [one, `<${one}|${value}>`]));
        const written = references.map((one) => `-{{ ${one} }}`).join('');
        expect(composeValue(parts(written), resolved)).toBe(
          references.map((one) => `-<${one}|${value}>`).join(''),
        );
      }),
    );
  });

  test('a reference that was not resolved is a bug, not an empty string', () => {
    expect(() => composeValue([secret('op://v/i/f')], new Map())).toThrow('not resolved');
  });
});

test('references are collected once each, in the order of their first appearance', () => {
  const values = ['{{ op://v/i/b }}{{ op://v/i/a }}', 'op://v/i/b', 'text', 'op://v/i/c'].map(parts);
  expect(referencesOf(values)).toEqual(['op://v/i/b', 'op://v/i/a', 'op://v/i/c']);
});
