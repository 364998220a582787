import { execFileSync } from 'node:child_process';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { FormatName } from '../../src/domain/config-format.ts';
import { checkTemplate } from '../../src/domain/render/check.ts';
import { type RenderResult, render } from '../../src/domain/render/render.ts';
import { parseTemplate, type TemplatePart, type TemplateProblem } from '../../src/domain/template.ts';
import { oddText } from './manifests.ts';

/** Text that is something to this or that parser, alone or where it is put into other text. */
const hostile = [
  ...[
    '',
    ' ',
    '\t',
    '\n',
    '\r',
    '\r\n',
    '\n\n',
    ' \n',
    '\n ',
    '"',
    "'",
    '\\',
    '`',
    '\\"',
    '"""',
    "'''",
    "''",
  ],
  ...['${A}', '$${A}', '{{ op://v/i/f }}', '{{ "{{" }}', '$(id)', '`id`', '$HOME', '%s', '%(x)s', '%n', '$&'],
  ...[
    '---',
    '\n---\n',
    '\n...\n',
    ': ',
    ':',
    ' #',
    '#',
    '# x',
    'a: b',
    'a : b',
    '- a',
    '-',
    '? a',
    '?',
    '- - a',
  ],
  ...[
    '&a',
    '*a',
    '!!tag',
    '!!int 1',
    '!x',
    '%YAML 1.1',
    '@x',
    '|',
    '>',
    '|\n  x',
    '<<',
    '=',
    ',',
    '[',
    ']',
    '{',
    '}',
  ],
  ...[
    'yes',
    'no',
    'on',
    'off',
    'y',
    'n',
    'true',
    'True',
    'false',
    'null',
    'Null',
    '~',
    '.inf',
    '.nan',
    'NaN',
    'inf',
  ],
  ...[
    '0',
    '1',
    '-1',
    '+1',
    '007',
    '0x1F',
    '0o7',
    '0b1',
    '1e3',
    '1.5',
    '1_000',
    '1,000',
    '190:20:30',
    '.5',
    '1.',
    '-.5',
  ],
  ...[
    '2001-01-01',
    '2001-12-14t21:59:43.10-05:00',
    '12:30',
    '1979-05-27 07:32:00',
    '80000',
    '8000011',
    '800001111',
  ],
  ...[
    '\0',
    '\x01',
    '\x07',
    '\b',
    '\f',
    '\v',
    '\x1b',
    '\x7f',
    '\x80',
    '\x85',
    '\xa0',
    '\u2028',
    '\u2029',
    '\ufeff',
  ],
  ...[
    '\ufffe',
    '\uffff',
    '\ufdd0',
    '\u200b',
    '\u202e',
    '\ue000',
    '\u{1f511}',
    '\u{e0001}',
    '\u{10ffff}',
    'é',
    'e\u0301',
  ],
  ...[
    'key = value',
    '\nkey = value',
    '[section]',
    '\n[section]\n',
    ';',
    '; x',
    'a;b',
    '#x',
    '__proto__',
    'constructor',
  ],
  ...[
    '"}',
    '","x":"',
    '"]',
    '\\u0041',
    '\\n',
    '\\',
    'a\\',
    "it's",
    'say "x"',
    'a\n b\n\n  c\n',
    '\ta',
    'a\t',
    ' a',
    'a ',
  ],
  ...[
    '-----BEGIN PRIVATE KEY-----\nMIIE/+==\n-----END PRIVATE KEY-----',
    'MIIE\nabc\n',
    'correct horse battery staple',
  ],
  ...[
    'hunter2',
    'postgres://u:p@h:5432/d?x=y&z',
    'a.b.c',
    'A-b_C',
    '/run/x',
    'x'.repeat(300),
    '$__file{/etc/passwd}',
  ],
] as const;

const passwordCharacter = fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code));

