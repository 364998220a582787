import type { Placeholder } from '../template.ts';

/** What a leaf of the tree is to those who read the file; `other` is anything that is none of these. */
export type LeafType = 'string' | 'number' | 'boolean' | 'other';

/** A value or a key as it stands in a file: the only things in whose place a secret can be put. */
export interface Leaf {
  /** Its source in the file, quotes and all; from `start` up to `end`. */
  readonly start: number;
  readonly end: number;
  /** What it says; for what is not a string, its source. */
  readonly value: string;
  /**
   * - `string`: written so that it is a string whatever it says, in quotes for instance.
   * - `bare`: what it says decides what it is.
   * - `text`: the format has no types.
   */
  readonly form: 'string' | 'bare' | 'text';
}

/** A file as its tree: leaves, and between them marks for all else that makes up the structure. */
export type Reading<L extends Leaf> =
  | {
      readonly ok: true;
      readonly tree: readonly (string | L)[];
      /**
       * What a program gets that reads the file: strings, other scalars, arrays, and objects for tables. Only
       * where that is more than the tree tells, since one table can be written in several places. Integers
       * are bigints.
       */
      readonly data?: unknown;
    }
  | { readonly ok: false; readonly offset: number; readonly message: string };

/** Part of a leaf: text of the template, or a placeholder. */
export type Piece = string | { readonly placeholder: Placeholder };

/** Part of a leaf: text of the template, or a value to be put there. */
export type Filled = string | { readonly value: string };

/** A leaf with values to be put into it. */
export interface Filling {
  /** Its source, with the values in place of placeholders. */
  readonly source: readonly Filled[];
  /** What it says, with the values in place of placeholders. */
  readonly decoded: readonly Filled[];
  /** What it must say in the end: `decoded` put together. */
  readonly expected: string;
}

export type Writing =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly message: string };

/** What the engine has to know of a file format. */
export interface Format<L extends Leaf = Leaf> {
  /** For messages. */
  readonly name: string;
  /** Where a placeholder can stand, for messages. */
  readonly places: string;
  /** Reads a file with a real parser; what the format's common readers would refuse is refused. */
  read(text: string): Reading<L>;
  /** Why no value at all could stand in this leaf, or undefined if some can. */
  refusal(leaf: L, source: readonly Piece[]): string | undefined;
  /** The leaf's new source. It may end up wrong: the engine looks at the result again. */
  write(leaf: L, filling: Filling): Writing;
  /** What the leaf is to every reader of the format; `other` where they differ. */
  typeOf(leaf: L): LeafType;
  /** Why a text is not a number to every reader of the format, or undefined if it is. */
  numberProblem(text: string): string | undefined;
}

const decimal = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/** Why a text is not a number as JSON writes them, or undefined if it is. */
export function decimalProblem(text: string): string | undefined {
  if (!decimal.test(text)) return 'is not a decimal number';
  return Number.isFinite(Number(text)) ? undefined : 'is too large a number';
}

export function isValue(piece: Filled): piece is { readonly value: string } {
  return typeof piece !== 'string';
}

/** Puts pieces together, with what `write` makes of each value. */
export function join(pieces: readonly Filled[], write: (value: string) => string): string {
  let text = '';
  for (const piece of pieces) text += isValue(piece) ? write(piece.value) : piece;
  return text;
}

const shown = /^[\x20-\x7e\p{L}\p{M}\p{N}\p{P}\p{S}]*$/u;
const unassignedOrHidden = /[^\x20-\x7e\p{L}\p{M}\p{N}\p{P}\p{S}]/gu;

/** Whether every reader takes each character for itself: no control characters, line ends, marks of order. */
export function isPrintable(text: string): boolean {
  return shown.test(text);
}

/**
 * The inside of a string in double quotes with backslash escapes, for formats whose escapes have these
 * names: all but ASCII and what shows is escaped by number, so that no reader's idea of a line end matters.
 */
export function escapeInQuotes(text: string, escapes: Readonly<Record<string, string>>): string {
  return text.replace(/["\\]/g, '\\$&').replace(unassignedOrHidden, (character) => {
    const short = Object.hasOwn(escapes, character) ? escapes[character] : undefined;
    if (short !== undefined) return short;
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff
      ? `\\U${code.toString(16).padStart(8, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** A text without the spaces and tabs at one end; a pattern would take forever on a megabyte of them. */
export function withoutBlanks(text: string, side: 'start' | 'end'): string {
  let start = 0;
  let end = text.length;
  const isBlank = (at: number): boolean => text[at] === ' ' || text[at] === '\t';
  if (side === 'start') while (start < end && isBlank(start)) start++;
  else while (end > start && isBlank(end - 1)) end--;
  return text.slice(start, end);
}
