import type { Placeholder, TemplatePart } from '../template.ts';
import type { Piece } from './format.ts';

/** A template as text that a parser takes, with a sentinel in the place of each placeholder. */
export interface Sentineled {
  readonly text: string;
  /** The placeholders in order, with the offsets of their sentinels. */
  readonly placed: readonly { readonly placeholder: Placeholder; readonly offset: number }[];
  /** The length of every sentinel. */
  readonly length: number;
  /** Takes a text with sentinels apart; a placeholder that occurs again is told as its first occurrence. */
  split(text: string): Piece[];
  /** The offset in the template of an offset in the text. */
  offsetInTemplate(offset: number): number;
}

/**
 * Puts sentinels into a template: digits alone, which can stand in every place that has a value, bare and
 * within quotes, and keep being what they are in every escape and encoding that we meet.
 *
 * A sentinel is an 8, zeros, and its number with the digits 1 to 7. Nothing that overlaps one can look like
 * another, whatever text stands around it; and there are as many zeros as are needed for none to stand in
 * the template by itself. A placeholder that occurs again has the sentinel that it had, so that two keys that
 * must become the same are the same from the start.
 */
export function putSentinels(parts: readonly TemplatePart[]): Sentineled {
  const known = new Map<string, { readonly index: number; readonly placeholder: Placeholder }>();
  for (const part of parts) {
    const key = part.kind === 'text' ? undefined : identityOf(part);
    if (part.kind !== 'text' && key !== undefined && !known.has(key))
      known.set(key, { index: known.size, placeholder: part });
  }
  const placeholders = [...known.values()].map(({ placeholder }) => placeholder);
  const literal = parts.map((part) => (part.kind === 'text' ? part.text : '\n')).join('');
  let width = 1;
  while (7 ** width < placeholders.length) width++;
  let zeros = 4;
  for (const [found] of literal.matchAll(/80{4,}/g)) zeros = Math.max(zeros, found.length);
  const prefix = `8${'0'.repeat(zeros)}`;
  const length = prefix.length + width;

  let text = '';
  const placed: { placeholder: Placeholder; offset: number }[] = [];
  const starts: { here: number; there: number; verbatim: boolean }[] = [];
  for (const part of parts) {
    const verbatim = part.kind === 'text' && part.text.length === part.length;
    starts.push({ here: text.length, there: part.offset, verbatim });
    if (part.kind === 'text') text += part.text;
    else {
      placed.push({ placeholder: part, offset: text.length });
      text += prefix + numeral(known.get(identityOf(part))?.index ?? 0, width);
    }
  }
  const sentinel = new RegExp(`${prefix}([1-7]{${width}})`, 'g');
  return {
    text,
    placed,
    length,
    split(given) {
      const pieces: Piece[] = [];
      let rest = 0;
      for (const match of given.matchAll(sentinel)) {
        const placeholder = placeholders[indexOf(match[1] ?? '')];
        if (!placeholder) continue;
        if (match.index > rest) pieces.push(given.slice(rest, match.index));
        pieces.push({ placeholder });
        rest = match.index + match[0].length;
      }
      if (rest < given.length) pieces.push(given.slice(rest));
      return pieces;
    },
    offsetInTemplate(offset) {
      const start = starts.findLast(({ here }) => here <= offset);
      if (!start) return 0;
      return start.verbatim ? start.there + offset - start.here : start.there;
    },
  };
}

/** The same for placeholders that stand for the same. */
function identityOf(placeholder: Placeholder): string {
  return placeholder.kind === 'name' ? `${placeholder.name}:${placeholder.type}` : placeholder.reference;
}

function numeral(index: number, width: number): string {
  return index
    .toString(7)
    .padStart(width, '0')
    .replace(/./g, (digit) => String(Number(digit) + 1));
}

function indexOf(digits: string): number {
  return Number.parseInt(
    digits.replace(/./g, (digit) => String(Number(digit) - 1)),
    7,
  );
}
