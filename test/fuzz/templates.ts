/**
 * Damaged templates with adversarial values: a template is refused, or its rendering reads as the template does
 * with the values in their places. Python's parsers are the judges, in one process for many; nothing throws or
 * takes long.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FormatName, formatNames } from '../../src/domain/config-format.ts';
import { checkTemplate } from '../../src/domain/render/check.ts';
import { render } from '../../src/domain/render/render.ts';
import { parseTemplate, type TemplatePart } from '../../src/domain/template.ts';
import { parseEnvironmentFile } from '../support/environment-file.ts';
import { mutateBytes, oddText, Random, trouble } from './random.ts';
import { Findings, type FuzzOptions, hasTime, type Report } from './report.ts';

/** The longest that one may take, in milliseconds, on a busy machine. */
const patience = 5_000;
const names = ['A', 'B', 'C'] as const;

const seeds: Readonly<Record<FormatName, readonly string[]>> = {
  json: [
    '{"a": ${A}, "b": "x${B}y", "${C}": [${A:number}, {"c": null}], "d": "{{ op://v/i/f }}"}\n',
    '[${A}, "${B}", ${C:boolean}]',
  ],
  yaml: [
    'a: ${A}\nb: "x${B}y"\nc: \'${C}\'\nd: |\n  ${A}\n  x\ne: >-\n  ${B}\n  y\nf: [${A}, {g: ${B}}]\n"${C}": 1\n',
    'a: &x ${A}\nb: *x\n---\nc: !!str ${B}\nd: ${C:number}\n# ${A}\n',
    '- ${A}\n- - "${B}"\n  - {{ op://v/i/f }}\n',
  ],
  toml: [
    'a = ${A}\nb = "x${B}y"\nc = \'${C}\'\nd = """\n${A}\nx"""\n[t.${B}]\ne = [${A}, ${B:number}]\nf = { g = ${C} }\n[[u]]\n"${C}" = 1\n',
    "a = '''\n${A}'''\nb = {{ op://v/i/f }}\nc = 2001-01-01\n",
  ],
  ini: [
    '[s]\na = ${A}\nb = "x${B}y"\n; ${C}\n[t]\nc = {{ op://v/i/f }}\n',
    'a=${A}\n[x]\nb="${B}"\nc = x${C}\n',
  ],
  env: ['A=${A}\nB="x${B}y"\nC=\'${C}\'\n# c\nD={{ op://v/i/f }}\n', 'A="${A}"\nB=x${B}\n'],
  text: ['a ${A} b {{ op://v/i/f }}\n$${C} {{ "{{" }} ${B:number}\n'],
};

interface Sample {
  readonly where: string;
  readonly format: FormatName;
  readonly plain: string;
  readonly text: string;
  readonly values: Readonly<Record<string, string>>;
}

export function fuzzTemplates(options: FuzzOptions): Report {
  const { seed, count } = options;
  const findings = new Findings('templates');
  let samples: Sample[] = [];
  const judge = (): void => {
    if (samples.length > 0) judgeWithPython(samples, findings);
    samples = [];
  };
  for (let index = 0; index < count && hasTime(options); index++) {
    const random = new Random('template', seed, index);
    const where = `templates --seed ${seed}, case ${index}`;
    const format = random.pick(formatNames);
    try {
      const sample = tryOne(random, where, format, findings);
      if (sample) samples.push(sample);
    } catch (error) {
      findings.add(where, `${format} throws ${error instanceof Error ? error.stack : String(error)}`);
    }
    if (samples.length >= 2000) judge();
  }
  judge();
  return findings.report();
}

const examples = ['examples/homelab/templates/litellm.yaml'].map((path) =>
  readFileSync(join(import.meta.dirname, '../..', path), 'utf8'),
);

