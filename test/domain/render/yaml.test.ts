import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import {
  patience,
  problemsIn,
  rendered,
  renderWith,
  sample,
  secret,
  tryAll,
  wrongToPython,
} from '../../support/render.ts';

const pem = '-----BEGIN KEY-----\nMIIE/+==\n\nabc\n-----END KEY-----';

describe('a value in YAML', () => {
  test.each([
    ['a: ${A} # c', 'hunter2', 'a: hunter2 # c'],
    ['a: ${A} # c', '12345', 'a: "12345" # c'],
    ['a: ${A}', 'yes', 'a: "yes"'],
    ['a: ${A}', '', 'a: ""'],
    ['a: ${A}', 'x: y # z', 'a: "x: y # z"'],
    ['a: ${A}', '\0\x01\t\n\r\x85\u2028\ufeff', 'a: "\\0\\u0001\\t\\n\\r\\u0085\\u2028\\ufeff"'],
    ['a: ${A}', '🔑é', 'a: "🔑é"'],
    ['a: &x !!str ${A}', '1', 'a: &x !!str "1"'],
    ['a: !vault ${A}', '#', 'a: !vault "#"'],
    ['a: http://${A}@h/x', 'p%w', 'a: "http://p%w@h/x"'],
    ['a: http://${A}@h/x', 'pw', 'a: http://pw@h/x'],
    ['a: 1${A}', '2', 'a: "12"'],
    ['a: x ${A}', ' #y', 'a: "x  #y"'],
    ['a: one\n  ${A}\n  two', 'x', 'a: one\n  x\n  two'],
    ['a: one\n  ${A}\n  two', '- x', 'a: "one - x two"'],
    ["a: '${A}'", "it's", "a: 'it''s'"],
    ["a: 'x${A}'", '\n', 'a: "x\\n"'],
    ['a: "${A}" # "', '"\\', 'a: "\\"\\\\" # "'],
    ['a: "x\n  ${A}"', 'y', 'a: "x\n  y"'],
    ['a: "x\n  ${A}"', ' y', 'a: "x  y"'],
    ['a: |\n  ${A}\nb: 1\n', pem, `a: |\n  ${pem.replace(/\n(?!\n)/g, '\n  ')}\nb: 1\n`],
    ['a: |- # c\n  x\n  ${A}\n\n\n# d\nb: 1\n', 'y\n', 'a: "x\\ny\\n" # c\n\n\n# d\nb: 1\n'],
    ['a: |\n  ${A}\n', ' x', 'a: " x\\n"\n'],
    ['a: |\n\n  ${A}\n', '\tx', 'a: "\\n\\tx\\n"\n'],
    ['a: |\n  x ${A}\n', '\x85', 'a: "x \\u0085\\n"\n'],
    ['a: >\n  x ${A}\n  y\n', 'b: #', 'a: >\n  x b: #\n  y\n'],
    ['a: >\n  x ${A}\n  y\n', 'b\nc', 'a: "x b\\nc y\\n"\n'],
    ['- |\n ---\n ${A}\n', '...', '- |\n ---\n ...\n'],
    ['a: |-\n  ${A}', '\0', 'a: "\\0"\n'],
    ['a: |2-\n  ${A}', 'x', 'a: |2-\n  x'],
    ['--- |\n${A}\n', '---', '--- "---\\n"\n'],
    ['${A}: 1\n? ${B}\n: 2\n', '- x', '"- x": 1\n? B\n: 2\n'],
    ['{a: ${A}, "${B}": [${A}]}', 'x,y]', '{a: "x,y]", "B": ["x,y]"]}'],
    ['%YAML 1.1\n---\na: ${A}\n...\n---\nb: ${A}\n', 'on', '%YAML 1.1\n---\na: "on"\n...\n---\nb: "on"\n'],
    ['a: ${A:number}\nb: ${B:boolean}', '1.0e+3', 'a: 1.0e+3\nb: true'],
    ['a: &x ${A}\nb: *x\n', '*y', 'a: &x "*y"\nb: *x\n'],
    ['a: &x {b: ${A}}\nc: {<<: *x, b: ${A}}\n', '<<', 'a: &x {b: "<<"}\nc: {<<: *x, b: "<<"}\n'],
    ['a: ${A}\r\nb: |\r\n  x\r\n  ${A}\r\nc: 1\r\n', 'v', 'a: v\r\nb: |\r\n  x\r\n  v\r\nc: 1\r\n'],
  ])('%j with %j', (template, value, expected) => {
    const B = template.includes('boolean') ? 'true' : 'B';
    expect(rendered('yaml', template, { A: value, B })).toBe(expected);
  });

  test.each([
    ['a: ${A}\n  b: 1', /^1:4: not valid YAML: /],
    ['\r - ${A}', /^1:1: not valid YAML: readers of YAML differ on whether this character ends a line$/],
    ['a: x\u2028${A}', /^1:5: not valid YAML: readers of YAML differ on whether this character ends a line$/],
    ['a: ${A}\nb: >-\x0b\n  x', /^2:6: not valid YAML: .*>-\\u000b$/],
    ['a: 1 # ${A}', /^1:8: no value can be put here safely; /],
    ['a: &${A} x', /^1:5: no value can be put here safely; /],
    ['a: !${A} x', /^1:\d: /],
    ['a: *${A}', /^1:4: not valid YAML: this alias has no anchor before it$/],
    ['a: &x 1\n---\nb: *x', /^3:4: not valid YAML: this alias/],
    ['a: !!int ${A}', /^1:10: a value is put in as a string, which the tag here would make something else/],
    ['a: !!binary "${A}"', /^1:14: a value is put in as a string/],
    ['%TAG ! ${A}\n---\na: 1', /^1:/],
    ['a: 1\nb: ${A}\na: 2', /^3:1: not valid YAML: this key is given twice$/],
    ['a: "${A:number}"', /^1:5: a number must stand by itself/],
    ['a: |\n  ${A:number}', /^2:3: a number must stand by itself/],
    ['a: x${A:boolean}', /^1:5: a boolean must stand by itself/],
    ['a: "\\x0${A}"', /^1:8: a placeholder cannot be part of an escape$/],
    ['a: |${A}\n  x', /^1:/],
    [
      'a: |\n  ${A}',
      /^2:3: without a line end at the end of the file readers of YAML differ on what this says/,
    ],
    ['a: >2+\n  ${A}', /^2:3: without a line end at the end of the file/],
  ])('%j is refused without values', (template, problem) => {
    const [first] = problemsIn('yaml', template);
    expect(`${first?.position.line}:${first?.position.column}: ${first?.message}`).toMatch(problem);
  });

  test.each([
    [
      'a: ${A:number}',
      '1e3',
      '1:4: the value of A is not a number in YAML 1.1, which wants a point and a signed exponent, as in 1.0e+3',
    ],
    ['a: ${A:number}', '010', '1:4: the value of A is not a decimal number'],
    ['a: ${A:number}', '1_000', '1:4: the value of A is not a decimal number'],
    ['a: ${A:boolean}', 'yes', '1:4: the value of A is neither true nor false'],
    ['x: 1\n${A}: 2', 'x', '2:1: with the value of A in place the file would not read as its template does'],
    [
      '${A}: 2',
      'x'.repeat(1025),
      '1:1: with the value of A in place the file would not read as its template does',
    ],
  ])('%j is refused with its value', (template, value, message) => {
    expect(rendered('yaml', template, { A: value })).toBe(message);
  });
});

