/**
 * A template of a megabyte with a thousand placeholders, in each format: rendered and checked by us, once
 * read by the format's parser, and put together without a look by `envsubst` (a process of its own, with its
 * start). Warm, in turns, medians; the ratio to the parser is what another machine should find too.
 *
 *     npx node bench/render.ts
 *
 * Fails if one takes more than a second. Needs Debian's gettext-base.
 */
import { execFileSync } from 'node:child_process';
import { parse as parseIni } from 'ini';
import { parse as parseToml } from 'smol-toml';
import { parseAllDocuments } from 'yaml';
import { type FormatName, formatNames } from '../src/domain/config-format.ts';
import { render } from '../src/domain/render/render.ts';
import { parseTemplate } from '../src/domain/template.ts';

const rounds = 15;
const limit = 1000;
const placeholders = 1000;
const filler = 'some text of a line '.repeat(48);

const lines: Readonly<Record<FormatName, (index: number) => string>> = {
  json: (index) => `  "key${index}": ["\${V${index}}", "${filler}"]${index < placeholders - 1 ? ',' : ''}`,
  yaml: (index) => `key${index}:\n  value: \${V${index}}\n  text: ${filler.trim()}`,
  toml: (index) => `key${index} = ["\${V${index}}", "${filler}"]`,
  ini: (index) => `key${index} = \${V${index}}\ntext${index} = ${filler}`,
  env: (index) => `KEY${index}=\${V${index}}\nTEXT${index}="${filler}"`,
  text: (index) => `key${index} \${V${index}} ${filler}`,
};
const parsers: Readonly<Partial<Record<FormatName, (text: string) => unknown>>> = {
  json: (text) => JSON.parse(text),
  yaml: (text) => [...parseAllDocuments(text)].map((document) => document.toJS()),
  toml: (text) => parseToml(text),
  ini: (text) => parseIni(text),
};

function templateOf(format: FormatName): string {
  const all = Array.from({ length: placeholders }, (_, index) => lines[format](index)).join('\n');
  return format === 'json' ? `{\n${all}\n}\n` : `${all}\n`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function timed(action: () => unknown): number {
  const before = performance.now();
  action();
  return performance.now() - before;
}

console.log('format  MB    ours ms  parser ms  ours/parser  envsubst ms   (medians)');
for (const format of formatNames) {
  const template = templateOf(format);
  const names = new Map(
    Array.from({ length: placeholders }, (_, index) => [`V${index}`, `p4ss:w0rd-${index}-'abc`] as const),
  );
  const ours = (): string => {
    const parsed = parseTemplate(template);
    if (!parsed.ok) throw new Error('this is no template');
    const result = render({ format, parts: parsed.parts, values: { names, references: new Map() } });
    if (!result.ok) throw new Error(result.problems[0]?.message);
    return result.text;
  };
  const text = ours();
  const parse = parsers[format];
  const env = Object.fromEntries(names);
  const took = { ours: [] as number[], parser: [] as number[], envsubst: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    took.ours.push(timed(ours));
    if (parse) took.parser.push(timed(() => parse(text)));
    took.envsubst.push(timed(() => execFileSync('envsubst', { input: template, env, maxBuffer: 2 ** 26 })));
  }
  const [mine, parser] = [median(took.ours), median(took.parser)];
  console.log(
    [
      format.padEnd(6),
      (Buffer.byteLength(template) / 1e6).toFixed(2).padStart(5),
      mine.toFixed(1).padStart(9),
      (parse ? parser.toFixed(1) : '-').padStart(10),
      (parse ? (mine / parser).toFixed(1) : '-').padStart(12),
      median(took.envsubst).toFixed(1).padStart(12),
    ].join(' '),
  );
  if (mine > limit) {
    console.error(`bench: ${format} took more than ${limit} ms`);
    process.exitCode = 1;
  }
}
