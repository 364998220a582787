/**
 * Ordinary passwords, put into config files as people write them, by `envsubst` and by us: how many files
 * each breaks. A file is broken if its reader refuses it or gets another value than the password, or other
 * data beside it. Refused is what the tool says that it will not write.
 *
 *     npx node bench/envsubst.ts [PASSWORDS] [SEED]
 *
 * Needs Debian's gettext-base, python3, python3-yaml and git; says the same for the same seed.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse as parseIni } from 'ini';
import type { FormatName } from '../src/domain/config-format.ts';
import { render } from '../src/domain/render/render.ts';
import { parseTemplate } from '../src/domain/template.ts';
import { parseEnvironmentFile } from '../test/support/environment-file.ts';

const count = Number(process.argv[2] ?? 1000);
const seed = Number(process.argv[3] ?? 1);
const python = '/usr/bin/python3';

/** Judges texts all at once: for each what the file says, as JSON with sorted members, or undefined. */
type Judge = (texts: readonly string[]) => readonly (string | undefined)[];

interface Case {
  readonly name: string;
  readonly format: FormatName;
  readonly template: string;
  readonly reader: string;
  readonly judge: Judge;
}

const byPython =
  (read: string): Judge =>
  (texts) => {
    const program = `
import json, sys
${read}
def attempt(text):
    try:
        return json.dumps(read(text), sort_keys=True)
    except Exception:
        return None
json.dump([attempt(text) for text in json.load(sys.stdin)], sys.stdout)`;
    const output = execFileSync(python, ['-c', program], {
      input: JSON.stringify(texts),
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });
    return (JSON.parse(output) as (string | null)[]).map((one) => one ?? undefined);
  };
const here =
  (read: (text: string) => unknown): Judge =>
  (texts) =>
    texts.map((text) => {
      try {
        return JSON.stringify(read(text));
      } catch {
        return undefined;
      }
    });
// what a password makes a shell do must have no effect: no commands but its own, and nobody's rights
const harmless = {
  env: { PATH: '/nowhere' },
  cwd: '/',
  ...(process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}),
};
const byShell: Judge = (texts) =>
  texts.map((text) => {
    try {
      const input = `set -eu\n${text}\nprintf '%s\\0' "$DB_HOST" "$DB_PASSWORD" "$DB_PORT"`;
      return execFileSync('/bin/sh', ['-s'], { input, encoding: 'utf8', stdio: 'pipe', ...harmless });
    } catch {
      return undefined;
    }
  });
