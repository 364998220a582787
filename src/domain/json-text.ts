import type { JsonPath } from './problem.ts';
import type { Position } from './text-position.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/**
 * Parses JSON when it can be shown, without a parser of our own, that nothing was lost on the way: the
 * value written out again must have as many strings as the text, of which a duplicate member takes at least
 * one away. With escapes in the text, or numbers as names, which objects put in order, it must be the text
 * without its white space. Else the caller turns to the slow parser with positions (`json-tree.ts`), which
 * the boot path thus loads only when something is odd.
 *
 * @returns undefined if the text needs the slow parser
 */
export function parseJsonFast(text: string): { readonly value: Json } | undefined {
  try {
    const value = JSON.parse(text) as Json;
    const again = JSON.stringify(value);
    const whole = /\\|"\d+"/.test(text)
      ? text.replace(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, '$1') === again
      : text.split('"').length === again.split('"').length;
    return whole ? { value } : undefined;
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
