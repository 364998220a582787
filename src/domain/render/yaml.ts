import {
  CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type ParsedNode,
  parseAllDocuments,
  type Scalar,
  Schema,
} from 'yaml';
import {
  escapeInQuotes,
  type Filled,
  type Filling,
  type Format,
  isPrintable,
  isValue,
  join,
  type Leaf,
  type LeafType,
  type Reading,
} from './format.ts';

interface YamlLeaf extends Leaf {
  readonly style: 'plain' | 'single' | 'double' | 'literal' | 'folded';
  readonly tag: string | undefined;
  readonly token: CST.FlowScalar | CST.BlockScalar;
}

/**
 * YAML, for readers of 1.1 and of 1.2 alike.
 *
 * A value stays in the style in which the template has its scalar only where nothing can be said against it;
 * else the whole scalar is written anew in double quotes, on one line.
 */
export const yaml: Format<YamlLeaf> = {
  name: 'YAML',
  places:
    'a placeholder stands for a value or a key, or for part of one, not in a comment, an anchor, a tag or a directive',
  read,
  refusal(leaf) {
    if (leaf.token.type === 'block-scalar' && !/\n$|^$/.test(leaf.token.source) && !isStripped(leaf.token)) {
      return 'without a line end at the end of the file readers of YAML differ on what this says; add one';
    }
    // a tag of its own is the application's business; one of YAML's makes what is written something else
    return leaf.tag?.startsWith('tag:yaml.org,2002:') && leaf.tag !== 'tag:yaml.org,2002:str'
      ? 'a value is put in as a string, which the tag here would make something else; take the tag away'
      : undefined;
  },
  write: (leaf, filling) => ({ ok: true, text: inStyle(leaf, filling) ?? anew(leaf, filling.expected) }),
  typeOf: (leaf) => (leaf.style === 'plain' && leaf.tag === undefined ? plainType(leaf.value) : 'string'),
  numberProblem(text) {
    if (!/^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/.test(text))
      return 'is not a decimal number';
    if (!Number.isFinite(Number(text))) return 'is too large a number';
    // YAML 1.1 takes others for text
    return /[eE]/.test(text) && !/\..*[eE][+-]/.test(text)
      ? 'is not a number in YAML 1.1, which wants a point and a signed exponent, as in 1.0e+3'
      : undefined;
  },
};

const tags = (['core', 'yaml-1.1'] as const).map((schema) =>
  new Schema({ schema }).tags.filter((tag) => 'test' in tag && tag.test && tag.default === true),
);

/** What a plain scalar is in YAML 1.1 and in 1.2, if that is the same. */
function plainType(text: string): LeafType {
  const [in12, in11] = tags.map((known): LeafType => {
    const tag = known.find((one) => 'test' in one && one.test?.test(text))?.tag;
    if (tag === undefined) return 'string';
    if (tag === 'tag:yaml.org,2002:bool') return 'boolean';
    return tag === 'tag:yaml.org,2002:int' || tag === 'tag:yaml.org,2002:float' ? 'number' : 'other';
  });
  return in12 === in11 ? (in12 ?? 'other') : 'other';
}

/** What can stand in a plain scalar wherever it is; much else could, but quotes do no harm. */
const harmless = /^[A-Za-z0-9_/](?:[A-Za-z0-9_./@+~=-]*[A-Za-z0-9_/=])?$/;

