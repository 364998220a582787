import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  parseTemplate,
  placeholderValue,
  renderText,
  type TemplatePart,
  type TemplateProblem,
  templateNeeds,
  undeclaredNames,
} from '../../src/domain/template.ts';
import { positionsIn } from '../../src/domain/text-position.ts';
import { oddText, reference, variableName } from '../support/manifests.ts';

function parts(text: string): readonly TemplatePart[] {
  const result = parseTemplate(text);
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join('; '));
  return result.parts;
}

function problems(text: string): readonly TemplateProblem[] {
  const result = parseTemplate(text);
  return result.ok ? [] : result.problems;
}

/** Parts in short: text as it is, placeholders in brackets. */
function short(text: string): readonly unknown[] {
  return parts(text).map((part) => {
    if (part.kind === 'text') return part.text;
    return part.kind === 'name' ? [part.name, part.type] : [part.reference];
  });
}

/** A text as it is written in a template to stand for itself. */
const asTemplate = (text: string): string =>
  text.replace(/\$\{|\{\{/g, (found) => (found === '${' ? '$${' : '{{ "{{" }}'));

describe('a template', () => {
  test.each([
    ['', []],
    ['plain $HOME $(id) $$ $ } }} { text', ['plain $HOME $(id) $$ $ } }} { text']],
    ['${A}', [['A', 'string']]],
    ['a${_b1}c', ['a', ['_b1', 'string'], 'c']],
    [
      '${N:number}${B:boolean}',
      [
        ['N', 'number'],
        ['B', 'boolean'],
      ],
    ],
    ['{{op://v/i/f}}', [['op://v/i/f']]],
    ['{{\t op://v/i/a b?attribute=otp }}}}', [['op://v/i/a b?attribute=otp'], '}}']],
    ['{"a":{{ op://v/i/f }}}', ['{"a":', ['op://v/i/f'], '}']],
    ['$${A}', ['${', 'A}']],
    ['$$${A}', ['$', '${', 'A}']],
    ['$$$${A}', ['$$', '${', 'A}']],
    ['{{ "{{" }} op://v/i/f }}', ['{{', ' op://v/i/f }}']],
    ['{{"{{"}}{{"{{"}}', ['{{', '{{']],
    ['$${{ x', ['${', '{ x']],
  ])('%j is read', (text, expected) => {
    expect(short(text)).toEqual(expected);
  });

  test.each([
    ['${', 1, 1, '"${" is not followed by a name; write $${ for "${" itself'],
    ['a\n b${}', 2, 3, '"${" is not followed by a name; write $${ for "${" itself'],
    ['${1}', 1, 1, '"${" is not followed by a name; write $${ for "${" itself'],
    ['${ A }', 1, 1, '"${" is not followed by a name; write $${ for "${" itself'],
    ['${{ op://v/i/f }}', 1, 1, '"${" is not followed by a name; write $${ for "${" itself'],
    [
      '🔑\r\n🔑${FOO:-x}',
      2,
      3,
      'after "${FOO" a closing "}" is expected; there are no defaults and no other shell syntax, and $${ stands for "${" itself',
    ],
    [
      '${FOO',
      1,
      1,
      'after "${FOO" a closing "}" is expected; there are no defaults and no other shell syntax, and $${ stands for "${" itself',
    ],
    [
      '${FOO:number',
      1,
      1,
      'after "${FOO" a closing "}" is expected; there are no defaults and no other shell syntax, and $${ stands for "${" itself',
    ],
    ['${FOO:integer}', 1, 1, 'the type of "FOO" is none of number, boolean'],
    ['${FOO:}', 1, 1, 'the type of "FOO" is none of number, boolean'],
    ['{{', 1, 1, '"{{" is not closed by "}}" on its line; write {{ "{{" }} for two braces'],
    [
      'a\r {{ op://v/i/f\n}}',
      2,
      2,
      '"{{" is not closed by "}}" on its line; write {{ "{{" }} for two braces',
    ],
    [
      '{{ .Values.x }}',
      1,
      1,
      'between "{{" and "}}": a secret reference begins with "op://"; write {{ "{{" }} for two braces',
    ],
    [
      '{{ op://v/i }}',
      1,
      1,
      'between "{{" and "}}": a secret reference has three or four parts, op://vault/item/[section/]field, this one has 2: the field is missing; write {{ "{{" }} for two braces',
    ],
  ])('%j is refused with the place', (text, line, column, message) => {
    const [first] = problems(text);
    expect(first).toMatchObject({ position: { line, column }, message });
  });

  test('a type that is nearly right gets a hint', () => {
    expect(problems('${A:numbr}')).toMatchObject([{ hint: 'did you mean "number"?' }]);
    expect(problems('${A:bool}')[0]).not.toHaveProperty('hint');
  });

  test('every problem is found, not only the first', () => {
    expect(problems('${A}${\n{{ x }} ${B:-1}').map(({ position }) => position)).toEqual([
      { line: 1, column: 5 },
      { line: 2, column: 1 },
      { line: 2, column: 9 },
    ]);
  });

  test('any text can be written so that it stands for itself', () => {
    fc.assert(
      fc.property(
        fc.oneof(oddText, fc.string({ unit: fc.constantFrom('$', '{', '}', 'a', '"') })),
        (text) => {
          expect(
            renderText(parts(asTemplate(text)), () => {
              throw new Error('there is no placeholder');
            }),
          ).toBe(text);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('its parts cover it without gaps, and tell where they are', () => {
    const piece = fc.oneof(
      oddText.map(asTemplate),
      variableName.map((name) => `\${${name}}`),
      reference.map((one) => `{{ ${one} }}`),
      fc.constantFrom('\n', '\r\n', '\r', '$${', '{{ "{{" }}'),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        // one that ends as another begins is another template
        const text = pieces.join(' ');
        let at = 0;
        for (const part of parts(text)) {
          expect(part.offset).toBe(at);
          at += part.length;
          if (part.kind === 'text') continue;
          const written = text.slice(part.offset, at);
          expect(written).toMatch(/^(?:\$\{.*\}|\{\{.*\}\})$/);
          const line = text.split(/\r\n|\n|\r/)[part.position.line - 1] ?? '';
          expect(line.slice(part.position.column - 1, part.position.column - 1 + written.length)).toBe(
            written,
          );
        }
        expect(at).toBe(text.length);
      }),
    );
  });

  test('of a megabyte with thousands of placeholders is read in no time', () => {
    const text = `${'x'.repeat(100)}\${A}\n`.repeat(10_000);
    expect(parts(text)).toHaveLength(20_001);
  });
});

describe('positions', () => {
  test.each([
    ['', 0, 1, 1],
    ['ab', 2, 1, 3],
    ['a\nb', 1, 1, 2],
    ['a\nb', 2, 2, 1],
    ['a\r\nb', 2, 1, 3],
    ['a\r\nb', 3, 2, 1],
    ['\r\r', 2, 3, 1],
    ['🔑x', 2, 1, 3],
  ])('in %j, offset %i', (text, offset, line, column) => {
    expect(positionsIn(text)(offset)).toEqual({ line, column });
  });
});

test('what a template needs is told once each, in the order of first appearance', () => {
  expect(
    templateNeeds(parts('{{ op://v/i/b }}${B}$${C}${A:number}{{ op://v/i/a }}${B}{{op://v/i/b}}')),
  ).toEqual({
    names: ['B', 'A'],
    references: ['op://v/i/b', 'op://v/i/a'],
  });
});

describe('names that are not declared', () => {
  test('are problems with their place, and a hint when one is near', () => {
    expect(
      undeclaredNames(parts('${DB_PASSWORD}\n  ${DB_PASWORD:number} ${OTHER}'), ['DB_PASSWORD']),
    ).toEqual([
      {
        position: { line: 2, column: 3 },
        message:
          '"DB_PASWORD" is declared neither in the service\'s environment nor in the values of this config',
        hint: 'did you mean "DB_PASSWORD"?',
      },
      {
        position: { line: 2, column: 24 },
        message: '"OTHER" is declared neither in the service\'s environment nor in the values of this config',
        hint: 'declare it, or write $${ for "${" itself',
      },
    ]);
  });

  test('names of Object.prototype are names like others', () => {
    expect(undeclaredNames(parts('${constructor}'), [])).toHaveLength(1);
    expect(undeclaredNames(parts('${__proto__}'), ['__proto__'])).toEqual([]);
  });
});

test('values go in as they are and are not looked at again', () => {
  const hostile = fc.oneof(
    oddText,
    fc.constantFrom('${A}', '${B}', '$${', '{{ op://v/i/f }}', '{{ "{{" }}', "$&$1$`$'"),
  );
  fc.assert(
    fc.property(hostile, hostile, hostile, (a, b, secret) => {
      const values = {
        names: new Map([
          ['A', a],
          ['B', b],
        ]),
        references: new Map([['op://v/i/f', secret]]),
      };
      expect(
        renderText(parts('<${A}|${B:number}{{ op://v/i/f }}>${A}'), (one) => placeholderValue(one, values)),
      ).toBe(`<${a}|${b}${secret}>${a}`);
    }),
  );
});

test('a value that is missing is a bug, not an empty string', () => {
  const [one] = parts('${A}');
  if (one?.kind !== 'name') throw new Error('a name was expected');
  expect(() => placeholderValue(one, { names: new Map(), references: new Map() })).toThrow('has no value');
});
