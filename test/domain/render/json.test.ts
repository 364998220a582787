import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonTree } from '../../../src/domain/json-tree.ts';
import {
  patience,
  problemsIn,
  rendered,
  renderWith,
  sample,
  tryAll,
  wrongToPython,
} from '../../support/render.ts';

describe('a value in JSON', () => {
  test.each([
    ['{"a": ${A}}', 'x"y', '{"a": "x\\"y"}'],
    ['[${A}, 1]', '5', '["5", 1]'],
    ['${A}', '', '""'],
    ['{"a": "<${A}>"}', '\n\\', '{"a": "<\\n\\\\>"}'],
    ['{"${A}": 1}', '","x":"', '{"\\",\\"x\\":\\"": 1}'],
    ['{\r\n\t"a" :\t"${A}"  }\n', '\u2028\x7f', '{\r\n\t"a" :\t"\\u2028\\u007f"  }\n'],
    ['{"a": "$${A} {{ "{{" }} ${A}"}', 'v', '{"a": "${A} {{ v"}'],
    ['{"a": ${A:number}, "b": ${B:boolean}}', '-1.5e3', '{"a": -1.5e3, "b": true}'],
    ['{"a": 80000, "b": "800001 1${A}1"}', '9', '{"a": 80000, "b": "800001 191"}'],
  ])('%j', (template, value, expected) => {
    expect(rendered('json', template, { A: value, B: 'true' })).toBe(expected);
  });

  test.each([
    ['{"a": ${A}', '1:7: not valid JSON: the file ends here, and a closing brace "}" is missing'],
    ['{"a": $${', '1:7: not valid JSON: this is not a JSON value'],
    ['{\n  // ${A}\n  "a": 1}', '2:3: not valid JSON: JSON has no comments'],
    ['{"a": 1, "a": ${A}}', '1:10: not valid JSON: this member is given twice: keep one of them'],
    [
      '{"a": 1${A}}',
      '1:8: a value without quotes must be one placeholder alone; put the whole in double quotes',
    ],
    [
      '{"a": ${A}${B}}',
      '1:7: a value without quotes must be one placeholder alone; put the whole in double quotes',
    ],
    ['{"a": "${A:number}"}', '1:8: a number must stand by itself, not in quotes and with nothing beside it'],
    ['{"${B:boolean}": 1}', '1:3: a boolean must stand by itself, not in quotes and with nothing beside it'],
    ['{"a": "\\u00${A}"}', '1:12: a placeholder cannot be part of an escape'],
    ['{"a": "\\${A}"}', '1:7: not valid JSON: this is not a valid escape'],
    ['{ "a" ${A} : 1}', '1:7: not valid JSON: a colon is expected here'],
  ])('%j is refused without values', (template, problem) => {
    const [first] = problemsIn('json', template);
    expect(`${first?.position.line}:${first?.position.column}: ${first?.message}`).toBe(problem);
    expect(rendered('json', template, { A: 'a', B: 'true' })).toContain(': ');
  });

  test.each([
    ['{"a": ${A:number}}', '"5"', 'the value of A is not a decimal number'],
    ['{"a": ${A:number}}', '0x10', 'the value of A is not a decimal number'],
    ['{"a": ${A:number}}', '5, "b": 6', 'the value of A is not a decimal number'],
    ['{"a": ${A:number}}', '', 'the value of A is not a decimal number'],
    ['{"a": ${A:number}}', '1e999', 'the value of A is too large a number'],
    ['{"a": ${A:boolean}}', 'yes', 'the value of A is neither true nor false'],
    ['{"a": "{{ op://v/i/A }}"}', '\ud800', 'the value of op://v/i/A is not valid Unicode'],
    ['{"x": 1, "${A}": 2}', 'x', 'with the value of A in place the file would not read as its template does'],
  ])('%j is refused with %j', (template, value, message) => {
    expect(rendered('json', template, { A: value })).toMatch(/^1:\d+: /);
    expect(rendered('json', template, { A: value }).replace(/^1:\d+: /, '')).toBe(message);
  });
});

const scalar = fc.constantFrom('<<A>>', '<<B>>', '"<A>"', '"a <B>\\n<C>b"', '"<A><B>"', '1', 'null', '"x"');
const { document } = fc.letrec<{ document: string; value: string }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, scalar, tie('document')),
  document: fc.oneof(
    fc
      .subarray(['<A>', '<B>', 'x<C>', 'x<A>', 'plain'])
      .map((keys) => `{${keys.map((key, i) => `"${key}": ${i}`).join()}}`),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(', ')}]`),
    fc
      .array(fc.tuple(fc.constantFrom('<A>', '', '-<B>'), tie('value')), { maxLength: 4 })
      .map(
        (members) => `{\n ${members.map(([key, value], i) => `"${i}${key}":\t${value}`).join(' ,\n ')} }\n`,
      ),
  ),
}));

test(
  'any template with any values reads as the template does, with exactly the values',
  () => {
    // not JSON.parse, which confuses names (docs/notes/node.md)
    const readers = [(text: string) => parseJsonTree(text).value];
    const tried = tryAll({ format: 'json', samples: document.map(sample), readers });
    expect(wrongToPython('def read(text): return json.loads(text)', tried)).toEqual([]);
  },
  patience,
);

test('a megabyte of template with a thousand placeholders, and a value of a megabyte, are rendered', () => {
  const rows = Array.from({ length: 1000 }, (_, i) => `"k${i}": ["\${A}", "${'x'.repeat(1000)}"]`);
  const large = '"\\\n€'.repeat(250_000);
  expect(renderWith('json', `{${rows.join(',\n')}}`, { A: 'v"' }).ok).toBe(true);
  expect(renderWith('json', '["${A}"]', { A: large }).ok).toBe(true);
});
