import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { type Json, type Locate, type Position, positionAt } from './json-text.ts';
import type { JsonPath } from './problem.ts';

export interface JsonTree {
  /** What could be made out; complete only if there are no errors. */
  readonly value: Json | undefined;
  readonly errors: readonly {
    readonly position: Position;
    readonly message: string;
    readonly path?: JsonPath;
  }[];
  readonly locate: Locate;
}

const messages: Readonly<Record<string, string>> = {
  InvalidSymbol: 'this is not a JSON value',
  InvalidNumberFormat: 'this is not a JSON number',
  PropertyNameExpected: 'a member name in double quotes is expected here',
  ValueExpected: 'a value is expected here',
  ColonExpected: 'a colon is expected here',
  CommaExpected: 'a comma is expected here',
  CloseBraceExpected: 'a closing brace "}" is expected here',
  CloseBracketExpected: 'a closing bracket "]" is expected here',
  EndOfFileExpected: 'the end of the file is expected here',
  InvalidCommentToken: 'JSON has no comments',
  UnexpectedEndOfComment: 'JSON has no comments',
  UnexpectedEndOfString: 'this string is not closed',
  UnexpectedEndOfNumber: 'this number is cut off',
  InvalidUnicode: 'this is not a valid \\u escape',
  InvalidEscapeCharacter: 'this is not a valid escape',
  InvalidCharacter: 'a control character must be written as an escape',
};

/** Parses JSON (RFC 8259) strictly but on to the end, with positions; duplicate members are errors. */
export function parseJsonTree(text: string): JsonTree {
  const parseErrors: ParseError[] = [];
  const root = parseTree(text, parseErrors, { disallowComments: true, allowTrailingComma: false });
  const errors: { position: Position; message: string; path?: JsonPath }[] = [];
  const start = { line: 1, column: 1 };
  if (text.trim() === '') errors.push({ position: start, message: 'the file is empty' });
  else if (text.startsWith('\uFEFF')) {
    errors.push({
      position: start,
      message: 'the file begins with a byte order mark, which JSON does not have',
    });
  } else {
    for (const error of parseErrors) {
      const position = positionAt(text, error.offset);
      // one slip makes many errors at the place where the parser gives up: the first says it
      const last = errors.at(-1)?.position;
      if (last?.line === position.line && last.column === position.column) continue;
      const code = printParseErrorCode(error.error);
      errors.push({ position, message: messages[code] ?? code });
    }
  }
  const value = root ? build(root, [], text, errors) : undefined;
  // JSON.parse has the last word on what is JSON: the tolerant parser lets a few things pass
  if (errors.length === 0 && !parses(text)) {
    errors.push({ position: start, message: 'the file is not valid JSON' });
  }
  return { value, errors, locate: (path, what) => locate(text, root, path, what) };
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
  text: string,
  errors: { position: Position; message: string; path?: JsonPath }[],
): Json {
  if (node.type === 'array')
    return (node.children ?? []).map((child, i) => build(child, [...path, i], text, errors));
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
        position: positionAt(text, name.offset),
        path: memberPath,
        message: 'this member is given twice',
      });
    }
    const value = child ? build(child, memberPath, text, errors) : null;
    if (!Object.hasOwn(members, key)) members[key] = value;
  }
  return members;
}

function locate(
  text: string,
  root: Node | undefined,
  path: JsonPath,
  what: 'name' | 'value',
): Position | undefined {
  let node = root;
  let name: Node | undefined;
  for (const step of path) {
    if (typeof step === 'number') {
      node = node?.type === 'array' ? node.children?.[step] : undefined;
      name = undefined;
    } else {
      const property = node?.children?.find((child) => child.children?.[0]?.value === step);
      name = property?.children?.[0];
      node = property?.children?.[1];
    }
  }
  const found = what === 'name' ? (name ?? node) : (node ?? name);
  return found ? positionAt(text, found.offset) : undefined;
}