/** What a secret may be at the worst, and at its most ordinary. */
export const secret = fc.oneof(
  fc.constantFrom(...hostile),
  fc.array(fc.constantFrom(...hostile), { minLength: 2, maxLength: 4 }).map((parts) => parts.join('')),
  oddText.map((text) => text.toWellFormed()),
  fc.array(passwordCharacter, { minLength: 32, maxLength: 32 }).map((characters) => characters.join('')),
  fc.stringMatching(/^[a-z0-9]{1,12}$/),
);

export const secrets = fc.record({ A: secret, B: secret, C: secret });
export type Secrets = { readonly A: string; readonly B: string; readonly C: string };
type Name = keyof Secrets;

/** A template, and the same with a harmless word for each placeholder, which any parser can read. */
export interface Sample {
  readonly template: string;
  readonly plain: string;
}

export const word = (name: string): string => `Zq${name}qZ`;

/** Makes a sample of text that has `<A>` where a placeholder stands, and `<<A>>` where its word needs quotes. */
export function sample(text: string): Sample {
  const pattern = /<(<?)([ABC])>>?/g;
  let occurrence = 0;
  return {
    template: text.replace(pattern, (_, __, name: string) =>
      // references and names are the same to the engine
      occurrence++ % 3 === 2 ? `{{ op://v/i/${name} }}` : `\${${name}}`,
    ),
    plain: text.replace(pattern, (_, bare: string, name: string) => (bare ? `"${word(name)}"` : word(name))),
  };
}

export function partsOf(template: string): readonly TemplatePart[] {
  const parsed = parseTemplate(template);
  if (!parsed.ok) throw new Error(`${JSON.stringify(template)}: ${parsed.problems[0]?.message}`);
  return parsed.parts;
}

/** What is wrong with a template that has no names but A, B and C. */
export function problemsIn(format: FormatName, template: string): readonly TemplateProblem[] {
  return checkTemplate(template, format, ['A', 'B', 'C']);
}

export function renderWith(format: FormatName, template: string, values: Partial<Secrets>): RenderResult {
  const entries = Object.entries(values) as [Name, string][];
  return render({
    format,
    parts: partsOf(template),
    values: {
      names: new Map(entries),
      references: new Map(entries.map(([name, value]) => [`op://v/i/${name}`, value])),
    },
  });
}

/** The rendered text, or the first problem as `line:column: message`. */
export function rendered(format: FormatName, template: string, values: Partial<Secrets>): string {
  const result = renderWith(format, template, values);
  if (result.ok) return result.text;
  const [problem] = result.problems;
  return `${problem?.position.line}:${problem?.position.column}: ${problem?.message}`;
}

/**
 * A tree as Maps, with the secrets in the place of their words, in keys too.
 *
 * @throws TwoKeysInOne if two keys become the same by it
 */
export function withSecrets(tree: unknown, values: Secrets): unknown {
  if (typeof tree === 'string') return tree.replace(/Zq([ABC])qZ/g, (_, name: Name) => values[name]);
  if (Array.isArray(tree)) return tree.map((one) => withSecrets(one, values));
  if (typeof tree !== 'object' || tree === null || tree instanceof Date) return tree;
  const members = membersOf(tree);
  const filled = new Map(
    members.map(([key, value]) => [withSecrets(key, values), withSecrets(value, values)]),
  );
  if (filled.size < members.length) throw new TwoKeysInOne();
  return filled;
}

class TwoKeysInOne extends Error {}

/** A tree as Maps, as `withSecrets` makes them, for one that has its secrets already. */
export function asMaps(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(asMaps);
  if (typeof tree !== 'object' || tree === null || tree instanceof Date) return tree;
  return new Map(membersOf(tree).map(([key, value]) => [key, asMaps(value)]));
}

function membersOf(tree: object): readonly (readonly [unknown, unknown])[] {
  return tree instanceof Map ? [...tree] : Object.entries(tree);
}

/** What became of a sample with different secrets: for a judge that is written in another language. */
export interface Tried {
  readonly plain: string;
  readonly rendered: readonly { readonly text: string; readonly values: Secrets }[];
}

/** How many renderings each property looks at: `RENDER_CASES=1000000` for a long run. */
const cases = Number(process.env['RENDER_CASES'] ?? 20_000);
const secretsPerSample = 5;

