import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'ini';
import { describe, expect, test } from 'vitest';
import {
  patience,
  problemsIn,
  rendered,
  renderWith,
  sample,
  secrets,
  tryAll,
  withSecrets,
  wrongToPython,
} from '../../support/render.ts';
import { temporaryTree } from '../../support/temporary.ts';

const differ =
  'a character that readers of INI take for different things: ; # " \\ %, "${", or a quote at an end';
const instead =
  'put it in double quotes if the program that reads the file takes them away, or give the config the format "text"';

describe('a value in INI', () => {
  test.each([
    ['[s]\nk = ${A}\n', 'hunter2', '[s]\nk = hunter2\n'],
    ['[s]\nk=x${A}=y  \r\n; c', "a b:c=d'e", "[s]\nk=xa b:c=d'e=y  \r\n; c"],
    ['[s]\nk =${A}', '', '[s]\nk ='],
    ['[s]\n\tk = "${A}"\n', '#;%"\\\n\t$(x)', '[s]\n\tk = "#;%\\"\\\\\\n\\t$(x)"\n'],
    ['# c\nk = ${A:number}\nl = ${B:boolean}', '5', '# c\nk = 5\nl = true'],
  ])('%j with %j', (template, value, expected) => {
    expect(rendered('ini', template, { A: value, B: 'true' })).toBe(expected);
  });

  test.each([
    [
      '# ${A}',
      '1:3: no value can be put here safely; a placeholder stands in the value of a line "key = value"',
    ],
    [
      '[${A}]',
      '1:2: no value can be put here safely; a placeholder stands in the value of a line "key = value"',
    ],
    [
      '${A} = x',
      '1:1: no value can be put here safely; a placeholder stands in the value of a line "key = value"',
    ],
    [
      'k: ${A}',
      '1:4: no value can be put here safely; a placeholder stands in the value of a line "key = value"',
    ],
    ['k[] = ${A}', '1:7: readers of INI differ on a key such as this one'],
    ['a:b = ${A}', '1:7: readers of INI differ on a key such as this one'],
    [
      '[s]\na = 1\n  b = ${A}',
      '3:7: to some readers a line that is indented further continues the one above',
    ],
    [
      'a = 1\\\nb = ${A}',
      '2:5: the line above ends with a backslash, which to some readers continues it here',
    ],
    ['a = ${A} ; c', `1:5: beside the placeholder there is ${differ}`],
    ['a = "${A}" x', `1:6: beside the placeholder there is ${differ}`],
    ['a = "\\x${A}"', `1:8: beside the placeholder there is ${differ}`],
    ["a = '${A}'", `1:6: beside the placeholder there is ${differ}`],
    [
      'a = ${A}\tx',
      '1:5: beside the placeholder there is a tab or a control character, which readers of INI take for different things',
    ],
    ['a = ${A}\\', `1:5: beside the placeholder there is ${differ}`],
  ])('%j is refused without values', (template, problem) => {
    const [first] = problemsIn('ini', template);
    expect(`${first?.position.line}:${first?.position.column}: ${first?.message}`).toBe(problem);
  });

  test.each([
    ['a;b', `it has ${differ}; ${instead}`],
    ['%(x)s', `it has ${differ}; ${instead}`],
    ['$__file{/etc/passwd}', `it has ${differ}; ${instead}`],
    ["'x'", `it has ${differ}; ${instead}`],
    [' x', `a blank at its beginning or end would be lost; ${instead}`],
    ['x\n[y]', `it has a line end, a control character, or one that does not show; ${instead}`],
    ['\x01', `it has a line end, a control character, or one that does not show; ${instead}`],
  ])('%j is refused without quotes', (value, why) => {
    expect(rendered('ini', 'k = ${A}', { A: value })).toBe(`1:5: the value of A cannot stand here: ${why}`);
  });

  test('a control character is refused within quotes', () => {
    expect(rendered('ini', 'k = "${A}"', { A: '\r' })).toBe(
      '1:6: the value of A cannot stand here: it has a control character, or one that does not show, which INI cannot carry',
    );
  });

  test('32 letters and digits always fit', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_.~+/=-]{32}$/), (value) => {
        expect(rendered('ini', 'k = ${A}', { A: value })).toBe(`k = ${value}`);
      }),
    );
  });
});

/** Sections of keys that all four readers take; values within quotes only where `quoted`. */
function files(quoted: boolean) {
  const bare = fc.constantFrom('<A>', 'x<A>', 'u:<B>@h:<C>', '<A> <B>', 'plain');
  const value = quoted ? fc.oneof(bare, fc.constantFrom('"<A>"', '"x <B>\\n\\"<C>"', '"# <C> ;"')) : bare;
  const section = fc
    .tuple(fc.array(value, { minLength: 1, maxLength: 4 }), fc.constantFrom('', '  ', '\t'))
    .map(([values, indent]) => values.map((one, i) => `${indent}key${i} = ${one}\n`).join('# c\n\n; d\n'));
  return fc
    .array(section, { minLength: 1, maxLength: 3 })
    .map((sections) => sample(sections.map((text, i) => `[section${i}]\n${text}`).join('\n')));
}

const asText = (tree: unknown): unknown =>
  // npm's `ini` makes booleans and null of what stands without quotes
  typeof tree === 'object' && tree !== null
    ? new Map(Object.entries(tree).map(([key, one]) => [key, asText(one)]))
    : String(tree);

/** Secrets of which not nearly all are refused. */
const tame = fc.oneof(
  fc.stringMatching(/^[!-~]{0,12}$/).map((text) => text.replace(/[;#"\\%'`$]/g, '.')),
  fc.stringMatching(/^[a-z0-9 .:=é🔑-]{0,20}$/u).map((text) => text.trim()),
);
const mostlyTame = fc.oneof(
  { weight: 3, arbitrary: fc.record({ A: tame, B: tame, C: tame }) },
  { weight: 1, arbitrary: secrets },
);

test(
  'npm’s ini reads what is rendered as the template, with exactly the values',
  () => {
    tryAll({
      format: 'ini',
      samples: files(true),
      readers: [(text) => asText(parse(text))],
      secrets: mostlyTame,
      refusable: (reason, values) =>
        /cannot stand here: /.test(reason) &&
        !Object.values(values).every((value) => /^[A-Za-z0-9.:=-]+$/.test(value)),
    });
  },
  patience,
);

test(
  'so does Python’s configparser, of what has no quotes',
  () => {
    const tried = tryAll({
      format: 'ini',
      samples: files(false),
      secrets: mostlyTame,
      refusable: (reason) => /cannot stand here: /.test(reason),
    });
    const reader = `
import configparser
def read(text):
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}`;
    expect(wrongToPython(reader, tried)).toEqual([]);
  },
  patience,
);

test('so does git', () => {
  for (const [{ template, plain }, values] of fc.sample(fc.tuple(files(true), secrets), 400)) {
    const result = renderWith('ini', template, values);
    if (!result.ok) continue;
    const directory = temporaryTree({ plain, rendered: result.text });
    const read = (name: string): string[] =>
      execFileSync('git', ['config', '--file', join(directory, name), '--list', '-z'], {
        encoding: 'utf8',
      }).split('\0');
    expect(read('rendered')).toEqual(withSecrets(read('plain'), values));
  }
});
