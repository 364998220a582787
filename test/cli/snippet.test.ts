import { expect, test } from 'vitest';
import { snippetOf, withoutValues } from '../../src/cli/snippet.ts';

test('a snippet has the line, and a caret below the place', () => {
  expect(snippetOf('a\n\tbc\n', { line: 2, column: 3 })).toBe('  2 |  bc\n    |   ^');
});

test('of a long line it has the surroundings', () => {
  const text = `${'x'.repeat(1000)}HERE${'y'.repeat(1000)}`;
  const [line = '', caret = ''] = (snippetOf(text, { line: 1, column: 1001 }) ?? '').split('\n');
  expect(line.length).toBeLessThan(140);
  expect(line.slice(caret.indexOf('^'), caret.indexOf('^') + 4)).toBe('HERE');
});

test('nothing for a line that is not there or empty', () => {
  expect(snippetOf('a\n\nb', { line: 2, column: 1 })).toBeUndefined();
  expect(snippetOf('a', { line: 7, column: 1 })).toBeUndefined();
});

test('control characters do not reach a terminal', () => {
  expect(snippetOf('a\u001b[31mb', { line: 1, column: 1 })).toBe('  1 | a [31mb\n    | ^');
});

test('values of a manifest are covered, names and references are not, and nothing moves', () => {
  const text = '{"a": "hunter2", "b" : "op://v/i/f", "c\\"": ["x\\"y", "{{ op://v/i/f }}"]}';
  const covered = withoutValues(text);
  expect(covered).toBe('{"a": "·······", "b" : "op://v/i/f", "c\\"": ["····", "{{ op://v/i/f }}"]}');
  expect(covered).toHaveLength(text.length);
});