/** How long a property may take, in milliseconds. */
export const patience = 600_000 * Math.max(1, cases / 20_000);

/**
 * Renders generated samples, each with several sets of secrets, until at least `RENDER_CASES` were rendered.
 * Every result must read as the sample does with the secrets in it; two keys that become one must be refused;
 * all else may be refused only as `refusable` says.
 *
 * @param options.readers what reads the format, if it is to be read here; trees of Maps, objects and arrays
 * @param options.refusable whether these secrets can be refused in this sample for this reason
 */
export function tryAll(options: {
  readonly format: FormatName;
  readonly samples: fc.Arbitrary<Sample>;
  readonly readers?: readonly ((text: string) => unknown)[];
  readonly refusable?: (reason: string, values: Secrets, sample: Sample) => boolean;
  readonly secrets?: fc.Arbitrary<Secrets>;
}): readonly Tried[] {
  const { format, samples, readers = [], refusable = () => false } = options;
  const all: Tried[] = [];
  let count = 0;
  const property = fc.property(
    samples,
    fc.array(options.secrets ?? secrets, { minLength: secretsPerSample, maxLength: secretsPerSample }),
    (one, list) => {
      const trees = readers.map((read) => ({ read, plain: read(one.plain) }));
      const rendered: { text: string; values: Secrets }[] = [];
      for (const values of list) {
        const result = renderWith(format, one.template, values);
        let expected: readonly unknown[] | undefined;
        try {
          expected = trees.map(({ plain }) => withSecrets(plain, values));
        } catch (error) {
          if (!(error instanceof TwoKeysInOne)) throw error;
        }
        if (!result.ok) {
          const [reason] = result.problems;
          if (expected !== undefined && !refusable(reason?.message ?? '', values, one))
            throw new Error(`${JSON.stringify([one.template, values])} is refused: ${reason?.message}`);
          continue;
        }
        if (expected === undefined)
          throw new Error(`two keys become one: ${JSON.stringify([one.template, values])}`);
        for (const [i, { read }] of trees.entries()) {
          const found = asMaps(read(result.text));
          // faster than expect, which is there for its message
          if (!isDeepStrictEqual(found, expected[i])) expect(found, result.text).toEqual(expected[i]);
        }
        rendered.push({ text: result.text, values });
      }
      count += rendered.length;
      if (rendered.length > 0) all.push({ plain: one.plain, rendered });
    },
  );
  while (count < cases) fc.assert(property, { numRuns: Math.ceil((cases - count) / secretsPerSample) });
  return all;
}

const comparison = `
import json, math, re, sys
def fill(tree, values):
    if isinstance(tree, str):
        return re.sub('Zq([ABC])qZ', lambda found: values[found[1]], tree)
    if isinstance(tree, list):
        return [fill(one, values) for one in tree]
    if isinstance(tree, dict):
        return {fill(key, values): fill(value, values) for key, value in tree.items()}
    return tree
def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))
count = 0
wrong = []
for tried in json.load(sys.stdin):
    plain = read(tried['plain'])
    for one in tried['rendered']:
        expected = fill(plain, one['values'])
        try:
            found = read(one['text'])
        except Exception as error:
            found = error
        count += 1
        if not same(expected, found):
            wrong.append([one['text'], repr(expected), repr(found)])
print(json.dumps([count, wrong[:3]]))
`;

/**
 * Has Python judge rendered samples, in one process: each must read as the sample does with the secrets put
 * into its strings.
 *
 * @param reader Python that defines `read(text)`
 * @returns the first few that are wrong: the text, what it should say, and what it says
 */
export function wrongToPython(reader: string, tried: readonly Tried[]): unknown {
  // Debian's, whatever else is on the PATH: it has the packages
  const output = execFileSync('/usr/bin/python3', ['-c', `${reader}\n${comparison}`], {
    input: JSON.stringify(tried),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const [count, wrong] = JSON.parse(output) as [number, unknown];
  expect(count).toBe(tried.reduce((sum, { rendered }) => sum + rendered.length, 0));
  return wrong;
}
