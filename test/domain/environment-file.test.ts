import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { environmentValueProblem, serialiseEnvironmentFile } from '../../src/domain/environment-file.ts';
import { parseEnvironmentFile } from '../support/environment-file.ts';
import { oddText, variableName, variableText } from '../support/manifests.ts';

const variables = fc.uniqueArray(fc.tuple(variableName, variableText), { selector: ([name]) => name });

describe('the model of systemd’s parser', () => {
  test.each([
    ['A=x # c', 'x # c'],
    ['A=a"b"', 'a"b"'],
    ['A="x" y', 'xy'],
    ['A=\'\\$\'"\\$\\n"', '\\$$\\n'],
    ['A="a\\\nb"', 'ab'],
    ['A=a\\\nb', 'ab'],
    [' \r\n# A=1\n;A=2\nno line\nA = y \t\r\n', 'y'],
    ['A=1\nA=2', '2'],
    ['A="cut off\nB=1', 'cut off\nB=1'],
    ['A=', ''],
  ])('reads %j', (text, value) => {
    expect(parseEnvironmentFile(text)).toEqual(new Map([['A', value]]));
  });

  test.each(['export A=1', 'A-B=1', '1A=1', '\ufeffA=1'])('ignores %j', (text) => {
    expect(parseEnvironmentFile(text)).toEqual(new Map());
  });
});

test('systemd reads back exactly what was written', () => {
  fc.assert(
    fc.property(variables, (list) => {
      expect(parseEnvironmentFile(serialiseEnvironmentFile(list))).toEqual(new Map(list));
    }),
  );
});

test('a shell reads back exactly what was written', () => {
  const list = [...'"\\`$%#;[]=\'\n\t {}', 'a\\', '\\n', '$(id)', '$HOME', '🔑', ' both sides ', "'\"'"].map(
    (value, index) => [`V${index}`, value] as const,
  );
  const script = `${serialiseEnvironmentFile(list)}printf '%s\\0' ${list.map(([name]) => `"$${name}"`).join(' ')}`;
  const output = execFileSync('sh', ['-s'], { input: script, encoding: 'utf8', env: {} });
  expect(output.split('\0').slice(0, -1)).toEqual(list.map(([, value]) => value));
});

test('a value is refused exactly when systemd would refuse the file', () => {
  fc.assert(
    fc.property(oddText, (value) => {
      const refused = parseEnvironmentFile(serialiseEnvironmentFile([['A', value]])) === undefined;
      expect(environmentValueProblem('A', value) !== undefined).toBe(refused);
    }),
  );
});

test.each([
  ['a\0b', 'the value of KEY contains a NUL byte, which no environment variable can carry'],
  ['\udc00', 'the value of KEY is not valid Unicode'],
  [
    '\ufdd0',
    'the value of KEY contains a Unicode noncharacter, which systemd does not accept in environment files',
  ],
  [
    '\u{10ffff}',
    'the value of KEY contains a Unicode noncharacter, which systemd does not accept in environment files',
  ],
  ['x'.repeat(131_068), 'the value of KEY is longer than the 128 KiB that an environment variable can carry'],
  ['é'.repeat(65_534), 'the value of KEY is longer than the 128 KiB that an environment variable can carry'],
])('what cannot be carried is named without being shown (%#)', (value, message) => {
  expect(environmentValueProblem('KEY', value)).toBe(message);
});

test('a value of exactly 128 KiB with its name is fine', () => {
  expect(environmentValueProblem('KEY', 'x'.repeat(131_072 - 'KEY='.length - 1))).toBeUndefined();
});