/** A place in a document, by the indentation of its lines. */
type Place = (indent: string) => string;

const places: readonly Place[] = [
  ...[
    '<A>',
    'x<A>',
    '<A> y',
    'http://u:<A>@<B>/d',
    '<A><B>',
    '&a<I> <A>',
    '!!str <A>',
    '1<A>',
    '12:<B>',
    '<A> # <x>',
  ],
  ...("'<A>' '' 'x <B>' '<A>''<B>' ' <C> '".match(/'(?:[^']|'')*'/g) as string[]),
  ...['"<A>"', '" <B> \\t<C>\\u0041"', '"<A><B>"', '"it\'s \\"<A>\\""', 'null', '5', '~', '# c\n\n'],
  ...[
    '[<A>, "<B>", \'x<C>\', {k: <A>, "l": <B>}]',
    '{k<A>: 1, "m": <B>, n: [<C>]}',
    '[\n  <A>,\n\n  <B> # c\n ]',
  ],
].map((text) => (indent: string) => text.replaceAll('\n', `\n${indent} `).replace(' # <x>', ' # c'));

const linesOf = (header: string, lines: readonly string[]): Place => {
  return (indent) => [header, ...lines.map((line) => (line === '' ? '' : `${indent}  ${line}`))].join('\n');
};

