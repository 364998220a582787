import { isJsonObject, type Json, type JsonMembers, kindOfJson, type Locate } from './json-text.ts';
import { type JsonPath, type Problem, quoteName } from './problem.ts';
import { nearest } from './suggest.ts';
import { looksLikeReference, parseValue } from './value.ts';

/** Why a text cannot be a secret or stand beside one, whatever it is given as; undefined if it can. */
export function textProblem(name: string, text: string): string | undefined {
  if (text.includes('\0')) return `the value of ${name} contains a NUL byte`;
  return text.isWellFormed() ? undefined : `the value of ${name} is not valid Unicode`;
}

/** systemd reads lines of less than 1 MiB (LONG_LINE_MAX); the rest is for the names before a value. */
const longestWritten = (1 << 20) - 1024;
/** The most bytes that a UTF-16 code unit takes in a unit file, escaped. */
const mostBytesEach = 6;
/** PATH_MAX and NAME_MAX (limits.h), in bytes without the closing NUL. */
const longestPath = 4095;
const longestName = 255;
const encoder = new TextEncoder();

/** Whether a value, as it stands in a unit file, makes a line that systemd does not read. */
function isTooLong(text: string): boolean {
  if (text.length * mostBytesEach < longestWritten) return false;
  // what is escaped though JSON would not, see `xSetting`
  const escaped = text.match(/[\x7f-\x9f\u2028\u2029]|\p{Noncharacter_Code_Point}/gu)?.length ?? 0;
  return encoder.encode(JSON.stringify(text)).length + 8 * escaped >= longestWritten;
}

/** Why a text is no path that a unit can name, be there a file or not. */
function pathProblem(text: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (!text.startsWith('/') || /[\0-\x1f\x7f]/.test(text) || text.split('/').includes('..'))
    return 'must be an absolute path without ".." and control characters';
  // a unit file with one of them is refused as a whole
  if (!text.isWellFormed() || /\p{Noncharacter_Code_Point}/u.test(text))
    return 'has a character that unit files cannot carry';
  if (text.length * 3 <= longestName) return undefined;
  if (encoder.encode(text).length > longestPath) return `is longer than the ${longestPath} bytes of a path`;
  return text.split('/').some((part) => encoder.encode(part).length > longestName)
    ? `has a part that is longer than the ${longestName} bytes of a file's name`
    : undefined;
}

/** Collects the problems of one file while it is read. */
export class Collector {
  readonly file: string;
  readonly problems: Problem[] = [];
  /** What is allowed, and was perhaps not meant. */
  readonly doubts: Problem[] = [];
  /** The service that pays for a problem found now, as in `Problem`. */
  service: string | undefined;
  readonly #locate: Locate;

  /** @param locate positions of members; called for problems only */
  constructor(file: string, locate: Locate) {
    this.file = file;
    this.#locate = locate;
  }

  add(path: JsonPath, message: string, hint?: string, what: 'name' | 'value' = 'value'): void {
    this.problems.push(this.#problem(path, message, hint, what));
  }

  #problem(path: JsonPath, message: string, hint?: string, what: 'name' | 'value' = 'value'): Problem {
    const position = this.#locate(path, what);
    return {
      file: this.file,
      path,
      message,
      ...(position ? { position } : {}),
      ...(hint === undefined ? {} : { hint }),
      ...(this.service === undefined ? {} : { service: this.service }),
    };
  }

  /** The members of an object; those that are not known are problems. */
  object(
    value: Json | undefined,
    path: JsonPath,
    known?: readonly string[],
    hint?: string,
  ): JsonMembers | undefined {
    if (!isJsonObject(value)) {
      this.add(path, `must be an object, this is ${kindOfJson(value)}`, hint);
      return undefined;
    }
    if (known) this.members(value, path, known);
    return value;
  }

  members(value: JsonMembers, path: JsonPath, known: readonly string[]): void {
    for (const name of Object.keys(value)) {
      if (known.includes(name)) continue;
      this.add([...path, name], `unknown member ${quoteName(name)}`, didYouMean(name, known), 'name');
    }
  }

  string(value: Json | undefined, path: JsonPath, hint?: string): string | undefined {
    if (typeof value === 'string') return value;
    this.add(path, `must be a string, this is ${kindOfJson(value)}`, hint);
    return undefined;
  }

  boolean(value: Json | undefined, path: JsonPath): boolean {
    if (value === undefined || typeof value === 'boolean') return value ?? false;
    this.add(path, `must be true or false, this is ${kindOfJson(value)}`);
    return false;
  }

  /** One of several words. */
  word<T extends string>(
    value: Json | undefined,
    path: JsonPath,
    known: readonly T[],
    what: string,
  ): T | undefined {
    const text = this.string(value, path, `known are ${known.map(quoteName).join(', ')}`);
    const found = known.find((one) => one === text);
    if (text !== undefined && found === undefined)
      this.add(path, `unknown ${what} ${quoteName(text)}`, didYouMean(text, known));
    return found;
  }

  /** An absolute path; what is none is a problem. */
  path(value: Json | undefined, path: JsonPath): string {
    const text = this.string(value, path);
    if (text === undefined) return '';
    const trouble = pathProblem(text);
    if (trouble !== undefined) this.add(path, trouble);
    return text;
  }

  /**
   * A value: a reference, text with references, or text; as it is written.
   *
   * @param problemOf why a text cannot stand in it
   */
  value(
    value: Json | undefined,
    path: JsonPath,
    name: string,
    problemOf: (name: string, text: string) => string | undefined = textProblem,
  ): string | undefined {
    const plain = typeof value === 'number' || typeof value === 'boolean';
    const text = this.string(value, path, plain ? 'put it in double quotes' : undefined);
    if (text === undefined) return undefined;
    const parsed = parseValue(text);
    if (!parsed.ok) {
      for (const message of parsed.messages) this.add(path, message);
      return undefined;
    }
    if (isTooLong(text)) this.add(path, `the value of ${name} is longer than a line of a unit file can be`);
    for (const part of parsed.parts) {
      if (part.kind !== 'text') continue;
      const trouble = problemOf(name, part.text);
      if (trouble !== undefined) this.add(path, trouble);
      if (looksLikeReference(part.text)) {
        const hint = 'a value that is one begins with "op://"; amid other text it stands in {{ … }}';
        this.doubts.push(
          this.#problem(path, 'is taken as plain text, and looks like a secret reference', hint),
        );
      }
    }
    return text;
  }
}

function didYouMean(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === undefined
    ? `known are ${known.map(quoteName).join(', ')}`
    : `did you mean ${quoteName(near)}?`;
}