function tryOne(random: Random, where: string, format: FormatName, findings: Findings): Sample | undefined {
  const pool = format === 'yaml' ? [...seeds.yaml, ...examples] : seeds[format];
  const others = Object.values(seeds)
    .flat()
    .map((text) => Buffer.from(text));
  let template = random.pick(pool);
  if (random.chance(0.8)) template = mutateBytes(random, Buffer.from(template), others).toString('utf8');
  const parsed = parseTemplate(template);
  if (!parsed.ok) {
    findings.count('templates that cannot be taken apart');
    return undefined;
  }
  const begin = performance.now();
  const declared = [...new Set(parsed.parts.flatMap((part) => (part.kind === 'name' ? [part.name] : [])))];
  const problems = checkTemplate(template, format, declared);
  const values: Record<string, string> = {};
  for (const name of [...names, ...declared, 'op://v/i/f']) values[name] = secretFor(random);
  for (const part of parsed.parts) {
    if (part.kind === 'reference') values[part.reference] = values['op://v/i/f'] ?? '';
    if (part.kind !== 'name' || part.type === 'string' || random.chance(0.1)) continue;
    values[part.name] =
      part.type === 'number'
        ? random.pick(['0', '-1', '1.5', '12345678901234567890', '1.0e+3'])
        : random.pick(['true', 'false']);
  }
  const entries = Object.entries(values);
  const result = render({
    format,
    parts: parsed.parts,
    values: { names: new Map(entries), references: new Map(entries) },
  });
  const took = performance.now() - begin;
  if (took > patience) findings.add(where, `${format} took ${Math.round(took)} ms`);
  const text = result.ok ? result.text : '';
  for (const { message, hint = '' } of result.ok ? [] : result.problems) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    if (/[\0-\x1f\x7f]/.test(message + hint))
      findings.add(where, `message with a control character: ${JSON.stringify(message)}`);
    for (const value of Object.values(values))
      if (value.length >= 12 && !template.includes(value) && (message + hint).includes(value))
        findings.add(where, `message with a value: ${message}`);
  }
  if (result.ok && problems.length > 0)
    findings.add(where, `${format} is rendered though check refuses it: ${JSON.stringify(template)}`);
  findings.count(result.ok ? `${format} rendered` : `${format} refused`);
  return result.ok
    ? { where, format, plain: plainOf(parsed.parts, format, values), text, values }
    : undefined;
}

/** Passwords, texts, and what would change a structure. */
function secretFor(random: Random): string {
  return random.pick([
    () => random.list(8, 32, () => String.fromCharCode(random.between(33, 126))).join(''),
    () => oddText(random).toWellFormed(),
    () => random.pick(trouble).toWellFormed().repeat(random.between(1, 3)),
    () =>
      random.pick([
        '\nb: 1',
        '"\nx = 1\n"',
        '", "x": "',
        "''",
        '"""',
        "'''",
        ' #x',
        ': ',
        '- a',
        '\n[s]\nz=1',
        'x\r\ny',
        '${B}',
        '{{ op://v/i/f }}',
        '\n---\n',
        '*x',
        '&x',
        '!!int 1',
        '\\',
      ]),
    () => 'plain',
    () => '',
  ])();
}

const word = (name: string): string => `Zq${Buffer.from(name).toString('hex')}qZ`;

