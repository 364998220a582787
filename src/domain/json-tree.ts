import { type Node, type ParseError, parseTree, printParseErrorCode, visit } from 'jsonc-parser';
import { isJsonObject, type Json, type Locate } from './json-text.ts';
import type { JsonPath } from './problem.ts';
import { type Position, positionsIn } from './text-position.ts';

export interface JsonTree {
  /** What could be made out; complete only if there are no errors. */
  readonly value: Json | undefined;
  readonly errors: readonly TreeError[];
  /** Whether the value is what was meant, beyond doubt, whatever is wrong with how it is written. */
  readonly readable: boolean;
  readonly locate: Locate;
}

/** What people take from other formats: what was meant is beyond doubt. */
const comment = 'JSON has no comments';
const trailingComma = 'JSON has no comma behind the last member or element';
const byteOrderMark = 'the file begins with a byte order mark, which JSON does not have';
const harmless: readonly string[] = [comment, trailingComma, byteOrderMark];

const notAValue = 'this is not a JSON value';
const singleQuotes = 'a string stands in double quotes';
/** What the parser cannot make a token of: what it misses from then on is the consequence. */
const misread = [notAValue, singleQuotes];

const messages: Readonly<Record<string, string>> = {
  InvalidSymbol: notAValue,
  InvalidNumberFormat: 'this is not a JSON number',
  PropertyNameExpected: 'a member name in double quotes is expected here',
  ValueExpected: 'a value is expected here',
  ColonExpected: 'a colon is expected here',
  CommaExpected: 'a comma is expected here',
  CloseBraceExpected: 'a closing brace "}" is expected here',
  CloseBracketExpected: 'a closing bracket "]" is expected here',
  EndOfFileExpected: 'the end of the file is expected here',
  InvalidCommentToken: comment,
  UnexpectedEndOfComment: comment,
  UnexpectedEndOfString: 'this string is not closed',
  UnexpectedEndOfNumber: 'this number is cut off',
  InvalidUnicode: 'this is not a valid \\u escape',
  InvalidEscapeCharacter: 'this is not a valid escape',
  InvalidCharacter: 'a control character must be written as an escape',
};

interface TreeError {
  readonly position: Position;
  readonly message: string;
  /** Of a member that is given twice; without one it is no JSON. */
  readonly path?: JsonPath;
}

/** Parses JSON (RFC 8259) strictly but on to the end, with positions; duplicate members are errors. */
export function parseJsonTree(text: string): JsonTree {
  const parseErrors: ParseError[] = [];
  const marked = text.startsWith('\uFEFF');
  // a blank in its place: positions stay
  const root = parseTree(marked ? ` ${text.slice(1)}` : text, parseErrors, {
    disallowComments: true,
    allowTrailingComma: false,
  });
  const errors: TreeError[] = [];
  const start = { line: 1, column: 1 };
  const positionOf = positionsIn(text);
  if (marked) errors.push({ position: start, message: byteOrderMark });
  if (text.replace('\uFEFF', '').trim() === '')
    errors.push({ position: start, message: 'the file is empty' });
  else {
    for (const { error, offset } of parseErrors) {
      const { at, message } = told(text, printParseErrorCode(error), offset);
      const position = positionOf(at);
      // one slip makes many errors at the place where the parser gives up, or behind it: the first says it
      const last = errors.at(-1)?.position;
      if (last?.line === position.line && last.column === position.column) continue;
      const given = errors.find(({ message: earlier }) => misread.includes(earlier));
      if (given && (given.position.line === position.line || !misread.includes(message))) continue;
      errors.push({ position, message });
    }
  }
  const readable = root !== undefined && errors.every(({ message }) => harmless.includes(message));
  const value = root ? build(root, [], positionOf, errors) : undefined;
  // JSON.parse has the last word on what is JSON: the tolerant parser lets a few things pass
  if (errors.length === 0 && !parses(text)) {
    errors.push({ position: start, message: 'the file is not valid JSON' });
  }
  const members = new Map<Node, ReadonlyMap<string, Node>>();
  return {
    value,
    errors,
    readable,
    locate(path, what) {
      const found = locate(root, path, what, members);
      return found && positionOf(found.offset);
    },
  };
}

/** What to say of an error of the parser's, and where the slip is. */
function told(text: string, code: string, offset: number): { readonly at: number; readonly message: string } {
  const expected = code === 'PropertyNameExpected' || code === 'ValueExpected';
  if (expected && /[\]}]/.test(text[offset] ?? '')) {
    const before = text.slice(0, offset).trimEnd();
    if (before.endsWith(',')) return { at: before.length - 1, message: trailingComma };
  }
  if (/^Close/.test(code) && text.slice(offset).trim() === '') {
    const what = code === 'CloseBraceExpected' ? 'brace "}"' : 'bracket "]"';
    return { at: offset, message: `the file ends here, and a closing ${what} is missing` };
  }
  if (code === 'InvalidSymbol' && text[offset] === "'") return { at: offset, message: singleQuotes };
  return { at: offset, message: messages[code] ?? code };
}

