import type { FormatName } from '../config-format.ts';
import { escapeInvisible } from '../problem.ts';
import {
  type Placeholder,
  placeholderValue,
  renderText,
  type TemplatePart,
  type TemplateProblem,
  type TemplateValues,
} from '../template.ts';
import { positionsIn } from '../text-position.ts';
import { firstChange } from './data.ts';
import { decimalProblem, type Filled, type Format, join, type Leaf, type Piece } from './format.ts';
import { formats } from './formats.ts';
import { putSentinels, type Sentineled } from './sentinels.ts';

export type RenderResult =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problems: readonly TemplateProblem[] };

/**
 * What can be told about a template without values: whether it is a file of its format, and whether each
 * placeholder stands where a value can be put.
 *
 * @returns no problems, if it can be rendered with harmless values
 */
export function placeProblems(
  format: FormatName,
  parts: readonly TemplatePart[],
): readonly TemplateProblem[] {
  if (format === 'text') return [];
  const layout = layOut(formats[format], parts);
  return layout.ok ? [] : layout.problems;
}

/**
 * Renders a template so that no value changes anything but itself.
 *
 * In all formats but `text` each value is escaped for the place it stands in. Then the result is read by a
 * real parser and compared with the template: the same tree, in each place exactly the value, as a string
 * (or as a number or a boolean, where the placeholder says so), and all else as it was. A result that
 * differs in anything is a problem and never returned. Problems name places, names and references, never
 * a value.
 */
export function render(options: {
  readonly format: FormatName;
  readonly parts: readonly TemplatePart[];
  readonly values: TemplateValues;
}): RenderResult {
  const { parts, values } = options;
  const lookup = (placeholder: Placeholder): string => placeholderValue(placeholder, values);
  const format = options.format === 'text' ? undefined : formats[options.format];
  const problems: TemplateProblem[] = [];
  for (const part of parts) {
    if (part.kind === 'text') continue;
    const problem = valueProblem(part, lookup(part), format?.numberProblem ?? decimalProblem);
    if (problem !== undefined) problems.push({ position: part.position, message: problem });
  }
  if (problems.length > 0) return { ok: false, problems };
  return format ? renderFormat(format, parts, lookup) : { ok: true, text: renderText(parts, lookup) };
}

type Lookup = (placeholder: Placeholder) => string;

function valueProblem(
  placeholder: Placeholder,
  value: string,
  numberProblem: (text: string) => string | undefined,
): string | undefined {
  const whose = `the value of ${labelOf(placeholder)}`;
  if (!value.isWellFormed()) return `${whose} is not valid Unicode`;
  if (placeholder.kind === 'reference' || placeholder.type === 'string') return undefined;
  if (placeholder.type === 'boolean')
    return value === 'true' || value === 'false' ? undefined : `${whose} is neither true nor false`;
  const problem = numberProblem(value);
  return problem === undefined ? undefined : `${whose} ${problem}`;
}

function labelOf(placeholder: Placeholder): string {
  return placeholder.kind === 'name' ? placeholder.name : placeholder.reference;
}

function typeOf(placeholder: Placeholder): 'string' | 'number' | 'boolean' {
  return placeholder.kind === 'name' ? placeholder.type : 'string';
}

/** A leaf of the template with at least one placeholder in it. */
interface Slot {
  readonly leaf: Leaf;
  /** The placeholders as they stand in it. */
  readonly placed: readonly Placeholder[];
  readonly first: Placeholder;
  readonly source: readonly Piece[];
  readonly decoded: readonly Piece[];
}

type Layout =
  | {
      readonly ok: true;
      readonly text: string;
      readonly tree: readonly (string | Leaf)[];
      readonly data: unknown;
      readonly slots: ReadonlyMap<Leaf, Slot>;
      readonly split: Sentineled['split'];
    }
  | { readonly ok: false; readonly problems: readonly TemplateProblem[] };

