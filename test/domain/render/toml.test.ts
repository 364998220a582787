import fc from 'fast-check';
import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
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

describe('a value in TOML', () => {
  test.each([
    ['a = ${A} # c', 'x"', 'a = "x\\"" # c'],
    ['a = ${A}', '5', 'a = "5"'],
    ['a = ${A}', '', 'a = ""'],
    ['a = "<${A}>"', '\0\b\t\n\f\r\x1b\\"', 'a = "<\\u0000\\b\\t\\n\\f\\r\\u001b\\\\\\">"'],
    ['a = "${A}"', '🔑é\u2028\u{10ffff}', 'a = "🔑é\\u2028\\U0010ffff"'],
    ["a = 'C:\\${A}'", '"b\\', "a = 'C:\\\"b\\'"],
    ["a = 'C:\\${A}'", "it's", 'a = "C:\\\\it\'s"'],
    ['a = """\n  ${A}\n"""', '"""\nb', 'a = """\n  \\"\\"\\"\\nb\n"""'],
    ['a = """x\\\r\n   ${A}"""', '  y', 'a = """x\\\r\n   \\u0020 y"""'],
    ['a = """"${A}"""""', '"', 'a = """"\\""""""'],
    ["a = '''\n  ${A}\n'''", '-----\nb"\\\n-----', "a = '''\n  -----\nb\"\\\n-----\n'''"],
    ["a = '''${A}\n'''", '\nb', 'a = """\\nb\n"""'],
    ["a = '''\r\nx\\y\"\r\n${A}\r\n'''", "it's", 'a = """\r\nx\\\\y\\"\r\nit\'s\r\n"""'],
    ['a = [ ${A},\n  "${A}", # c\n]', ']', 'a = [ "]",\n  "]", # c\n]'],
    ['a = {b = ${A}, ${A}.c = 1}', 'x y', 'a = {b = "x y", "x y".c = 1}'],
    ['${A} = 1', 'b-_9', 'b-_9 = 1'],
    ['${A}.x = 1\n${A}.y = 2', 'b.c', '"b.c".x = 1\n"b.c".y = 2'],
    ['k${A}."${A}".\'${A}\' = 1', "'", '"k\'"."\'"."\'" = 1'],
    ['[ ${A} . b ] # c\r\n', ']', '[ "]" . b ] # c\r\n'],
    ['[[a.${A}]]\nx=1\n[[a.${A}]]\n', '', '[[a.""]]\nx=1\n[[a.""]]\n'],
    ['a = ${A:number}\nb = ${B:boolean}', '-1.5e3', 'a = -1.5e3\nb = true'],
    ['a = ${A:number}', '9223372036854775807', 'a = 9223372036854775807'],
    ['a = ${A:number}', '-0', 'a = -0'],
    ['a = 80000\nb = "800001 1${A}1"', '9', 'a = 80000\nb = "800001 191"'],
    ['\ufeffd = 1979-05-27 07:32:00Z\na = "${A}"\n', 'v', '\ufeffd = 1979-05-27 07:32:00Z\na = "v"\n'],
    ['__proto__.a = "${A}"\n[constructor]\n', '__proto__', '__proto__.a = "__proto__"\n[constructor]\n'],
  ])('%j with %j', (template, value, expected) => {
    expect(rendered('toml', template, { A: value, B: 'true' })).toBe(expected);
  });

  test.each([
    ['a = ${A}\n[b', /^2:\d: not valid TOML: /],
    ['a = 1\nb = x${A}', /^2:5: not valid TOML: /],
    ['a = 1 # ${A}', /^1:9: no value can be put here safely; /],
    ['a = 1${A}', /^1:6: a value without quotes must be one placeholder alone/],
    ['a = ${A}.5', /^1:5: a value without quotes must be one placeholder alone/],
    ['a = ${A}${B}', /^1:5: a value without quotes must be one placeholder alone/],
    ['a = 1979-05-27T00:00:0${A}', /^1:23: not valid TOML: /],
    ['a = "${A:number}"', /^1:6: a number must stand by itself/],
    ['${A:number} = 1', /^1:1: a number must stand by itself/],
    ['a = "${A} ${B:boolean}"', /^1:11: a boolean must stand by itself/],
    ['a = "\\u00${A}"', /^1:10: a placeholder cannot be part of an escape$/],
    ['a = 1\na = ${A}', /^2:1: not valid TOML: trying to redefine/],
    ['${A} = 1\n${A} = 2', /^2:1: not valid TOML: trying to redefine/],
  ])('%j is refused without values', (template, problem) => {
    const [first] = problemsIn('toml', template);
    expect(`${first?.position.line}:${first?.position.column}: ${first?.message}`).toMatch(problem);
  });

  test.each([
    ['a = ${A:number}', '9223372036854775808', '1:5: the value of A is too large an integer for TOML'],
    ['a = ${A:number}', '-9223372036854775809', '1:5: the value of A is too large an integer for TOML'],
    ['a = ${A:number}', '0x10', '1:5: the value of A is not a decimal number'],
    ['a = ${A:number}', '1_000', '1:5: the value of A is not a decimal number'],
    ['a = ${A:boolean}', 'True', '1:5: the value of A is neither true nor false'],
  ])('%j is refused with %j', (template, value, message) => {
    expect(rendered('toml', template, { A: value })).toBe(message);
  });

  // the parser takes each of these: it only means something else
  test.each([
    ['a.x = 1\n${A}.y = 2', '2:1'],
    ['[b]\n[[a]]\nx = 1\n[[${A}]]\ny = 1', '4:3'],
    ['t = {a.x = 1, ${A}.y = 1}\n', '1:15'],
    ['[a.x]\n["${A}"]\n', '2:3'],
  ])('two tables that become one are refused: %j', (template, place) => {
    expect(rendered('toml', template, { A: 'a' })).toBe(
      `${place}: with the value of A in place the file would not read as its template does`,
    );
    expect(renderWith('toml', template, { A: 'd' }).ok).toBe(true);
  });

  test('an empty value that would join what stands around it costs the lines, which CRLF cannot', () => {
    expect(rendered('toml', 'a = """\\\n${A} x"""', { A: '' })).toBe('a = " x"');
    expect(rendered('toml', 'a = """\\\n${A} x"""', { A: 'y' })).toBe('a = """\\\ny x"""');
    expect(rendered('toml', 'a = """"${A}"""""', { A: '' })).toBe('a = "\\"\\"\\""');
    expect(rendered('toml', "a = '''${A}\nx'''", { A: '' })).toBe('a = "\\nx"');
    expect(rendered('toml', 'a = """x\r\n\\\r\n${A} x"""', { A: '' })).toBe(
      '3:1: the value of A cannot stand here: it is empty, which joins what stands around it',
    );
  });
});

