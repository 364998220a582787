import { expect, test } from 'vitest';
import { snippetOf } from '../../src/cli/snippet.ts';
import { textWidth } from '../../src/domain/text-width.ts';

test('a snippet has the line, and a caret below the place', () => {
  expect(snippetOf('a\n\tbc\n', { line: 2, column: 3 })).toBe('  2 |  bc\n    |   ^');
});

test('of a long line it has the surroundings', () => {
  const text = `${'x'.repeat(1000)}HERE${'y'.repeat(1000)}`;
  const [line = '', caret = ''] = (snippetOf(text, { line: 1, column: 1001 }) ?? '').split('\n');
  expect(line.length).toBeLessThan(140);
  expect(line.slice(caret.indexOf('^'), caret.indexOf('^') + 4)).toBe('HERE');
});

test('the caret stands below the place behind wide characters, too', () => {
  expect(snippetOf('漢字x', { line: 1, column: 3 })).toBe('  1 | 漢字x\n    |     ^');
});

test.each([40, 80])(
  'on a terminal of %d columns no line wraps, and the caret is where it must be',
  (columns) => {
    for (const text of [
      `${'x'.repeat(100)}HERE${'y'.repeat(100)}`,
      `${'漢'.repeat(100)}HERE${'漢'.repeat(100)}`,
    ]) {
      const [line = '', caret = ''] = (snippetOf(text, { line: 1, column: 101 }, columns) ?? '').split('\n');
      expect(Math.max(textWidth(line), textWidth(caret))).toBeLessThanOrEqual(columns);
      expect(textWidth(line.slice(0, line.indexOf('HERE')))).toBe(caret.indexOf('^'));
    }
  },
);

test('nothing for a line that is not there or empty', () => {
  expect(snippetOf('a\n\nb', { line: 2, column: 1 })).toBeUndefined();
  expect(snippetOf('a', { line: 7, column: 1 })).toBeUndefined();
});

test('control characters do not reach a terminal', () => {
  expect(snippetOf('a\u001b[31mb', { line: 1, column: 1 })).toBe('  1 | a [31mb\n    | ^');
});

test('nothing of a line that is covered as a whole', () => {
  expect(snippetOf('{\n  ····', { line: 2, column: 3 })).toBeUndefined();
});