function layOut(format: Format, parts: readonly TemplatePart[]): Layout {
  const sentineled = putSentinels(parts);
  const { text, placed } = sentineled;
  const reading = format.read(text);
  if (!reading.ok) {
    const position = positionsIn(templateText(parts))(sentineled.offsetInTemplate(reading.offset));
    // a parser's message may quote what it stumbled over
    const trouble = escapeInvisible(withoutSentinels(reading.message, sentineled));
    const message = `not valid ${format.name}: ${trouble}`;
    return { ok: false, problems: [{ position, message }] };
  }
  const slots = new Map<Leaf, Slot>();
  const problems: TemplateProblem[] = [];
  const leaves = reading.tree.filter((one) => typeof one !== 'string').sort((a, b) => a.start - b.start);
  let at = 0;
  for (let next = 0; next < placed.length; next++) {
    const { placeholder, offset } = placed[next] as Placed;
    while (at < leaves.length && (leaves[at] as Leaf).end <= offset) at++;
    const leaf = leaves[at];
    if (!leaf || leaf.start > offset || leaf.end < offset + sentineled.length) {
      const message = `no value can be put here safely; ${format.places}`;
      problems.push({ position: placeholder.position, message, hint: 'write $${ for "${" itself' });
      continue;
    }
    const here = [placeholder];
    for (; (placed[next + 1]?.offset ?? leaf.end) < leaf.end; next++)
      here.push((placed[next + 1] as Placed).placeholder);
    const source = sentineled.split(text.slice(leaf.start, leaf.end));
    const decoded = sentineled.split(leaf.value);
    const slot = { leaf, placed: here, first: placeholder, source, decoded };
    const problem = slotProblem(format, slot);
    if (problem) problems.push(problem);
    else slots.set(leaf, slot);
  }
  if (problems.length > 0) return { ok: false, problems };
  const { tree, data } = reading;
  return { ok: true, text, tree, data, slots, split: sentineled.split };
}

type Placed = Sentineled['placed'][number];

function slotProblem(format: Format, slot: Slot): TemplateProblem | undefined {
  const { leaf, source, decoded } = slot;
  const here = source.filter((piece) => typeof piece !== 'string');
  const said = decoded.filter((piece) => typeof piece !== 'string');
  const { position } = slot.first;
  if (here.length !== said.length || here.some((one, i) => one.placeholder !== said[i]?.placeholder))
    return { position, message: 'a placeholder cannot be part of an escape' };
  const typed = slot.placed.find((placeholder) => typeOf(placeholder) !== 'string');
  if (typed?.kind === 'name' && leaf.form !== 'text' && (leaf.form !== 'bare' || source.length > 1)) {
    return {
      position: typed.position,
      message: `a ${typed.type} must stand by itself, not in quotes and with nothing beside it`,
      hint: `for its text write \${${typed.name}}`,
    };
  }
  const message = format.refusal(leaf, source);
  return message === undefined ? undefined : { position, message };
}

/**
 * Renders in one format. However wrong its `write` were, what is returned reads as the template does, with
 * exactly the values, to its `read`.
 */
