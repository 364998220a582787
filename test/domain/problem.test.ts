import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatJsonPath, formatProblem, quoteName } from '../../src/domain/problem.ts';
import { oddText } from '../support/manifests.ts';

test.each([
  [{}, '/m: wrong'],
  [{ position: { line: 2, column: 3 } }, '/m:2:3: wrong'],
  [{ path: [] }, '/m: $: wrong'],
  [{ hint: 'mend it' }, '/m: wrong (mend it)'],
  [
    { position: { line: 2, column: 3 }, path: ['services', 'a@b', 0], hint: 'mend it', service: 'a@b' },
    '/m:2:3: $.services["a@b"][0]: wrong (mend it)',
  ],
])('a problem with %j is told in one line', (more, expected) => {
  expect(formatProblem({ file: '/m', message: 'wrong', ...more })).toBe(expected);
});

test('a path leads to one place only', () => {
  const path = fc.array(fc.oneof(oddText, fc.nat(9)), { maxLength: 4 });
  fc.assert(
    fc.property(path, path, (one, other) => {
      expect(formatJsonPath(one) === formatJsonPath(other)).toBe(
        JSON.stringify(one) === JSON.stringify(other),
      );
    }),
  );
});

test('a name in a message can be read back, and neither ends nor rearranges the line', () => {
  fc.assert(
    fc.property(fc.oneof(oddText, fc.constantFrom('\u202e', '\x9b31m', '\u2066')), (name) => {
      const quoted = quoteName(name);
      expect(JSON.parse(quoted)).toBe(name);
      expect(quoted).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Surrogate}]/u);
      expect(formatProblem({ file: '/m', path: [name], message: quoted })).not.toMatch(
        /[\p{Cc}\p{Zl}\p{Zp}]/u,
      );
    }),
  );
});
