import { quoteName } from './problem.ts';
import { parseSecretReference } from './secret-reference.ts';
import { nearest } from './suggest.ts';
import { type Position, positionsIn } from './text-position.ts';

/** What a value is put into the result as; only a format-aware rendering makes a difference. */
export type PlaceholderType = 'string' | 'number' | 'boolean';

interface Placed {
  /** Where it begins in the template, in UTF-16 code units. */
  readonly offset: number;
  /** How much of the template it takes; more than the length of its text for an escape. */
  readonly length: number;
}

/** Text as it stands; `$${` and `{{ "{{" }}` are parts of their own. */
export interface TemplateText extends Placed {
  readonly kind: 'text';
  readonly text: string;
}

/** `${NAME}`, `${NAME:number}` or `${NAME:boolean}`. */
export interface TemplateName extends Placed {
  readonly kind: 'name';
  readonly name: string;
  readonly type: PlaceholderType;
  readonly position: Position;
}

/** `{{ op://… }}`; always a string. */
export interface TemplateReference extends Placed {
  readonly kind: 'reference';
  readonly reference: string;
  readonly position: Position;
}

export type Placeholder = TemplateName | TemplateReference;
export type TemplatePart = TemplateText | Placeholder;

/** Something wrong in a template, as data; with the file's name it is a `Problem`. Never quotes a value. */
export interface TemplateProblem {
  readonly position: Position;
  readonly message: string;
  readonly hint?: string;
}

export type TemplateResult =
  | { readonly ok: true; readonly parts: readonly TemplatePart[] }
  | {
      readonly ok: false;
      readonly problems: readonly TemplateProblem[];
      /** What could be read nevertheless. */
      readonly parts: readonly TemplatePart[];
    };

