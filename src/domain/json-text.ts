import type { JsonPath } from './problem.ts';
import type { Position } from './text-position.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/**
 * Parses JSON when it can be shown, without a parser of our own, that nothing was lost on the way: the
 * value written out again must be the text without its white space. Duplicate members, unusual escapes and
 * numbers fail that, and the caller turns to the slow parser with positions (`json-tree.ts`), which the
 * boot path thus loads only when something is odd.
 *
 * @returns undefined if the text needs the slow parser
 */
export function parseJsonFast(text: string): { readonly value: Json } | undefined {
  try {
    const value = JSON.parse(text) as Json;
    const dense = text.replace(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, '$1');
    return dense === JSON.stringify(value) ? { value } : undefined;
  } catch {
    return undefined;
  }
}

/** A member or an element by its path. */
export type Locate = (path: JsonPath, what: 'name' | 'value') => Position | undefined;

/** A JSON object. */
export type JsonMembers = { readonly [name: string]: Json };

export function isJsonObject(value: Json | undefined): value is JsonMembers {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a value is, for messages: "an object", "a string"; never the value itself. */
export function kindOfJson(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
