/** A step into JSON: a member's name or an element's index. */
export type JsonPath = readonly (string | number)[];

/** Something wrong in a manifest, as data; text is made of it in one place, `formatProblem`. */
export interface Problem {
  /** The file, as the user names it. */
  readonly file: string;
  /** 1-based, in UTF-16 code units; absent when there is no place in the file to point at. */
  readonly position?: { readonly line: number; readonly column: number };
  readonly path?: JsonPath;
  /** Lower case, no full stop; quotes names and references, never other values. */
  readonly message: string;
  readonly hint?: string;
  /** The service (as written in the manifest) that this costs; absent when it concerns all of them. */
  readonly service?: string;
}

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Formats a path as a normalized JSONPath (RFC 9535, with the shorthand for plain names): `$.services["a@b"]`. */
export function formatJsonPath(path: JsonPath): string {
  let text = '$';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += identifier.test(step) ? `.${step}` : `[${quoteName(step)}]`;
  }
  return text;
}

/** Formats a problem as one line: `PATH:LINE:COLUMN: JSONPATH: text (hint)`. */
export function formatProblem(problem: Problem): string {
  const place = problem.position ? `:${problem.position.line}:${problem.position.column}` : '';
  const path = problem.path ? `${formatJsonPath(problem.path)}: ` : '';
  const hint = problem.hint ? ` (${problem.hint})` : '';
  return `${problem.file}${place}: ${path}${problem.message}${hint}`;
}

/** No name that is meant to be one is longer than a unit's. */
const longestName = 256;
// noncharacters make systemd refuse the unit file that the message stands in
const invisible = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Noncharacter_Code_Point}]/gu;

/**
 * Quotes a name for a message; what would not show or would rearrange the line comes out escaped, and what
 * is much too long is cut off.
 */
export function quoteName(name: string): string {
  const shown = name.length > longestName ? `${name.slice(0, longestName).toWellFormed()}…` : name;
  return escapeInvisible(JSON.stringify(shown));
}

/** Escapes what would not show in a message, or would rearrange its line. */
export function escapeInvisible(text: string): string {
  return text.replace(invisible, (character) =>
    Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
      .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
