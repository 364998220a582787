import { parse, TomlError } from 'smol-toml';
import {
  decimalProblem,
  escapeInQuotes,
  type Filled,
  type Filling,
  type Format,
  isPrintable,
  isValue,
  join,
  type Leaf,
  type LeafType,
  type Reading,
} from './format.ts';

interface TomlLeaf extends Leaf {
  readonly style: 'key' | 'bare' | 'basic' | 'literal' | 'multi-line basic' | 'multi-line literal';
}

/**
 * TOML 1.0 (https://toml.io/en/v1.0.0); that the parser reads 1.1 too concerns templates alone, for nothing
 * that is written here needs it.
 *
 * A value stays in the style in which the template has its string. A literal string that cannot carry it
 * becomes a basic one, and a bare key a quoted one; a string of several lines keeps its lines.
 */
export const toml: Format<TomlLeaf> = {
  name: 'TOML',
  places: 'a placeholder stands for a value or a key, or for part of a string or a key, not in a comment',
  read,
  refusal: (leaf, source) =>
    leaf.form === 'bare' && source.length > 1
      ? 'a value without quotes must be one placeholder alone; put the whole in double quotes'
      : undefined,
  write(leaf, filling) {
    const text = inStyle(leaf, filling);
    if (text !== undefined) return { ok: true, text };
    // parsers may read CRLF as LF, which an escape would put an end to
    if (filling.source.some((piece) => !isValue(piece) && piece.includes('\r')))
      return { ok: false, message: 'it is empty, which joins what stands around it' };
    return { ok: true, text: `"${inQuotes(filling.expected)}"` };
  },
  typeOf: (leaf) => (leaf.form === 'string' ? 'string' : bareType(leaf.value)),
  numberProblem(text) {
    const problem = decimalProblem(text);
    if (problem !== undefined || !/^-?[0-9]+$/.test(text)) return problem;
    const whole = BigInt(text);
    return whole < -(2n ** 63n) || whole >= 2n ** 63n ? 'is too large an integer for TOML' : undefined;
  },
};

