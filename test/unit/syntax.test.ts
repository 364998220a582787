import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lineText, quoteArgument, quotePath, quoteProgram } from '../../src/unit/syntax.ts';
import { oddText } from '../support/manifests.ts';

const text = oddText.map((odd) => odd.replaceAll('\0', '').toWellFormed()).filter((odd) => odd !== '');
const pathText = text.map((odd) => `/${odd.replace(/\p{Cc}/gu, '')}`);

/**
 * One word as systemd takes it apart (systemd.service(5) "COMMAND LINES", systemd.syntax(7) "QUOTING",
 * systemd.unit(5) "SPECIFIERS"): quotes off, escapes and specifiers undone. Fails for more than one word.
 */
function readWord(
  word: string,
  options: { readonly cEscapes: boolean; readonly variables: boolean },
): string {
  const inner = /^"((?:[^"\\]|\\.)*)"$/s.exec(word)?.[1];
  const bare = /^[^\s"'\\;]+$/.exec(word)?.[0];
  const quoted = inner ?? bare;
  if (quoted === undefined) throw new Error(`not one word: ${word}`);
  const unquoted = quoted.replace(/\\(?:x([0-9a-f]{2})|(.))/gs, (_, hex?: string, c?: string) => {
    if (hex === undefined) return '"\\'.includes(c ?? ' ') ? (c ?? '') : 'an unknown escape';
    return options.cEscapes ? String.fromCharCode(Number.parseInt(hex, 16)) : `x${hex}`;
  });
  const unspecified = unquoted.replace(/%(.)/gs, (_, c: string) => (c === '%' ? '%' : 'a specifier'));
  return options.variables
    ? unspecified.replace(/\$(.?)/gs, (_, c: string) => (c === '$' ? '$' : 'a variable'))
    : unspecified;
}

describe('text comes out of systemd as it went in', () => {
  test.each([
    ['an argument', quoteArgument, text, { cEscapes: true, variables: true }],
    ['a program', quoteProgram, pathText, { cEscapes: true, variables: false }],
    ['a path', quotePath, pathText, { cEscapes: false, variables: false }],
  ])('as %s, on one line', (_, quote, texts, options) => {
    fc.assert(
      fc.property(texts, (odd) => {
        const quoted = quote(odd);
        expect(readWord(quoted, options)).toBe(odd);
        expect(quoted).not.toMatch(/[\r\n]/);
      }),
      { numRuns: 500 },
    );
  });
});

test.each(['/usr/bin/unit-secrets', 'backup@nas:1,2+3', 'a_b.c'])(
  'what needs no quotes has none: %s',
  (plain) => {
    for (const quote of [quoteArgument, quoteProgram, quotePath]) expect(quote(plain)).toBe(plain);
  },
);

test('text that takes the rest of a line neither ends it, goes on behind it, nor holds a specifier', () => {
  fc.assert(
    fc.property(oddText, (odd) => {
      const line = lineText(odd);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
      expect(line).not.toMatch(/[\0-\x1f\x7f-\x9f]|\p{Noncharacter_Code_Point}|\p{Surrogate}|\\$/u);
      expect(line.replaceAll('%%', '')).not.toContain('%');
    }),
  );
});
