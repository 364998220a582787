import { environmentValueProblem, serialiseEnvironmentFile } from '../environment-file.ts';
import {
  decimalProblem,
  type Format,
  isValue,
  join,
  type Leaf,
  type Reading,
  withoutBlanks,
} from './format.ts';

interface EnvLeaf extends Leaf {
  readonly name: string;
  /** One pair of quotes around the whole, no quotes and no backslashes, or anything else. */
  readonly style: 'double' | 'single' | 'plain' | 'mixed';
}

/**
 * An environment file as systemd reads it (systemd.exec(5), "EnvironmentFile="; the rules are in
 * docs/notes/systemd.md). What is written here in quotes a shell reads in the same way.
 */
export const env: Format<EnvLeaf> = {
  name: 'environment file',
  places: 'a placeholder stands in the value of NAME=value, where NAME is one that systemd takes',
  read,
  refusal: () => undefined,
  write(leaf, { source, expected }) {
    const problem = environmentValueProblem(leaf.name, expected);
    if (problem !== undefined) return { ok: false, message: problem };
    const values = source.filter(isValue).map(({ value }) => value);
    if (leaf.style === 'double') return { ok: true, text: join(source, inQuotes) };
    if (leaf.style === 'single' && values.every((value) => !value.includes("'")))
      return { ok: true, text: join(source, (value) => value) };
    if (leaf.style === 'plain' && values.every((value) => harmless.test(value)))
      return { ok: true, text: join(source, (value) => value) };
    return { ok: true, text: quote(expected) };
  },
  typeOf: () => 'string',
  numberProblem: decimalProblem,
};

/** What needs no quotes, to systemd, to a shell, and to whatever else reads such files. */
const harmless = /^[A-Za-z0-9_./:@%+,=-]+$/;

function quote(text: string): string {
  return serialiseEnvironmentFile([['', text]]).slice(1, -1);
}

function inQuotes(text: string): string {
  return quote(text).slice(1, -1);
}

const blank = ' \t';
const lineEnd = '\r\n';
const variable = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Reads as systemd's load_env_file does (src/basic/env-file.c), but refuses what it would pass over in silence. */
function read(text: string): Reading<EnvLeaf> {
  const bad = /\0|\p{Noncharacter_Code_Point}/u.exec(text);
  if (bad)
    return { ok: false, offset: bad.index, message: 'systemd refuses a file with this character in it' };
  const tree: (string | EnvLeaf)[] = [];
  let at = 0;
  const skip = (characters: string): void => {
    while (at < text.length && characters.includes(text.charAt(at))) at++;
  };
  const toLineEnd = (): void => {
    while (at < text.length && !lineEnd.includes(text.charAt(at))) at++;
  };
  for (;;) {
    skip(blank + lineEnd);
    if (at >= text.length) return { ok: true, tree };
    const start = at;
    if ('#;'.includes(text.charAt(at))) {
      toLineEnd();
      // before systemd 254 a backslash carries a comment on, so nothing can be put into the next line
      while (text.charAt(at - 1) === '\\' && at < text.length) {
        skip(lineEnd);
        toLineEnd();
      }
      tree.push(text.slice(start, at));
      continue;
    }
    while (at < text.length && text.charAt(at) !== '=' && !lineEnd.includes(text.charAt(at))) at++;
    const name = withoutBlanks(text.slice(start, at), 'end');
    if (text.charAt(at) !== '=') {
      tree.push(name);
      continue;
    }
    at++;
    skip(blank);
    const leaf = readValue(text, at, name);
    if (leaf === undefined)
      return { ok: false, offset: at, message: 'this value has a quote that is not closed' };
    at = leaf.end;
    toLineEnd();
    // systemd reads a value here too, which may span lines, and then ignores it
    if (variable.test(name)) tree.push(name, leaf);
    else tree.push(text.slice(start, at));
  }
}

function readValue(text: string, start: number, name: string): EnvLeaf | undefined {
  let at = start;
  let end = start;
  let value = '';
  const parts: EnvLeaf['style'][] = [];
  const part = (style: EnvLeaf['style'], stop: number, says: string): void => {
    parts.push(style);
    value += says;
    at = stop;
    end = stop;
  };
  for (;;) {
    while (at < text.length && blank.includes(text.charAt(at))) at++;
    const first = text.charAt(at);
    if (first === "'") {
      const close = text.indexOf("'", at + 1);
      if (close < 0) return undefined;
      part('single', close + 1, text.slice(at + 1, close));
    } else if (first === '"') {
      double.lastIndex = at;
      const [found] = double.exec(text) ?? [];
      if (found === undefined) return undefined;
      part('double', at + found.length, found.slice(1, -1).replace(/\\([\s\S])/g, unescapeInQuotes));
    } else break;
  }
  plain.lastIndex = at;
  const found = withoutTrailing(plain.exec(text)?.[0] ?? '');
  if (found !== '') {
    const says = found.replace(/\\([\s\S])/g, (_, character: string) =>
      character === '\n' ? '' : character,
    );
    part(found === says ? 'plain' : 'mixed', at + found.length, says);
  }
  const style = parts.length === 0 ? 'plain' : parts.length === 1 ? (parts[0] ?? 'mixed') : 'mixed';
  return { start, end, value, form: 'text', name, style };
}

/** Without the blanks at its end, but for one that is escaped. */
function withoutTrailing(text: string): string {
  const trimmed = withoutBlanks(text, 'end');
  let backslashes = 0;
  while (trimmed.charAt(trimmed.length - 1 - backslashes) === '\\') backslashes++;
  return backslashes % 2 === 0 ? trimmed : text.slice(0, trimmed.length + 1);
}

const double = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const plain = /[^\\\r\n]*(?:\\[\s\S][^\\\r\n]*)*/y;

function unescapeInQuotes(pair: string, character: string): string {
  if (character === '\n') return '';
  return '"\\`$'.includes(character) ? character : pair;
}