const blockHeaders = ['|', '>', '|-', '>-', '|+', '>+', '| # c', '&b<I> |', '!!str >'];
const blockLines = [
  '<A>',
  'x <B>',
  '<C> y',
  '',
  'plain',
  '# <A>',
  '- <B>: <C>',
  '  more <A>',
  '<A><B>',
  "'<C>'",
];
const block = fc
  .tuple(
    fc.constantFrom(...blockHeaders),
    fc.array(fc.constantFrom(...blockLines), { minLength: 1, maxLength: 4 }),
  )
  // leading lines that are indented further, or none with content, are not block scalars to every parser
  .map(([header, lines]) =>
    linesOf(header, lines[0] === '' || lines[0]?.startsWith(' ') ? ['x', ...lines] : lines),
  );
const told = fc
  .array(fc.constantFrom(...blockLines), { minLength: 1, maxLength: 3 })
  .map((lines) => linesOf('|2-', ['  <A>', ...lines]));
const severalLines = fc
  .tuple(
    fc.constantFrom('', '"', "'"),
    fc.array(fc.constantFrom('<A>', 'x <B>', '<C> y', 'z'), { minLength: 1, maxLength: 3 }),
  )
  .map(
    ([quote, lines]): Place =>
      (indent) =>
        `${quote}w ${lines.join(`\n${indent}   `)}${quote}`,
  );

const { entries } = fc.letrec<{ value: Place; entries: Place }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    { weight: 4, arbitrary: fc.constantFrom(...places.filter((place) => !place('').startsWith('#'))) },
    { weight: 3, arbitrary: block },
    told,
    severalLines,
    tie('entries').map(
      (inner): Place =>
        (indent) =>
          `\n${indent}  ${inner(`${indent}  `)}`,
    ),
  ),
  entries: fc.oneof(
    fc.subarray(['<A>', '"<B>"', "'<C>'", 'x<A>', '"x<B>"', 'plain'], { minLength: 1 }).map(
      (keys): Place =>
        (indent) =>
          keys.map((key, i) => `${key}: ${i}`).join(`\n${indent}`),
    ),
    fc
      .array(fc.tuple(fc.constantFrom('k', '"k"', 'k<A>', '"<B>k"', "'k<C>'", '# <x>\n? k'), tie('value')), {
        minLength: 1,
        maxLength: 3,
      })
      .map(
        (members): Place =>
          (indent) =>
            members
              .map(([key, value], i) => {
                // numbered, so that keys differ whatever the values
                const numbered = key.replace('k', `k${i}`).replace('\n', `\n${indent}`).replace(' <x>', ' c');
                const colon = key.startsWith('#') ? `\n${indent}:` : ':';
                return `${numbered}${colon} ${value(indent)}`;
              })
              .join(`\n${indent}`),
      ),
    fc.array(tie('value'), { minLength: 1, maxLength: 3 }).map(
      (items): Place =>
        (indent) =>
          items.map((item) => `- ${item(indent)}`).join(`\n${indent}`),
    ),
  ),
}));

const documents = fc.array(entries, { minLength: 1, maxLength: 2 }).map((list) => {
  let anchors = 0;
  const text = list.map((one) => one('')).join('\n---\n');
  return sample(`${text.replaceAll('<I>', () => String(anchors++))}\n`);
});

const read = (text: string, version: '1.1' | '1.2'): unknown =>
  [...parseAllDocuments(text, { version, uniqueKeys: false })].map((document) => {
    const [error] = document.errors;
    if (error) throw error;
    return document.toJS() as unknown;
  });