/** The scalar's new source in the style it has; undefined if that cannot carry what it must say. */
function inStyle(leaf: YamlLeaf, filling: Filling): string | undefined {
  const { source, expected } = filling;
  const values = source.filter(isValue).map(({ value }) => value);
  const severalLines = source.some((piece) => !isValue(piece) && /[\r\n]/.test(piece));
  // at the end or at the beginning of a line blanks are lost, and an empty value bares those of the template
  const fragile = severalLines && values.some((value) => value === '' || /^[ \t]|[ \t]$/.test(value));
  switch (leaf.style) {
    case 'plain':
      // a first letter keeps out of what this or that reader takes for a number, a date, or syntax
      return values.every((value) => harmless.test(value)) &&
        /^[A-Za-z_/]/.test(expected) &&
        plainType(expected) === 'string'
        ? join(source, (value) => value)
        : undefined;
    case 'single':
      return values.every(isPrintable) && !fragile
        ? join(source, (value) => value.replaceAll("'", "''"))
        : undefined;
    case 'double':
      return fragile ? undefined : join(source, inQuotes);
    case 'folded':
      // a line end of the value's own would be folded away
      return values.every((value) => isPrintable(value) && !fragile) ? inBlock(leaf, filling) : undefined;
    case 'literal':
      return values.every((value) =>
        value.split('\n').every((line) => isPrintable(line.replaceAll('\t', ''))),
      )
        ? inBlock(leaf, filling)
        : undefined;
  }
}

function inQuotes(text: string): string {
  return escapeInQuotes(text, { '\0': '\\0', '\t': '\\t', '\n': '\\n', '\r': '\\r' });
}

function inBlock({ token }: YamlLeaf, { source, decoded, expected }: Filling): string | undefined {
  if (token.type !== 'block-scalar') return undefined;
  const header = headerLength(token);
  const content = withoutStart(source, header);
  const indent = indentOf(token, content);
  // without indentation a line of the value could end the document
  if (indent === 0) return undefined;
  // where blanks or line ends begin or end the whole, readers differ in what they make of them
  const [lead = ''] = decoded;
  const first = isValue(lead) || /^\n*$/.test(lead) ? decoded.find(isValue) : undefined;
  if (first !== undefined && /^(?:[ \t\n]|$)/.test(first.value)) return undefined;
  const end = decoded.findLast((piece) => isValue(piece) || /[^\n]/.test(piece));
  if (end === undefined || (isValue(end) && /(?:^|[ \t\n])$/.test(end.value))) return undefined;
  const body = join(content, (value) => value.replace(/\n(?!\n)/g, `\n${' '.repeat(indent)}`));
  return saysInBlock(token, body) === expected ? tokenHeader(token) + body : undefined;
}

/** What the block scalar would say with this content; undefined if it would not be one. */
function saysInBlock(token: CST.BlockScalar, source: string): string | undefined {
  try {
    return CST.resolveAsScalar({ ...token, source })?.value;
  } catch {
    return undefined;
  }
}

function tokenHeader(token: CST.BlockScalar): string {
  return token.props.map((prop) => ('source' in prop ? prop.source : '')).join('');
}

function headerLength(token: CST.BlockScalar): number {
  return tokenHeader(token).length;
}

function isStripped(token: CST.BlockScalar): boolean {
  return /^[|>][0-9]?-/.test(tokenHeader(token));
}