const strings = [
  ...['"<A>"', '"x <B>\\t<C>\\u0041"', '"<A><B>"', '"it\'s \\"<A>\\" # "'],
  ...["'<A>'", "'x\\<B>\"'", "'<A><C>'"],
  ...['"""<A>"""', '"""\n<A>\n<B>\n"""', '"""x\\\n  <A>\n\\\n\n y<B>"""', '""""<A>"""""'],
  ...[
    '"""\r\n<A>\r\n\\\r\n z"""',
    "'''<A>'''",
    "'''<A>\n'''",
    "'''\n  <A>\n\\<B>\n'''",
    "'''x'\"<A>''<B>'''",
  ],
  "'''\r\n<A>\r\n'''",
];
const others = [
  ...['1', '-1.5', '0x1F', 'true', 'inf', '1979-05-27 07:32:00', '12:30:00'],
  '1979-05-27T00:32:00.5-07:00',
];
const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    { weight: 5, arbitrary: fc.constantFrom('<<A>>', '<<B>>', ...strings) },
    fc.constantFrom(...others),
    fc
      .tuple(fc.array(tie('value'), { maxLength: 3 }), fc.constantFrom(', ', ',', ', # c\n  ', '\n,\r\n'))
      .map(([items, comma]) => `[${items.map((one) => one + comma).join('')}]`),
    // in one line, as TOML 1.0 wants it
    fc
      .uniqueArray(fc.tuple(fc.constantFrom('a', '"<A>b"', '<C>.d', "e.'<B>'"), tie('value')), {
        maxLength: 2,
        selector: ([key]) => key,
      })
      .map((members) => `{ ${members.map(([key, one]) => `${key} = ${one}`).join(', ')} }`),
  ),
}));
const line = fc.tuple(
  fc.constantFrom('k', 'k-<A>', '"k<B>"', "'k<C>'", 'k.x', 'k."<A>x" . y', '"k<A>".<B>.z'),
  value,
  fc.constantFrom('', ' # c', '\n\n# "c\'', '\t'),
);
const lines = fc.array(line, { maxLength: 3 }).map((list) =>
  // numbered, so that secrets make none into another
  list.map(([key, one, comment], i) => `${key.replace('k', `k${i}`)} = ${one}${comment}`),
);
const colliding = fc
  .tuple(
    fc.subarray(['<A>', '"<B>"', "'<C>'", 'x<A>', '"x<B>"', 'plain'], { minLength: 1 }),
    fc.constantFrom(' = 1', '.a = 1', '.<A>.b = 1'),
  )
  // with other members, since it is not two keys but two tables that become one
  .map(([keys, rest]) => keys.map((key, i) => key + rest.replace(/([ab]) /, `$1${i} `)));
