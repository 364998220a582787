import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonFast } from '../../src/domain/json-text.ts';
import { parseJsonTree } from '../../src/domain/json-tree.ts';
import { positionsIn } from '../../src/domain/text-position.ts';

/** JSON with a slip somewhere, or none. */
const nearlyJson = fc
  .tuple(
    fc.json({ maxDepth: 3 }),
    fc.nat(),
    fc.nat(2),
    fc.constantFrom(
      '',
      '"',
      '{',
      '}',
      '[',
      ',',
      ':',
      '\\',
      ' ',
      '\n',
      '\t',
      '0',
      '-',
      '/**/',
      '\u00a0',
      '\ufeff',
      '\x01',
    ),
  )
  .map(([text, place, removed, inserted]) => {
    const at = place % (text.length + 1);
    return text.slice(0, at) + inserted + text.slice(at + removed);
  });

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test('what the fast parser takes, the slow one reads in the same way, without errors', () => {
  fc.assert(
    fc.property(nearlyJson, (text) => {
      const fast = parseJsonFast(text);
      if (!fast) return;
      const tree = parseJsonTree(text);
      expect(tree.errors).toEqual([]);
      expect(JSON.stringify(tree.value)).toBe(JSON.stringify(fast.value));
    }),
  );
});

test('the slow parser has errors without a path exactly for what is not JSON', () => {
  fc.assert(
    fc.property(nearlyJson, (text) => {
      const syntax = parseJsonTree(text).errors.filter(({ path }) => path === undefined);
      expect(syntax.length === 0).toBe(parses(text));
    }),
  );
});

test('JSON as programs write it never needs the slow parser', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2, '\t'), (json, indent) => {
      const text = JSON.stringify(json, undefined, indent);
      expect(parseJsonFast(text)).toEqual({ value: JSON.parse(text) });
    }),
  );
});

test.each(['[1.0]', '[-0]', '[1e400]', '{"n":123456789012345678901}'])(
  'both parsers take %s alike',
  (text) => {
    expect(parseJsonFast(text)).toEqual({ value: parseJsonTree(text).value });
  },
);

test.each([
  ['a duplicate member', '{"a":1,"a":1}'],
  ['a duplicate member, white space between', '{ "a" : {"b": "c"} ,\n "a":[] }'],
  ['a duplicate member by an escape', '{"a":1,"\\u0061":1}'],
  ['numbers as names, which objects put in order', '{"2":1,"1":1}'],
  ['numbers as names beside escapes', '{"2":"\\n","1":1}'],
  ['an escape that need not be', '["\\u0041"]'],
  ['nesting without end', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
])('the fast parser leaves to the slow one: %s', (_, text) => {
  expect(parseJsonFast(text)).toBeUndefined();
});

test('a member given twice is an error where it stands the second time, and the first one counts', () => {
  const tree = parseJsonTree('{\n "a": 1,\n "b": {"c": 2, "c": 3, "\\u0063": 4}\n}');
  expect(tree.value).toEqual({ a: 1, b: { c: 2 } });
  expect(tree.errors).toEqual([
    {
      position: { line: 3, column: 16 },
      path: ['b', 'c'],
      message: 'this member is given twice: keep one of them',
    },
    {
      position: { line: 3, column: 24 },
      path: ['b', 'c'],
      message: 'this member is given twice: keep one of them',
    },
  ]);
});

test('a member may be called as what objects have from birth', () => {
  const text = '{"__proto__":{"version":1},"constructor":2,"toString":3}';
  expect(JSON.stringify(parseJsonTree(text).value)).toBe(text);
  expect(JSON.stringify(parseJsonFast(text)?.value)).toBe(text);
});

test('of an object that is given twice the members of both are seen', () => {
  expect(parseJsonTree('{"a":{"x":1,"y":2},"a":{"y":3,"z":4}}').value).toEqual({ a: { x: 1, y: 2, z: 4 } });
  expect(parseJsonTree('{"a":1,"a":{"y":3}}').value).toEqual({ a: { y: 3 } });
});

test('thousands of errors take no more time than thousands of members', () => {
  const time = (text: string, places: readonly string[]): number => {
    const begin = performance.now();
    const { locate, errors } = parseJsonTree(text);
    for (const place of places) locate([place], 'value');
    expect(errors.length).toBeLessThan(places.length + 1);
    return performance.now() - begin;
  };
  const names = Array.from({ length: 20_000 }, (_, index) => `a-name-${index}`);
  const members = (between: string): string => `{${names.map((name) => `"${name}":1`).join(between)}}`;
  // a look at the whole text for each of them would take a hundred times as long
  expect(time(members(' '), names)).toBeLessThan(20 * time(members(','), names) + 1000);
});

describe('positions', () => {
  const text = '{\r\n  "a": [1, {"é🔑": "x"}],\r  "b":\n null}';
  test.each([
    [[], 'value', 1, 1],
    [['a'], 'name', 2, 3],
    [['a'], 'value', 2, 8],
    [['a', 1], 'value', 2, 12],
    [['a', 1], 'name', 2, 12],
    [['a', 1, 'é🔑'], 'name', 2, 13],
    [['a', 1, 'é🔑'], 'value', 2, 20],
    [['b'], 'value', 4, 2],
  ] as const)('of %j (%s) are %d:%d', (path, what, line, column) => {
    expect(parseJsonTree(text).locate(path, what)).toEqual({ line, column });
  });

  test.each([[['c']], [['a', 7]], [['a', 'x']], [['b', 'c', 'd']]])(
    'of %j, which is not there, are none',
    (path) => {
      expect(parseJsonTree(text).locate(path, 'value')).toBeUndefined();
    },
  );

  test('count lines however they end', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string(), { maxLength: 5 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        (parts, end) => {
          const lines = parts.map((line) => line.replace(/[\r\n]/g, ''));
          const before = [...lines, ''].join(end);
          expect(positionsIn(`${before}x`)(before.length)).toEqual({ line: lines.length + 1, column: 1 });
        },
      ),
    );
  });
});
