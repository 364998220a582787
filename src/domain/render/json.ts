import { parseJsonTree } from '../json-tree.ts';
import { decimalProblem, type Format, join, type Leaf, type Reading } from './format.ts';

const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;

/** JSON (RFC 8259), strict: no comments, no member twice. */
export const json: Format = {
  name: 'JSON',
  places: 'a placeholder stands for a value, or within quotes',
  read,
  refusal: (leaf, source) =>
    leaf.form === 'bare' && source.length > 1
      ? 'a value without quotes must be one placeholder alone; put the whole in double quotes'
      : undefined,
  write(leaf, { source, expected }) {
    return { ok: true, text: leaf.form === 'bare' ? quote(expected) : join(source, inQuotes) };
  },
  typeOf(leaf) {
    if (leaf.form === 'string') return 'string';
    if (leaf.value === 'true' || leaf.value === 'false') return 'boolean';
    return leaf.value === 'null' ? 'other' : 'number';
  },
  numberProblem: decimalProblem,
};

function quote(text: string): string {
  // JSON has no need for it, but what shows as nothing or as a line end misleads whoever looks
  return JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function inQuotes(text: string): string {
  return quote(text).slice(1, -1);
}

function read(text: string): Reading<Leaf> {
  const [error] = parseJsonTree(text).errors;
  if (error) {
    const { line, column } = error.position;
    return { ok: false, offset: offsetOf(text, line, column), message: error.message };
  }
  // of what is known to be JSON the tokens are the tree
  const tree: (string | Leaf)[] = [];
  for (const { 0: source, index: start } of text.matchAll(token)) {
    const end = start + source.length;
    if (source.length === 1 && '{}[]:,'.includes(source)) tree.push(source);
    else if (source.startsWith('"'))
      tree.push({ start, end, value: JSON.parse(source) as string, form: 'string' });
    else tree.push({ start, end, value: source, form: 'bare' });
  }
  return { ok: true, tree };
}

function offsetOf(text: string, line: number, column: number): number {
  let start = 0;
  let current = 1;
  for (const match of text.matchAll(/\r\n|\n|\r/g)) {
    if (current === line) break;
    start = match.index + match[0].length;
    current++;
  }
  return start + column - 1;
}