/** What is easily got wrong. */
const nasty = [
  'a: |1\n <A>\n',
  'a: |2\n  <A>\n',
  'a: |+\n  <A>\n\n\n\nb: 1\n',
  'a: >+\n  <A>\n\n\nb: 1\n',
  'a: >\n\n\n  <A>\n\n  <B>\n   more\n\n',
  'a: >-\n  x\n  <A>\n\n   \n\n',
  'a: |\n\n  <A>\n',
  'a: |\n  \n  <A>\n',
  '- |\n <A>\n-  >2\n   <A>\n',
  '- - |\n   <A>\n  - x\n',
  '? <A>\n: <B>\n? |\n  <C>\n: - x\n',
  '? "x"\n: <A>\n',
  '<A>: x\n"k <B>": y\n',
  'a: &b <A>\nc: *b\n',
  '%TAG !e! tag:example.com,2000:\n---\na: 1\nb: <A>\n',
  '%YAML 1.2\n---\na: <A>\n',
  '\ufeffa: <A>\n',
  '\ufeff# c\n---\na: "<A>"\n',
  'a: "x\\\n  <A>"\n',
  'a: "x\\\n  \\ <A>\\\n   y"\n',
  "a: 'x\n\n  <A>\n  y'\n",
  'a: x\n   <A>\n\n   y\n',
  'a: <A>\n  <B>\n',
  'a:\n  <A>\nb:\n  - <B>\n  -\n    <C>\n',
  'a: !!str <A>\nb: !!str\n  <B>\n',
  '- <A>\n- - <B>\n  - <C>\n',
  '--- <A>\n',
  '--- <A>\n--- |\n <B>\n...\n---\n"<C>"\n',
  '<A>',
  '<A>\n',
  '"<A>"',
  '>\n <A>\n\n',
  '--- >\n <A>\n x\n... # c\n',
  'a: |  # c\n  <A>\nb: 1\n',
  'a: |-\n    <A>\n    # x\n  # y\nb: 2\n',
  'a: {b: <A>, "c":<B>, <C>: d}\n',
  'a: {<A>}\n',
  'a: x:<A>\nb: x#<B>\nc: <C>:y\n',
  'a: -<A>\nb: --<A>\nc: ?<B>\n',
  'a: .<A>\nb: ~<B>\nc: +<C>\n',
  'a: 0x<A>\nb: 1e<B>\nc: 12:<C>\n',
  'a: y<A>\nb: n<B>\nc: o<C>n\n',
  '- "<A>"\r\n- |\r\n  <B>\r\n  x\r\n- >\r\n  <C>\r\n',
  'a: >\n  <A>\n   <B>\n  x\n',
  'a: >\n   x\n\n    y\n   <A>\n',
  'a: "<A> \\\n  <B>"\n',
  'a: "\n  <A>\n  "\n',
  "a: '\n  <A>\n  '\n",
  'a: |-\n  <A>',
  'a: >2-\n   <A>\n  x\n',
  'a: |-2\n   <A>\n',
  'a: [ <A> ]\n',
  'a: "<A>" # "\nb: <B> # x\n',
  "a: it's <A>\n",
  'a: x"<A>"\n',
  'k: <A>\n',
  'a: | \n  <A>\n \n  \n',
  'a: |\n    x\n  \n    <A>\n',
  'a: >\n  <A> x\n  y <B>\n\n',
  '- &a |\n  <A>\n- *a\n',
  'a: &a\n  <A>\nb: *a\n',
  'q: x\n',
  '{<A>: 1, <B>: }\n',
  '{? <A> : 1}\n',
  '{"<A>":<B>}\n',
  '["<A>",<B>]\n',
];

test(
  'any template with any values reads as the template does, with exactly the values, in 1.1 and in 1.2',
  () => {
    const tried = tryAll({
      format: 'yaml',
      samples: fc.oneof({ weight: 4, arbitrary: documents }, fc.constantFrom(...nasty).map(sample)),
      readers: [(text) => read(text, '1.1'), (text) => read(text, '1.2')],
      // a key may have 1024 characters
      refusable: (_, values) => Object.values(values).some((value) => value.length > 200),
    });
    const reader = (loader: string): string =>
      `import yaml\ndef read(text): return list(yaml.load_all(text, Loader=yaml.${loader}))`;
    expect(wrongToPython(reader('CSafeLoader'), tried)).toEqual([]);
    expect(wrongToPython(reader('SafeLoader'), tried.slice(0, 300))).toEqual([]);
  },
  patience,
);

test('what is not a placeholder stays as it is, byte for byte', () => {
  const template = '# top\r\na:   {  x: "${A}",\ty: [ 1 ,2 ] }   # c\n\n\nb:\n-   "${A}"\n-     z\n...\n';
  fc.assert(
    fc.property(secret, (value) => {
      const text = rendered('yaml', template, { A: value });
      const [before, between, after] = template.split('${A}') as [string, string, string];
      expect(text.startsWith(before) && text.endsWith(after) && text.includes(between)).toBe(true);
    }),
  );
});

test('a megabyte of template with a thousand placeholders, and a value of a megabyte, are rendered', () => {
  const row = (i: number): string => `k${i}:\n  a: \${A}\n  b: |\n${'    some text of a line\n'.repeat(40)}`;
  const template = Array.from({ length: 1000 }, (_, i) => row(i)).join('');
  expect(renderWith('yaml', template, { A: 'v"' }).ok).toBe(true);
  expect(renderWith('yaml', 'a: ${A}\nb: |\n  ${A}\n', { A: '"\\\n€'.repeat(250_000) }).ok).toBe(true);
});
