import { describe, expect, test } from 'vitest';
import { cutTo, padTo, textWidth, wrapText } from '../../src/domain/text-width.ts';

test.each([
  ['', 0],
  ['a b', 3],
  ['äöü', 3],
  ['漢字', 4],
  ['한글', 4],
  ['Ａ', 2],
  ['🔑', 2],
  ['e\u0301', 1],
  ['\u200b', 0],
  ['…–', 2],
])('%j takes %d columns', (text, width) => {
  expect(textWidth(text)).toBe(width);
});

test('a text is padded to columns, not to characters', () => {
  expect(padTo('漢', 4)).toBe('漢  ');
  expect(padTo('too long', 4)).toBe('too long');
});

test.each([
  ['fits', 4, 'fits'],
  ['does not', 4, 'doe…'],
  ['漢字漢字', 6, '漢字…'],
  ['漢字', 3, '漢…'],
  ['x', 0, '…'],
])('%j is cut to %d columns', (text, width, cut) => {
  expect(cutTo(text, width)).toBe(cut);
});

describe('a text is broken into lines', () => {
  test.each([
    ['', 10, ['']],
    ['a few words here', 10, ['a few', 'words here']],
    ['averylongword here', 6, ['averyl', 'ongwor', 'd here']],
    ['漢字漢字 漢字', 5, ['漢字', '漢字', '漢字']],
    ['漢', 1, ['漢']],
  ])('%j at %d columns', (text, width, lines) => {
    expect(wrapText(text, width)).toEqual(lines);
  });
});