/** The template with a word for each value, for a parser; a bare word is quoted where JSON and TOML need it. */
function plainOf(
  parts: readonly TemplatePart[],
  format: FormatName,
  values: Readonly<Record<string, string>>,
): string {
  let text = '';
  for (const part of parts) {
    if (part.kind === 'text') text += part.text;
    else if (part.kind === 'name' && part.type !== 'string') text += values[part.name] ?? '';
    else {
      const marked = word(part.kind === 'name' ? part.name : part.reference);
      text +=
        format === 'json' && !inJsonString(text)
          ? `"${marked}"`
          : format === 'toml' && /[=[,]\s*$/.test(text) && !inTomlString(text)
            ? `"${marked}"`
            : marked;
    }
  }
  return text;
}

function inTomlString(text: string): boolean {
  const long = text.match(/'''|"""/g)?.length ?? 0;
  return long % 2 === 1 || (text.slice(text.lastIndexOf('\n') + 1).match(/["']/g)?.length ?? 0) % 2 === 1;
}

function inJsonString(text: string): boolean {
  return (text.replace(/\\./gs, '').match(/"/g)?.length ?? 0) % 2 === 1;
}

const judges = `
import configparser, json, math, re, sys, tomllib, yaml

class Loader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):
    pass
Loader.add_multi_constructor('', lambda loader, suffix, node: (suffix, construct(loader, node)))
def construct(loader, node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)

def read_ini(text):
    parser = configparser.RawConfigParser(strict=False, interpolation=None, delimiters=('=',), comment_prefixes=('#', ';'), default_section='\\0')
    parser.optionxform = str
    parser.read_string(text if re.match(r'\\s*\\[', text) else '[\\1]\\n' + text)
    return {section: {key: unquoted(value) for key, value in parser.items(section)} for section in parser.sections()}

# as git and npm's ini do, to which the escapes are addressed
def unquoted(value):
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return re.sub(r'\\\\(.)', lambda found: {'n': '\\n', 't': '\\t'}.get(found[1], found[1]), value[1:-1])

def pairs(found):
    return ['object'] + [[key, value] for key, value in found]

readers = {
    'json': lambda text: json.loads(text, object_pairs_hook=pairs, parse_int=str, parse_float=str),
    'yaml': lambda text: list(yaml.load_all(text, Loader)),
    'toml': lambda text: tomllib.loads(text.replace('\\r\\n', '\\n')),
    'ini': read_ini,
}

# the structure, in which typed values may differ from their words; and every text
def shape(tree):
    if isinstance(tree, (list, tuple)):
        return [shape(one) for one in tree]
    if isinstance(tree, dict):
        return {'keys': [[shape(key), shape(value)] for key, value in tree.items()]}
    if isinstance(tree, bool):
        return 'a boolean'
    if isinstance(tree, (int, float)):
        return 'a number'
    return tree if isinstance(tree, str) else repr(tree)

def fill(tree, values):
    if isinstance(tree, str):
        return re.sub('Zq((?:[0-9a-f]{2})+)qZ', lambda found: values[bytes.fromhex(found[1]).decode()], tree)
    if isinstance(tree, (list, tuple)):
        return [fill(one, values) for one in tree]
    if isinstance(tree, dict):
        return {fill(key, values): fill(value, values) for key, value in tree.items()}
    return tree

wrong, unread, judged = [], 0, 0
for index, (format, plain, text, values) in enumerate(json.load(sys.stdin)):
    read = readers[format]
    try:
        expected = shape(fill(read(plain), values))
    except Exception:
        unread += 1
        continue
    try:
        found = shape(read(text))
    except Exception as error:
        found = 'error: ' + str(error)[:200]
    judged += 1
    if found != expected:
        wrong.append([index, json.dumps(expected)[:500], json.dumps(found)[:500]])
print(json.dumps([judged, unread, wrong]))
`;

/** What the judges do not see as the engine does: each is a decision that docs/rendering.md tells. */
function judgeWithPython(samples: readonly Sample[], findings: Findings): void {
  const judged = samples.filter(({ format }) => format !== 'text' && format !== 'env');
  for (const sample of samples.filter(({ format }) => format === 'env')) judgeEnvironment(sample, findings);
  const output = execFileSync('/usr/bin/python3', ['-c', judges], {
    input: JSON.stringify(judged.map(({ format, plain, text, values }) => [format, plain, text, values])),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const [count, unread, wrong] = JSON.parse(output) as [number, number, [number, string, string][]];
  findings.count('judged by Python', count);
  findings.count('templates that Python reads otherwise', unread);
  for (const [index, expected, found] of wrong) {
    const { where, format, plain, text } = judged[index] as Sample;
    findings.add(
      where,
      `${format} ${JSON.stringify(plain)} becomes ${JSON.stringify(text)}: ${found} instead of ${expected}`,
    );
  }
}

function judgeEnvironment({ where, plain, text, values }: Sample, findings: Findings): void {
  const before = parseEnvironmentFile(plain);
  const after = parseEnvironmentFile(text);
  findings.count('judged by the model of systemd');
  const fill = (value: string): string =>
    value.replace(
      /Zq((?:[0-9a-f]{2})+)qZ/g,
      (_, name: string) => values[Buffer.from(name, 'hex').toString()] ?? '',
    );
  const expected = before && JSON.stringify([...before].map(([name, value]) => [name, fill(value)]));
  const found = after && JSON.stringify([...after]);
  if (expected !== found)
    findings.add(
      where,
      `env ${JSON.stringify(plain)} becomes ${JSON.stringify(text)}: ${found} instead of ${expected}`,
    );
}