const bareKey = /^[A-Za-z0-9_-]+$/;
const number =
  /^[+-]?(?:0x[0-9A-Fa-f_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*(?:\.[0-9_]+)?(?:[eE][+-]?[0-9_]+)?)$/;

function bareType(text: string): LeafType {
  if (text === 'true' || text === 'false') return 'boolean';
  return number.test(text) ? 'number' : 'other';
}

/** The leaf's new source in the style it has, or in one that looks like it; undefined if it must become another. */
function inStyle(leaf: TomlLeaf, filling: Filling): string | undefined {
  const { source, expected } = filling;
  const values = source.filter(isValue).map(({ value }) => value);
  const carried = (value: string): boolean => isPrintable(value) && !value.includes("'");
  const asTheyAre = (): string => join(source, (value) => value);
  switch (leaf.style) {
    case 'key':
      return bareKey.test(expected) ? expected : undefined;
    case 'bare':
      return undefined;
    case 'basic':
      return join(source, inQuotes);
    case 'literal':
      return values.every(carried) ? asTheyAre() : undefined;
    case 'multi-line basic':
      return ifItSays(join(source, inLines), expected);
    case 'multi-line literal': {
      const literal = values.every((value) => value.split('\n').every(carried))
        ? ifItSays(asTheyAre(), expected)
        : undefined;
      return literal ?? ifItSays(inBasicLines(source), expected);
    }
  }
}

/** Line ends, quotes and nothing at all may mean something else where a string begins or a line is carried on. */
function ifItSays(source: string, expected: string): string | undefined {
  try {
    return stringOf(source) === expected ? source : undefined;
  } catch (error) {
    if (error instanceof TomlError) return undefined;
    throw error;
  }
}

/** A literal string of several lines as a basic one with the same lines. */
function inBasicLines(source: readonly Filled[]): string {
  const written = source.map((piece) =>
    isValue(piece)
      ? inLines(piece.value)
      : piece
          .split(/(\r?\n)/)
          .map(inBasicLine)
          .join(''),
  );
  return `"""${written.join('').slice(3, -3)}"""`;
}

function inBasicLine(text: string): string {
  return /^\r?\n$/.test(text) ? text : inQuotes(text);
}

/** A value within several lines; a blank at its start would be lost where the template carries a line on. */
function inLines(value: string): string {
  return inQuotes(value).replace(/^ /, '\\u0020');
}

function inQuotes(text: string): string {
  return escapeInQuotes(text, { '\b': '\\b', '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r' });
}

function stringOf(source: string): string {
  const { v } = parse(`v=${source}`);
  return String(v);
}

function read(text: string): Reading<TomlLeaf> {
  let data: unknown;
  try {
    data = parse(text, { integersAsBigInt: true });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // behind its first line the message shows the file
    const [message = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    return { ok: false, offset: offsetOf(text, error.line, error.column), message };
  }
  return { ok: true, tree: leavesOf(text), data };
}

function offsetOf(text: string, line: number, column: number): number {
  let start = 0;
  for (let i = 1; i < line; i++) start = text.indexOf('\n', start) + 1;
  return start + column - 1;
}

const blank = /(?:[ \t\r\n]|#[^\n]*)+/y;
const bare = {
  key: /[A-Za-z0-9_-]+/y,
  // one space can be in a date
  value: /(?:[0-9]{4}-[0-9]{2}-[0-9]{2} (?=[0-9]))?[^ \t\r\n,\]}#]+/y,
};

/**
 * The tokens of what is known to be TOML: keys and values, and between them the punctuation.
 *
 * The parser does not tell where things are. That nothing was misunderstood here is seen from its data,
 * which the engine compares as well.
 */
function leavesOf(text: string): readonly (string | TomlLeaf)[] {
  const tree: (string | TomlLeaf)[] = [];
  const open: ('header' | 'array' | 'table')[] = [];
  let isKey = true;
  let at = 0;
  const found = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0] ?? '';
  };
  if (text.startsWith('\ufeff')) at++;
  for (;;) {
    at += found(blank).length;
    if (at >= text.length) return tree;
    const start = at;
    const first = text.charAt(at);
    if ('=,.[]{}'.includes(first) && (first !== '.' || isKey)) {
      if (first === '[') open.push(isKey ? 'header' : 'array');
      else if (first === '{') open.push('table');
      else if (first === ']' || first === '}') open.pop();
      if (first === '=') isKey = false;
      else if (first === '{') isKey = true;
      else if (first === ',') isKey = open.at(-1) === 'table';
      else if (open.length === 0 && first !== '.') isKey = true;
      tree.push(first);
      at++;
      continue;
    }
    if (first === '"' || first === "'") {
      const several = !isKey && text.startsWith(first.repeat(3), at);
      at = several ? endOfSeveralLines(text, at, first) : endOfString(text, at, first);
      const kind = first === '"' ? 'basic' : 'literal';
      const source = text.slice(start, at);
      const style = several ? (`multi-line ${kind}` as const) : kind;
      tree.push({ start, end: at, value: stringOf(source), form: 'string', style });
    } else {
      const source = found(isKey ? bare.key : bare.value);
      if (source === '') throw new Error('TOML that its parser takes has no such token');
      at += source.length;
      const kind = isKey
        ? ({ form: 'string', style: 'key' } as const)
        : ({ form: 'bare', style: 'bare' } as const);
      tree.push({ start, end: at, value: source, ...kind });
    }
    if (!isKey && open.length === 0) isKey = true;
  }
}

function endOfString(text: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < text.length && text.charAt(at) !== quote)
    at += quote === '"' && text.charAt(at) === '\\' ? 2 : 1;
  return at + 1;
}

/** The last of up to five quotes in a row: the first two belong to what the string says. */
function endOfSeveralLines(text: string, start: number, quote: string): number {
  let at = start + 3;
  while (at < text.length && !text.startsWith(quote.repeat(3), at))
    at += quote === '"' && text.charAt(at) === '\\' ? 2 : 1;
  at += 3;
  for (let more = 0; more < 2 && text.charAt(at) === quote; more++) at++;
  return at;
}