/** The columns before the content's lines: told in the header, or by the first line that is not empty. */
function indentOf(token: CST.BlockScalar, content: readonly Filled[]): number {
  const [first] = content;
  const told = /[1-9]/.exec(tokenHeader(token).split(/[\s#]/)[0] ?? '');
  if (told) return token.indent + Number(told[0]);
  if (first === undefined || isValue(first)) return 0;
  return /^(?:[ \t]*\r?\n)*( *)/.exec(first)?.[1]?.length ?? 0;
}

/** Pieces without so much of what they begin with, which is text. */
function withoutStart(pieces: readonly Filled[], length: number): readonly Filled[] {
  const [first, ...others] = pieces;
  if (first === undefined || isValue(first)) return pieces;
  return first.length > length ? [first.slice(length), ...others] : others;
}

/** The whole scalar in double quotes; of a block scalar the comment behind its header stays. */
function anew({ token }: YamlLeaf, text: string): string {
  const quoted = `"${inQuotes(text)}"`;
  if (token.type !== 'block-scalar') return quoted;
  const [, ...behind] = token.props;
  return quoted + behind.map((prop) => ('source' in prop ? prop.source : '')).join('');
}

/** Line ends to some readers: CR by itself to all but the one here, the others in YAML 1.1. */
const disputedLineEnd = /\r(?!\n)|[\x85\u2028\u2029]/;

function read(text: string): Reading<YamlLeaf> {
  const disputed = text.search(disputedLineEnd);
  if (disputed >= 0) {
    const message = 'readers of YAML differ on whether this character ends a line';
    return { ok: false, offset: disputed, message };
  }
  // as plain text all scalars can be compared; that keys are unique is seen below, in linear time
  const documents = parseAllDocuments(text, {
    schema: 'failsafe',
    keepSourceTokens: true,
    prettyErrors: false,
    uniqueKeys: false,
    logLevel: 'silent',
  });
  const reader = new Reader();
  if (Array.isArray(documents)) for (const document of documents) reader.document(document);
  return reader.problem ?? { ok: true, tree: reader.tree };
}

class Reader {
  readonly tree: (string | YamlLeaf)[] = [];
  problem: Reading<YamlLeaf> | undefined;
  readonly #anchors = new Set<string>();

  document(document: Document.Parsed): void {
    const [error] = document.errors;
    if (error) {
      const message = error.message.charAt(0).toLowerCase() + error.message.slice(1);
      this.#refuse(error.pos[0], message);
      return;
    }
    this.tree.push('document');
    this.#anchors.clear();
    this.#node(document.contents);
  }

  #refuse(offset: number, message: string): void {
    this.problem ??= { ok: false, offset, message };
  }

  #node(node: ParsedNode | null): void {
    if (node === null) {
      this.tree.push('nothing');
      return;
    }
    if (isAlias(node)) {
      if (!this.#anchors.has(node.source)) this.#refuse(node.range[0], 'this alias has no anchor before it');
      this.tree.push(`*${node.source}`);
      return;
    }
    if (node.anchor !== undefined) {
      this.#anchors.add(node.anchor);
      this.tree.push(`&${node.anchor}`);
    }
    if (node.tag !== undefined) this.tree.push(`!${node.tag}`);
    if (isScalar(node)) this.#scalar(node);
    else if (isSeq(node)) {
      this.tree.push(node.flow ? '[' : '-');
      for (const item of node.items) this.#node(item as ParsedNode);
      this.tree.push(']');
    } else if (isMap(node)) {
      this.tree.push(node.flow ? '{' : '?');
      const keys = new Set<string>();
      for (const { key, value } of node.items as { key: ParsedNode; value: ParsedNode | null }[]) {
        this.#key(key, keys);
        this.#node(key);
        this.#node(value);
      }
      this.tree.push('}');
    }
  }

  /** Keys that are written the same are the same, whatever reads them. */
  #key(key: ParsedNode, keys: Set<string>): void {
    if (!isScalar(key)) return;
    const name = String(key.source ?? '');
    if (keys.has(name) && !(name === '<<' && key.type === 'PLAIN'))
      this.#refuse(key.range[0], 'this key is given twice');
    keys.add(name);
  }

  #scalar(node: Scalar.Parsed): void {
    const token = node.srcToken;
    if (token === undefined || token.type === 'alias' || !('source' in token)) {
      this.tree.push('nothing');
      return;
    }
    const style = styles[node.type ?? 'PLAIN'] ?? 'plain';
    this.tree.push({
      start: token.offset,
      end: token.offset + (token.type === 'block-scalar' ? headerLength(token) : 0) + token.source.length,
      value: String(node.source ?? ''),
      form: style === 'plain' && node.tag === undefined ? 'bare' : 'string',
      style,
      tag: node.tag,
      token: token as CST.FlowScalar | CST.BlockScalar,
    });
  }
}

const styles: Readonly<Record<string, YamlLeaf['style']>> = {
  PLAIN: 'plain',
  QUOTE_SINGLE: 'single',
  QUOTE_DOUBLE: 'double',
  BLOCK_LITERAL: 'literal',
  BLOCK_FOLDED: 'folded',
};
