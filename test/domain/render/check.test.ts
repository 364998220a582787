import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FormatName, formatNames } from '../../../src/domain/config-format.ts';
import { checkTemplate } from '../../../src/domain/render/check.ts';
import { parseTemplate } from '../../../src/domain/template.ts';
import { renderWith } from '../../support/render.ts';

const litellm = [
  'model_list:',
  '  - model_name: gpt # "${NOT_HERE}"',
  '    api_key: ${OPENAI_KEY}',
  'general_settings:',
  '  master_key: "${LITELLM_MASTER_KY}"',
  '  port: x${PORT:number}',
].join('\n');

describe('a template is checked without secrets', () => {
  test('all of its problems are found, in the order of their places', () => {
    expect(checkTemplate(litellm, 'yaml', ['LITELLM_MASTER_KEY', 'OPENAI_KEY', 'PORT', 'NOT_HERE'])).toEqual([
      {
        position: { line: 2, column: 24 },
        message:
          'no value can be put here safely; a placeholder stands for a value or a key, or for part of one, not in a comment, an anchor, a tag or a directive',
        hint: 'write $${ for "${" itself',
      },
      {
        position: { line: 5, column: 16 },
        message:
          '"LITELLM_MASTER_KY" is declared neither in the service\'s environment nor in the values of this config',
        hint: 'did you mean "LITELLM_MASTER_KEY"?',
      },
      {
        position: { line: 6, column: 10 },
        message: 'a number must stand by itself, not in quotes and with nothing beside it',
        hint: 'for its text write ${PORT}',
      },
    ]);
  });

  test('what cannot be taken apart is not looked at further', () => {
    expect(checkTemplate('{"a": ${A:-x}, "b": {{ vault.x }}', 'json', [])).toMatchObject([
      { position: { line: 1, column: 7 } },
      { position: { line: 1, column: 21 } },
    ]);
  });

  test.each([
    ['json', '{"a": ${A}'],
    ['yaml', 'a: ${A}: b'],
    ['toml', 'a = ${A}]'],
    ['env', 'A="${A}'],
  ] as const)('a file that is not %s is a problem', (format, template) => {
    expect(checkTemplate(template, format, ['A'])).toMatchObject([{ message: /^not valid / }]);
  });

  test('names in text, and in files without any placeholder, are looked at likewise', () => {
    expect(checkTemplate('# ${A}"', 'text', ['A'])).toEqual([]);
    expect(checkTemplate('# ${B}"', 'text', ['A'])).toHaveLength(1);
    expect(checkTemplate('{"a": }', 'json', [])).toMatchObject([{ position: { line: 1, column: 7 } }]);
  });

  test('it finds something if and only if a harmless value is refused', () => {
    const piece = fc.constantFrom(
      ...[
        '${A}',
        '{{ op://v/i/A }}',
        '"',
        "'",
        ' ',
        '\n',
        '\t',
        '#',
        'a',
        'k: ',
        'k = ',
        'k=',
        '- ',
        '|\n  ',
      ],
      ...['{', '}', '[', ']', ',', ':', '\\', '1', '&a ', '!!str ', '*a', '"""', ';', '"k": ', '>-\n '],
    );
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join('')),
        fc.constantFrom<FormatName>(...formatNames),
        (template, format) => {
          fc.pre(parseTemplate(template).ok);
          const problems = checkTemplate(template, format, ['A']);
          const result = renderWith(format, template, { A: 'harmless' });
          expect(result.ok ? [] : result.problems).toEqual(problems);
          // and nothing is changed by it
          if (!template.includes('A')) expect(result.ok ? result.text : template).toBe(template);
        },
      ),
      { numRuns: 20_000 },
    );
  });
});