const byGit: Judge = (texts) => {
  const directory = mkdtempSync(join(tmpdir(), 'envsubst-'));
  try {
    return texts.map((text) => {
      const path = join(directory, 'config');
      writeFileSync(path, text);
      try {
        return execFileSync('git', ['config', '--file', path, '--list', '-z'], {
          encoding: 'utf8',
          stdio: 'pipe',
        });
      } catch {
        return undefined;
      }
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
};

const yaml = byPython(
  'import yaml\ndef read(text): return list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))',
);
const toml = byPython('import tomllib\ndef read(text): return tomllib.loads(text)');
const json = byPython('def read(text): return json.loads(text)');
const configparser = byPython(`
import configparser
def read(text):
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}`);

const cases: readonly Case[] = [
  {
    name: 'JSON, `"${DB_PASSWORD}"`',
    format: 'json',
    template: '{\n  "host": "localhost",\n  "password": "${DB_PASSWORD}",\n  "port": 5432\n}\n',
    reader: "Python's json",
    judge: json,
  },
  {
    name: 'YAML, `${DB_PASSWORD}`',
    format: 'yaml',
    template: 'database:\n  host: localhost\n  password: ${DB_PASSWORD}\n  port: 5432\n',
    reader: 'PyYAML',
    judge: yaml,
  },
  {
    name: 'YAML, `"${DB_PASSWORD}"`',
    format: 'yaml',
    template: 'database:\n  host: localhost\n  password: "${DB_PASSWORD}"\n  port: 5432\n',
    reader: 'PyYAML',
    judge: yaml,
  },
  {
    name: "YAML, `'${DB_PASSWORD}'`",
    format: 'yaml',
    template: "database:\n  host: localhost\n  password: '${DB_PASSWORD}'\n  port: 5432\n",
    reader: 'PyYAML',
    judge: yaml,
  },
  {
    name: 'TOML, `"${DB_PASSWORD}"`',
    format: 'toml',
    template: '[database]\nhost = "localhost"\npassword = "${DB_PASSWORD}"\nport = 5432\n',
    reader: "Python's tomllib",
    judge: toml,
  },
  {
    name: "TOML, `'${DB_PASSWORD}'`",
    format: 'toml',
    template: "[database]\nhost = 'localhost'\npassword = '${DB_PASSWORD}'\nport = 5432\n",
    reader: "Python's tomllib",
    judge: toml,
  },
  {
    name: 'INI, `${DB_PASSWORD}`',
    format: 'ini',
    template: '[database]\nhost = localhost\npassword = ${DB_PASSWORD}\nport = 5432\n',
    reader: "Python's configparser",
    judge: configparser,
  },
  {
    name: 'INI, `${DB_PASSWORD}`',
    format: 'ini',
    template: '[database]\nhost = localhost\npassword = ${DB_PASSWORD}\nport = 5432\n',
    reader: 'git config',
    judge: byGit,
  },
  {
    name: 'INI, `"${DB_PASSWORD}"`',
    format: 'ini',
    template: '[database]\nhost = localhost\npassword = "${DB_PASSWORD}"\nport = 5432\n',
    reader: 'git config',
    judge: byGit,
  },
  {
    name: 'INI, `"${DB_PASSWORD}"`',
    format: 'ini',
    template: '[database]\nhost = localhost\npassword = "${DB_PASSWORD}"\nport = 5432\n',
    reader: "npm's ini",
    judge: here(parseIni),
  },
  {
    name: 'env, `${DB_PASSWORD}`',
    format: 'env',
    template: 'DB_HOST=localhost\nDB_PASSWORD=${DB_PASSWORD}\nDB_PORT=5432\n',
    reader: 'systemd (our model)',
    judge: here((text) => [...(parseEnvironmentFile(text) ?? [])]),
  },
  {
    name: 'env, `"${DB_PASSWORD}"`',
    format: 'env',
    template: 'DB_HOST=localhost\nDB_PASSWORD="${DB_PASSWORD}"\nDB_PORT=5432\n',
    reader: 'systemd (our model)',
    judge: here((text) => [...(parseEnvironmentFile(text) ?? [])]),
  },
  {
    name: 'env, `"${DB_PASSWORD}"`',
    format: 'env',
    template: 'DB_HOST=localhost\nDB_PASSWORD="${DB_PASSWORD}"\nDB_PORT=5432\n',
    reader: 'dash',
    judge: byShell,
  },
];

/** Numbers that are the same for the same seed (mulberry32), for passwords that protect nothing. */
function generator(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = generator(seed);
const passwords = Array.from({ length: count }, () =>
  Array.from({ length: 32 }, () => String.fromCharCode(33 + Math.floor(random() * 94))).join(''),
);

function byEnvsubst(template: string, password: string): string {
  return execFileSync('envsubst', ['$DB_PASSWORD'], {
    input: template,
    encoding: 'utf8',
    env: { DB_PASSWORD: password },
  });
}

function byUs(format: FormatName, template: string, password: string): string | undefined {
  const parsed = parseTemplate(template);
  if (!parsed.ok) throw new Error(`this is no template: ${template}`);
  const values = { names: new Map([['DB_PASSWORD', password]]), references: new Map<string, string>() };
  const result = render({ format, parts: parsed.parts, values });
  return result.ok ? result.text : undefined;
}

/** What the file must say: what it says with a word for the password that means nothing to anyone. */
function expectedFor({ template, judge }: Case): (password: string) => string {
  const word = 'Zq0qZ';
  const [plain] = judge([template.replace('${DB_PASSWORD}', word)]);
  if (plain === undefined) throw new Error(`no reader takes ${template}`);
  const inJson = plain.startsWith('{') || plain.startsWith('[');
  return (password) => plain.replace(word, () => (inJson ? JSON.stringify(password).slice(1, -1) : password));
}

console.log(`${count} passwords of 32 random printable ASCII characters each, seed ${seed}\n`);
console.log('| template | read by | envsubst: broken | unit-secrets: broken | unit-secrets: refused |');
console.log('| --- | --- | ---: | ---: | ---: |');
let failures = 0;
for (const one of cases) {
  const expected = expectedFor(one);
  const wrong = (texts: readonly (string | undefined)[]): number => {
    const written = texts.flatMap((text, i) =>
      text === undefined ? [] : [{ text, password: passwords[i] ?? '' }],
    );
    const said = one.judge(written.map(({ text }) => text));
    return written.filter(({ password }, i) => said[i] !== expected(password)).length;
  };
  const theirs = wrong(passwords.map((password) => byEnvsubst(one.template, password)));
  const ours = passwords.map((password) => byUs(one.format, one.template, password));
  const broken = wrong(ours);
  failures += broken;
  const refused = ours.filter((text) => text === undefined).length;
  const share = (number: number): string => `${((number / count) * 100).toFixed(1)} %`;
  console.log(`| ${one.name} | ${one.reader} | ${share(theirs)} | ${share(broken)} | ${share(refused)} |`);
}
process.exitCode = failures === 0 ? 0 : 1;