const opening = /\$\$?\{|\{\{/g;
const escapedBraces = /\{\{[ \t]*"\{\{"[ \t]*\}\}/y;
const nameWithType = /([A-Za-z_][A-Za-z0-9_]*)(?::([A-Za-z]*))?(\}?)/y;
const types = ['number', 'boolean'] as const;

/**
 * Parses a template, in one pass.
 *
 * - `${NAME}`, `${NAME:number}`, `${NAME:boolean}`: a value by its name, a POSIX variable's
 *   (`[A-Za-z_][A-Za-z0-9_]*`). Anything else that begins with `${` is an error, shell syntax such as
 *   `${NAME:-default}` included: it could only be a placeholder that is not known, and the contract leaves
 *   no room for one that turns into nothing.
 * - `{{ op://… }}`, on one line: a secret reference. Anything else that begins with two braces is an error.
 * - `$${` stands for `${`, and `{{ "{{" }}` for two braces.
 * - Everything else is text, `$HOME`, `$(id)` and `$$` included.
 *
 * The parts cover the template without gaps, in its order. Every problem is found, not only the first.
 */
export function parseTemplate(text: string): TemplateResult {
  const parts: TemplatePart[] = [];
  const problems: TemplateProblem[] = [];
  const positionOf = positionsIn(text);
  let rest = 0;
  const pushText = (end: number): void => {
    if (end > rest)
      parts.push({ kind: 'text', text: text.slice(rest, end), offset: rest, length: end - rest });
    rest = end;
  };
  const push = (part: TemplatePart): void => {
    pushText(part.offset);
    parts.push(part);
    rest = part.offset + part.length;
  };
  opening.lastIndex = 0;
  for (let found = opening.exec(text); found; found = opening.exec(text)) {
    const offset = found.index;
    const part =
      found[0] === '$${'
        ? ({ kind: 'text', text: '${', offset, length: 3 } as const)
        : found[0] === '${'
          ? nameAt(text, offset, positionOf)
          : bracesAt(text, offset, positionOf);
    if ('kind' in part) {
      push(part);
      opening.lastIndex = rest;
    } else problems.push(part);
  }
  if (problems.length > 0) return { ok: false, problems, parts };
  pushText(text.length);
  return { ok: true, parts };
}

type PositionOf = (offset: number) => Position;

function nameAt(text: string, offset: number, positionOf: PositionOf): TemplateName | TemplateProblem {
  const position = positionOf(offset);
  nameWithType.lastIndex = offset + 2;
  const [matched, name, type, close] = nameWithType.exec(text) ?? [];
  if (matched === undefined || name === undefined) {
    return {
      position,
      message: '"${" is not followed by a name; write $${ for "${" itself',
    };
  }
  const known = types.find((one) => one === type);
  if (type !== undefined && known === undefined && close === '}') {
    const near = nearest(type, types);
    return {
      position,
      message: `the type of ${quoteName(name)} is none of number, boolean`,
      ...(near === undefined ? {} : { hint: `did you mean ${quoteName(near)}?` }),
    };
  }
  if (close !== '}') {
    return {
      position,
      message: `after "\${${name}" a closing "}" is expected; there are no defaults and no other shell syntax, and $\${ stands for "\${" itself`,
    };
  }
  return {
    kind: 'name',
    name,
    type: known ?? 'string',
    offset,
    length: 2 + matched.length,
    position,
  };
}

function bracesAt(text: string, offset: number, positionOf: PositionOf): TemplatePart | TemplateProblem {
  // a quoted "{{" may itself stand between the braces, so the end is looked for behind it
  escapedBraces.lastIndex = offset;
  const literal = escapedBraces.exec(text);
  if (literal) return { kind: 'text', text: '{{', offset, length: literal[0].length };
  const position = positionOf(offset);
  const close = text.indexOf('}}', offset + 2);
  const inner = close < 0 ? '\n' : text.slice(offset + 2, close);
  if (/[\r\n]/.test(inner)) {
    return {
      position,
      message: '"{{" is not closed by "}}" on its line; write {{ "{{" }} for two braces',
    };
  }
  const reference = inner.replace(/^[ \t]+|[ \t]+$/g, '');
  const parsed = parseSecretReference(reference);
  if (!parsed.ok) {
    return {
      position,
      message: `between "{{" and "}}": ${parsed.message}; write {{ "{{" }} for two braces`,
    };
  }
  return { kind: 'reference', reference, offset, length: close + 2 - offset, position };
}

/** What a template needs, each once, in the order of first appearance. */
export interface TemplateNeeds {
  readonly names: readonly string[];
  readonly references: readonly string[];
}

export function templateNeeds(parts: readonly TemplatePart[]): TemplateNeeds {
  const names = new Set<string>();
  const references = new Set<string>();
  for (const part of parts) {
    if (part.kind === 'name') names.add(part.name);
    else if (part.kind === 'reference') references.add(part.reference);
  }
  return { names: [...names], references: [...references] };
}

/** A problem for each placeholder whose name is not declared, with the nearest declared one as a hint. */
export function undeclaredNames(
  parts: readonly TemplatePart[],
  declared: Iterable<string>,
): readonly TemplateProblem[] {
  const known = new Set(declared);
  const problems: TemplateProblem[] = [];
  for (const part of parts) {
    if (part.kind !== 'name' || known.has(part.name)) continue;
    const near = nearest(part.name, known);
    problems.push({
      position: part.position,
      message: `${quoteName(part.name)} is declared neither in the service's environment nor in the values of this config`,
      hint:
        near === undefined ? 'declare it, or write $${ for "${" itself' : `did you mean ${quoteName(near)}?`,
    });
  }
  return problems;
}

/** The values of a template's placeholders, by name and by reference. */
export interface TemplateValues {
  readonly names: ReadonlyMap<string, string>;
  readonly references: ReadonlyMap<string, string>;
}

/** The value of a placeholder. Names are checked before values are asked for, so a missing one is a bug. */
export function placeholderValue(placeholder: Placeholder, values: TemplateValues): string {
  const value =
    placeholder.kind === 'name'
      ? values.names.get(placeholder.name)
      : values.references.get(placeholder.reference);
  if (value === undefined) throw new Error('a placeholder has no value when its template is rendered');
  return value;
}

/** Puts text in the place of each placeholder, in one pass: what a value contains is never looked at again. */
export function renderText(
  parts: readonly TemplatePart[],
  lookup: (placeholder: Placeholder) => string,
): string {
  let text = '';
  for (const part of parts) text += part.kind === 'text' ? part.text : lookup(part);
  return text;
}
