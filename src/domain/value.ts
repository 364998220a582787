import { isSecretReference, parseSecretReference } from './secret-reference.ts';

/** A piece of a value: text as it stands, or a secret reference to be put in its place. */
export type ValuePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reference'; readonly reference: string };

export type ValueResult =
  | { readonly ok: true; readonly parts: readonly ValuePart[] }
  | { readonly ok: false; readonly messages: readonly [string, ...string[]] };

const quoted = /\{\{\s*"\{\{"\s*\}\}/y;

function problemOf(reference: string): string | undefined {
  if (isSecretReference(reference)) return undefined;
  const result = parseSecretReference(reference);
  return result.ok ? undefined : result.message;
}

/**
 * Parses a value of the manifest: a secret reference by itself (`op://…`), text with references in
 * `{{ … }}`, or plain text. `{{ "{{" }}` stands for two braces. Every problem is found, not only the first.
 */
export function parseValue(text: string): ValueResult {
  if (text.startsWith('op://')) {
    const problem = problemOf(text);
    if (problem !== undefined) return { ok: false, messages: [problem] };
    return { ok: true, parts: [{ kind: 'reference', reference: text }] };
  }
  const parts: ValuePart[] = [];
  const problems: string[] = [];
  let rest = 0;
  for (;;) {
    const open = text.indexOf('{{', rest);
    if (open < 0) break;
    // a quoted "{{" may itself stand between the braces, so the end is looked for behind it
    quoted.lastIndex = open;
    const literal = quoted.exec(text);
    if (open > rest) parts.push({ kind: 'text', text: text.slice(rest, open) });
    if (literal) {
      parts.push({ kind: 'text', text: '{{' });
      rest = open + literal[0].length;
      continue;
    }
    const close = text.indexOf('}}', open + 2);
    if (close < 0) {
      problems.push('"{{" is not closed by "}}"; write {{ "{{" }} for two braces');
      break;
    }
    const reference = text.slice(open + 2, close).trim();
    const problem = problemOf(reference);
    if (problem !== undefined) problems.push(`between "{{" and "}}": ${problem}`);
    parts.push({ kind: 'reference', reference });
    rest = close + 2;
  }
  const [first, ...others] = problems;
  if (first !== undefined) return { ok: false, messages: [first, ...others] };
  if (rest < text.length || parts.length === 0) parts.push({ kind: 'text', text: text.slice(rest) });
  return { ok: true, parts };
}

/**
 * Whether a text that is taken as it stands was perhaps meant to be a reference, as `op:/a/b/c`, ` op://a/b/c` and
 * `op://a/b/c` without braces amid other text are.
 */
export function looksLikeReference(text: string): boolean {
  return /(?:^|[^A-Za-z0-9])op:\/{1,3}[^/\s]|^\s*op\/\//i.test(text);
}

/** The distinct references of some values, in order of first appearance. */
export function referencesOf(values: Iterable<readonly ValuePart[]>): string[] {
  const references = new Set<string>();
  for (const parts of values) {
    for (const part of parts) if (part.kind === 'reference') references.add(part.reference);
  }
  return [...references];
}

/** Puts the resolved values in place, in one pass: what a secret contains is never looked at again. */
export function composeValue(parts: readonly ValuePart[], resolved: ReadonlyMap<string, string>): string {
  let text = '';
  for (const part of parts) {
    if (part.kind === 'text') {
      text += part.text;
      continue;
    }
    const value = resolved.get(part.reference);
    if (value === undefined) throw new Error('a reference was not resolved before its value was composed');
    text += value;
  }
  return text;
}
