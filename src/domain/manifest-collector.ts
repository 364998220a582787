import { isJsonObject, type Json, type JsonMembers, kindOfJson, type Locate } from './json-text.ts';
import { type JsonPath, type Problem, quoteName } from './problem.ts';
import { nearest } from './suggest.ts';
import { looksLikeReference, parseValue } from './value.ts';

/** Why a text cannot be a secret or stand beside one, whatever it is given as; undefined if it can. */
export function textProblem(name: string, text: string): string | undefined {
  if (text.includes('\0')) return `the value of ${name} contains a NUL byte`;
  return text.isWellFormed() ? undefined : `the value of ${name} is not valid Unicode`;
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

  /** An absolute path; '' for one that is not. */
  path(value: Json | undefined, path: JsonPath): string {
    const text = this.string(value, path);
    if (text === undefined) return '';
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    if (!text.startsWith('/') || /[\0-\x1f\x7f]/.test(text) || text.split('/').includes('..')) {
      this.add(path, 'must be an absolute path without ".." and control characters');
    }
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