export function renderFormat(format: Format, parts: readonly TemplatePart[], lookup: Lookup): RenderResult {
  const layout = layOut(format, parts);
  if (!layout.ok) return layout;
  const problems: TemplateProblem[] = [];
  const written: { readonly slot: Slot; readonly start: number }[] = [];
  const expected = new Map<Leaf, string>();
  let text = '';
  let rest = 0;
  const fill = (pieces: readonly Piece[]): Filled[] =>
    pieces.map((piece) => (typeof piece === 'string' ? piece : { value: lookup(piece.placeholder) }));
  const inOrder = [...layout.slots.values()].sort((a, b) => a.leaf.start - b.leaf.start);
  for (const slot of inOrder) {
    const { leaf } = slot;
    const decoded = fill(slot.decoded);
    const meant = join(decoded, (value) => value);
    expected.set(leaf, meant);
    const filling = { source: fill(slot.source), decoded, expected: meant };
    const writing: ReturnType<Format['write']> =
      typeOf(slot.first) === 'string' ? format.write(leaf, filling) : writeTyped(format, leaf, filling);
    if (!writing.ok) {
      const message = `the value of ${labelsOf(slot)} cannot stand here: ${writing.message}`;
      problems.push({ position: slot.first.position, message });
      continue;
    }
    text += layout.text.slice(rest, leaf.start);
    written.push({ slot, start: text.length });
    text += writing.text;
    rest = leaf.end;
  }
  if (problems.length > 0) return { ok: false, problems };
  text += layout.text.slice(rest);

  const reading = format.read(text);
  if (!reading.ok) {
    const { slot } = written.findLast(({ start }) => start <= reading.offset) ?? written[0] ?? {};
    // the parser's message may quote what it stumbled over
    return { ok: false, problems: [changedBy(format, slot)] };
  }
  let last = inOrder[0];
  const length = Math.max(layout.tree.length, reading.tree.length);
  for (let i = 0; i < length; i++) {
    const [before, after] = [layout.tree[i], reading.tree[i]];
    const slot = typeof before === 'object' ? layout.slots.get(before) : undefined;
    last = slot ?? last;
    const same =
      typeof before !== 'object' || typeof after !== 'object'
        ? before === after
        : slot
          ? after.value === expected.get(before) && format.typeOf(after) === typeOfSlot(slot)
          : layout.text.slice(before.start, before.end) === text.slice(after.start, after.end);
    if (!same) return { ok: false, problems: [changedBy(format, last)] };
  }
  const changed = firstChange(layout.data, reading.data, {
    text: (text) => join(fill(layout.split(text)), (value) => value),
    scalar(text) {
      const [piece, ...others] = layout.split(text);
      return typeof piece === 'object' && others.length === 0 ? dataOf(piece.placeholder, lookup) : undefined;
    },
  });
  if (changed !== undefined) {
    const slot = inOrder.find(({ leaf }) => leaf.value === changed) ?? inOrder[0];
    return { ok: false, problems: [changedBy(format, slot)] };
  }
  return { ok: true, text };
}

/** What a placeholder that stands by itself is to a program. */
function dataOf(placeholder: Placeholder, lookup: Lookup): unknown {
  const value = lookup(placeholder);
  const type = typeOf(placeholder);
  if (type === 'boolean') return value === 'true';
  return type === 'number' ? Number(value) : value;
}

/** In a format without types a number is text like any other, once it is known to be one. */
function writeTyped(format: Format, leaf: Leaf, filling: Parameters<Format['write']>[1]) {
  return leaf.form === 'text' ? format.write(leaf, filling) : ({ ok: true, text: filling.expected } as const);
}

function typeOfSlot({ leaf, first }: Slot): 'string' | 'number' | 'boolean' {
  return leaf.form === 'text' ? 'string' : typeOf(first);
}

function labelsOf({ source }: Slot): string {
  const labels = source.filter((piece) => typeof piece !== 'string').map((one) => labelOf(one.placeholder));
  return [...new Set(labels)].join(', or of ');
}

function changedBy(format: Format, slot: Slot | undefined): TemplateProblem {
  if (!slot) return { position: { line: 1, column: 1 }, message: `not valid ${format.name}` };
  return {
    position: slot.first.position,
    message: `with the value of ${labelsOf(slot)} in place the file would not read as its template does`,
  };
}

function withoutSentinels(message: string, sentineled: Sentineled): string {
  return sentineled
    .split(message)
    .map((piece) => (typeof piece === 'string' ? piece : `\${${labelOf(piece.placeholder)}}`))
    .join('');
}

/** A text with the lines of the template: placeholders and escapes never span any. */
function templateText(parts: readonly TemplatePart[]): string {
  return parts
    .map((part) =>
      part.kind === 'text' && part.text.length === part.length ? part.text : ' '.repeat(part.length),
    )
    .join('');
}
