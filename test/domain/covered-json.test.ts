import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withoutValues } from '../../src/domain/covered-json.ts';

/** A variable in a manifest. */
const variable = (value: string): string => `{"version":1,"services":{"a":{"environment":{"D":${value}}}}}`;
const coveredVariable = (value: string): string => withoutValues(variable(value)).slice(49, -4);

describe('of a manifest that is JSON', () => {
  test.each([
    ['plain text', '"hunter2"', '"·······"'],
    ['text with escapes', '"x\\"hunter2"', '"··········"'],
    ['a reference', '"op://v/i/f"', '"op://v/i/f"'],
    ['text with a reference', '"hunter2@{{ op://v/i/f }}x"', '"········{{ op://v/i/f }}·"'],
    ['text with what is none', '"hunter2 {{ name }}{{op://v/i}}"', `"${'·'.repeat(30)}"`],
    ['braces that are not closed', '"{{ hunter2 {{ op://v/i/f }}{{"', '"···········{{ op://v/i/f }}··"'],
    ['what begins as a reference', '"op://hunter2:pass@host/a/b/c"', `"op://${'·'.repeat(23)}"`],
    ['a number', '123456', '······'],
    ['a truth value', 'true', '····'],
    ['null', 'null', '····'],
    ['a list', '["hunter2", 7]', '["·······", ·]'],
  ])('%s', (_, value, covered) => {
    expect(JSON.parse(variable(value))).toBeDefined();
    expect(coveredVariable(value)).toBe(covered);
  });

  test('names and the version are seen, and nothing moves', () => {
    const text = '{\r\n\t"version": 1, "漢字 c\\"": "😀", "b" :\n{"version": 1, "tries": 12}}';
    const covered = withoutValues(text);
    expect(covered).toBe('{\r\n\t"version": 1, "漢字 c\\"": "··", "b" :\n{"version": ·, "tries": ··}}');
    expect(covered).toHaveLength(text.length);
  });

  test('a value of megabytes is covered', () => {
    for (const long of ['y'.repeat(3_000_000), '{{'.repeat(1_000_000), '}}'.repeat(1_000_000)])
      expect(coveredVariable(`"hunter2${long}"`)).toBe(`"${'·'.repeat(long.length + 7)}"`);
  });
});

describe('of what is no JSON, from there on', () => {
  test.each([
    ['no quotes', '"D":hunter2}', '"D":········'],
    ['other quotes', `"D":'hunter2'}`, '"D":··········'],
    ['a quote too few before a value', '"D":hunter2","E":"hunter2"}', `"D":${'·'.repeat(23)}`],
    ['a quote too few behind a name', '"D:"op://v/i/f","E":"hunter2"}', `"··"${'·'.repeat(26)}`],
    ['a quote too few behind a value', '"D":"x,"hunter2":"y"}', `"D":"··"${'·'.repeat(13)}`],
    ['a string that is not closed', '"D":"x\n  hunter2", "hunter2": 1}', `"D":··\n  ${'·'.repeat(23)}`],
    ['a comma too few', '"D":"x" "hunter2":"y"}', `"D":"·" ${'·'.repeat(14)}`],
    ['a colon too few', '"hunter2" "y"}', '"·······" ····'],
    ['a name alone', '"hunter2"}', '"·······"·'],
    ['text behind the end', '"D":"x"}\n hunter2 {"hunter2": "x"}', `"D":"·"}\n ${'·'.repeat(24)}`],
    ['a wrong escape', '"D":"\\hunter2","E":"x"}', `"D":${'·'.repeat(19)}`],
  ])('%s', (_, text, covered) => {
    expect(withoutValues(`{${text}`)).toBe(`{${covered}`);
  });

  test('what is beyond doubt is seen nevertheless', () => {
    expect(withoutValues('\uFEFF{"a": "hunter2",\n"b": "op://v/i/f",} // "hunter2": 1')).toBe(
      '\uFEFF{"a": "·······",\n"b": "op://v/i/f",} //·············',
    );
    expect(withoutValues('{"a": /* hunter2\n"hunter2": */ "x"}')).toBe(
      '{"a": /*········\n············· "·"}',
    );
    // a comma too few at the end of a line
    expect(withoutValues('{\n "a": "hunter2"\n "b": "op://v/i/f"\n}')).toBe(
      '{\n "a": "·······"\n "b": "op://v/i/f"\n}',
    );
  });

  test('what is nested without end is covered', () => {
    expect(withoutValues(`"hunter2"${'['.repeat(100_000)}hunter2`)).not.toContain('hunter2');
    expect(withoutValues(`${'['.repeat(100_000)}"hunter2"`)).not.toContain('hunter2');
  });

  test('wherever a character is lost, and whatever stands in its place', () => {
    const text = JSON.stringify({
      version: 1,
      services: { app: { environment: { A: 'SECRET1', B: 'x {{ op://v/i/f }} SECRET2', C: 123 } } },
      sshKeys: { me: { privateKey: 'SECRET3' } },
    });
    for (const layout of [text, JSON.stringify(JSON.parse(text), undefined, 2)]) {
      fc.assert(
        fc.property(
          fc.nat(layout.length - 1),
          fc.constantFrom('', '"', "'", '{', '}', ':', ',', '\n', '\\', 'x', '//', '/*'),
          (at, put) => {
            // a secret itself stays whole
            fc.pre(
              !/SECRET\d/.test(layout.slice(Math.max(0, at - 6), at + 7)) ||
                /["\s:,}]/.test(layout[at] ?? ''),
            );
            const broken = layout.slice(0, at) + put + layout.slice(at + 1);
            const covered = withoutValues(broken);
            expect(covered).not.toMatch(/SECRET|123/);
            expect(covered).toHaveLength(broken.length);
          },
        ),
        { numRuns: 1000 },
      );
    }
  });
});