/** A member's name, a value that is neither object nor array, or a comment, as it stands in the text. */
export interface JsonToken {
  readonly kind: 'name' | 'value' | 'comment';
  readonly offset: number;
  readonly length: number;
  /** Of a value. */
  readonly path: JsonPath;
}

/**
 * What stands in a text, be it JSON or nearly so, up to where that is beyond doubt: behind a quote too few, what
 * looks like a name may be a piece of a value.
 *
 * @returns the tokens in their order, and the offset from which on nothing is sure
 */
export function sureTokens(text: string): { readonly tokens: readonly JsonToken[]; readonly end: number } {
  const marked = text.startsWith('\uFEFF');
  const tokens: JsonToken[] = [];
  let end = text.length;
  const add = (kind: JsonToken['kind'], offset: number, length: number, path: JsonPath): void => {
    if (offset < end) tokens.push({ kind, offset, length, path });
  };
  try {
    visit(marked ? ` ${text.slice(1)}` : text, {
      onObjectProperty: (_name, offset, length) => add('name', offset, length, []),
      onLiteralValue: (_value, offset, length, _line, _column, path) => add('value', offset, length, path()),
      onComment: (offset, length) => add('comment', offset, length, []),
      onError(error, offset) {
        const code = printParseErrorCode(error);
        if (harmless.includes(told(text, code, offset).message)) return;
        if (code === 'CommaExpected' && beginsLine(text, offset)) return;
        end = Math.min(end, offset);
      },
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { tokens: [], end: 0 };
  }
  return { tokens, end };
}

/** More than any manifest has; parsers give up somewhere behind it. */
const deepest = 100;

/** Where a text that no parser can read to its end gets too deep. */
export function placeTooDeep(text: string): Position {
  let depth = 0;
  let inString = false;
  let at = 0;
  for (; at < text.length && depth <= deepest; at++) {
    const character = text[at];
    if (character === '"') inString = !inString;
    else if (inString) at += character === '\\' ? 1 : 0;
    else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') depth--;
  }
  return positionsIn(text)(Math.max(0, at - 1));
}

/** Whether a string begins there and a line with it: no quote before it on the line can be one too few. */
function beginsLine(text: string, offset: number): boolean {
  if (text[offset] !== '"') return false;
  let before = offset;
  while (before > 0 && /[ \t]/.test(text[before - 1] ?? '')) before--;
  return before > 0 && /[\r\n]/.test(text[before - 1] ?? '');
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function build(
  node: Node,
  path: JsonPath,
  positionOf: (offset: number) => Position,
  errors: TreeError[],
): Json {
  if (node.type === 'array')
    return (node.children ?? []).map((child, i) => build(child, [...path, i], positionOf, errors));
  if (node.type !== 'object') return (node.value ?? null) as Json;
  // no prototype: a member may be called __proto__
  const members: Record<string, Json> = Object.create(null);
  for (const property of node.children ?? []) {
    const [name, child] = property.children ?? [];
    if (!name) continue;
    const key = String(name.value);
    const memberPath = [...path, key];
    if (Object.hasOwn(members, key)) {
      errors.push({
        position: positionOf(name.offset),
        path: memberPath,
        message: 'this member is given twice: keep one of them',
      });
    }
    const value = child ? build(child, memberPath, positionOf, errors) : null;
    const first = Object.hasOwn(members, key) ? members[key] : undefined;
    if (first === undefined) members[key] = value;
    // whatever is named in either is known to be named
    else if (isJsonObject(value)) members[key] = Object.assign(Object.create(null), first, value, first);
  }
  return members;
}

/** @param members of objects that were looked into: a manifest may have thousands of places to name */
function locate(
  root: Node | undefined,
  path: JsonPath,
  what: 'name' | 'value',
  members: Map<Node, ReadonlyMap<string, Node>>,
): Node | undefined {
  let node = root;
  let name: Node | undefined;
  for (const step of path) {
    if (typeof step === 'number') {
      node = node?.type === 'array' ? node.children?.[step] : undefined;
      name = undefined;
    } else {
      const property = node && membersOf(node, members).get(step);
      name = property?.children?.[0];
      node = property?.children?.[1];
    }
  }
  return what === 'name' ? (name ?? node) : (node ?? name);
}

/** The properties of an object by their names; of one that is given twice the first. */
function membersOf(node: Node, known: Map<Node, ReadonlyMap<string, Node>>): ReadonlyMap<string, Node> {
  const before = known.get(node);
  if (before) return before;
  const members = new Map<string, Node>();
  for (const property of node.children ?? []) {
    const name: unknown = property.children?.[0]?.value;
    if (typeof name === 'string' && !members.has(name)) members.set(name, property);
  }
  known.set(node, members);
  return members;
}