const header = fc.constantFrom(
  ...['[t]', '[[t]]', '[t."<A>"]', '[[t.<B>]]', '[ "t" . \'<C>\' ] # c', '[t.a<A>b.c]'],
);
const documents = fc
  .tuple(
    fc.oneof({ weight: 5, arbitrary: lines }, { weight: 1, arbitrary: colliding }),
    fc.array(fc.tuple(header, lines), { maxLength: 2 }),
    fc.constantFrom('\n', '\r\n'),
  )
  .map(([top, tables, end]) => {
    const numbered = tables.flatMap(([head, list], i) => [head.replace('t', `t${i}`), ...list]);
    return sample([...top, ...numbered].map((one) => one + end).join(''));
  });

/** What is easily got wrong. */
const nasty = [
  '\ufeffa = "<A>"\n',
  'a.b.<A> = "<B>"\na.c = 1\n',
  '[a."<A>"]\n[a.b]\n',
  "a = '''<A>\n'''\n",
  "a = ''''<A>'''''\n",
  'a = """<A>\\\n\n\n   """\n',
  'a = [[<<A>>], ["<B>", {x = <<C>>}]]\n',
  'a = {}\nb = []\nc = <<A>> # "\n',
  '"<A>" = {\'<B>\' = """<C>"""}\n',
  'a = "\\"<A>\\\\"\n',
  '\'<A>\'."<B>".<C> = 1\n',
  'a = 1979-05-27 # c\nb = <<A>>\n',
  'a = 07:32:00\n<A>b = <<A>>\n',
  '[ \'<A>\' ]\r\n[[ "x" . <B> ]]\r\na = """\r\n<C>\r\n"""\r\n',
  'a="""\\\n\\\n  <A>\\\n\\\n"""\n',
  '<A>.b=[<<A>>,]\n"x"."y" = 1\n',
  'd = 2020-01-01T00:00:00Z\nd2 = [2020-01-01 00:00:00, 12:00:00]\ns = "<A>"\n',
];

test(
  'any template with any values reads as the template does, with exactly the values',
  () => {
    const tried = tryAll({
      format: 'toml',
      samples: fc.oneof({ weight: 4, arbitrary: documents }, fc.constantFrom(...nasty).map(sample)),
      readers: [(text) => parse(text, { integersAsBigInt: true })],
      refusable: (reason, { A, B, C }, { template }) =>
        reason.includes('it is empty') && template.includes('\r') && [A, B, C].includes(''),
    });
    // Python's knows no byte order mark
    const reader = 'import tomllib\ndef read(text): return tomllib.loads(text.removeprefix("\\ufeff"))';
    expect(wrongToPython(reader, tried)).toEqual([]);
  },
  patience,
);

test('what is not a placeholder stays as it is, byte for byte', () => {
  const template = '# top\r\na   =  [\t"${A}",# c\r\n\n 1 ,]   # c\n\n\n[ b ]\n"c" = 0x1_0\n';
  fc.assert(
    fc.property(secret, (given) => {
      const [before, after] = template.split('${A}') as [string, string];
      const text = rendered('toml', template, { A: given });
      expect(text.startsWith(before) && text.endsWith(after)).toBe(true);
    }),
  );
});

test('a megabyte of template with a thousand placeholders is rendered', () => {
  const row = (i: number): string => `k${i} = ["\${A}", '\${A}', "${'x'.repeat(1000)}"]\n`;
  const template = Array.from({ length: 1000 }, (_, i) => row(i)).join('');
  expect(renderWith('toml', template, { A: 'v"' }).ok).toBe(true);
});
