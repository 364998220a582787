import {
  decimalProblem,
  type Format,
  isPrintable,
  isValue,
  join,
  type Leaf,
  type Reading,
  withoutBlanks,
} from './format.ts';

interface IniLeaf extends Leaf {
  readonly quoted: boolean;
  /** Why nothing can be put here, if so. */
  readonly wrong?: string;
}

const differ =
  'a character that readers of INI take for different things: ; # " \\ %, "${", or a quote at an end';
const instead =
  'put it in double quotes if the program that reads the file takes them away, or give the config the format "text"';

/**
 * INI, for which there is no standard: what Python's configparser, git config, systemd and npm's `ini` read in
 * the same way, and nothing else.
 *
 * - `key = value`: to all of them the value is what stands there without the blanks around it, if it has none
 *   of the characters that one of them takes for a comment, an escape, a quote or a reference. Values that
 *   have are refused.
 * - `key = "value"` tells that the reader takes quotes and backslashes away, as git and `ini` do (configparser
 *   does not): there all that shows can stand, and line ends and tabs as `\n` and `\t`.
 *
 * Values are text; what is a number or a boolean is for the reader to say.
 */
export const ini: Format<IniLeaf> = {
  name: 'INI',
  places: 'a placeholder stands in the value of a line "key = value"',
  read,
  refusal(leaf, source) {
    if (leaf.wrong !== undefined) return leaf.wrong;
    const text = source.map((piece) => (typeof piece === 'string' ? piece : 'x')).join('');
    if (leaf.quoted) return undefined;
    if (!isPrintable(text))
      return 'beside the placeholder there is a tab or a control character, which readers of INI take for different things';
    return isPlain(text) ? undefined : `beside the placeholder there is ${differ}`;
  },
  write(leaf, { source, expected }) {
    if (leaf.quoted) {
      return source.filter(isValue).every(({ value }) => isPrintable(value.replace(/[\n\t]/g, '')))
        ? { ok: true, text: join(source, inQuotes) }
        : {
            ok: false,
            message: 'it has a control character, or one that does not show, which INI cannot carry',
          };
    }
    if (!isPrintable(expected))
      return {
        ok: false,
        message: `it has a line end, a control character, or one that does not show; ${instead}`,
      };
    if (/^ | $/.test(expected))
      return { ok: false, message: `a blank at its beginning or end would be lost; ${instead}` };
    if (!isPlain(expected)) return { ok: false, message: `it has ${differ}; ${instead}` };
    return { ok: true, text: join(source, (value) => value) };
  },
  typeOf: () => 'string',
  numberProblem: decimalProblem,
};

/** Whether all readers take each character for itself, outside of quotes. */
function isPlain(text: string): boolean {
  return !/[;#"\\%]|\$(?:[{(]|__)|^['`]|['`]$/.test(text);
}

function inQuotes(text: string): string {
  return text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}

const commonKey = /^[A-Za-z0-9_][A-Za-z0-9_. -]*$/;
const quotedValue = /^"(?:[^"\\]|\\["\\nt])*"$/;

function read(text: string): Reading<IniLeaf> {
  const tree: (string | IniLeaf)[] = [];
  let start = 0;
  // of the last key in this section: to configparser a line that is indented further continues it
  let indent = Number.POSITIVE_INFINITY;
  let continued = false;
  for (const piece of text.split(/(\r\n|\n|\r)/)) {
    if (/^[\r\n]/.test(piece)) {
      start += piece.length;
      continue;
    }
    const equals = /^[ \t]*(?:[;#[]|$)/.test(piece) ? -1 : piece.indexOf('=');
    const before = piece.length - withoutBlanks(piece, 'start').length;
    if (equals < 0) tree.push(piece);
    else {
      const key = withoutBlanks(withoutBlanks(piece.slice(0, equals), 'start'), 'end');
      const line = withoutBlanks(piece, 'end');
      const source = withoutBlanks(line.slice(equals + 1), 'start');
      const end = start + line.length;
      const wrong = continued
        ? 'the line above ends with a backslash, which to some readers continues it here'
        : before > indent
          ? 'to some readers a line that is indented further continues the one above'
          : commonKey.test(key)
            ? undefined
            : 'readers of INI differ on a key such as this one';
      const quoted = quotedValue.test(source);
      const value = quoted ? unquote(source) : source;
      tree.push(key, {
        start: end - source.length,
        end,
        value,
        form: 'text',
        quoted,
        ...(wrong === undefined ? {} : { wrong }),
      });
    }
    if (/^[ \t]*\[/.test(piece)) indent = Number.POSITIVE_INFINITY;
    else if (equals >= 0) indent = before;
    if (piece !== '') continued = piece.endsWith('\\');
    start += piece.length;
  }
  return { ok: true, tree };
}

function unquote(source: string): string {
  return source
    .slice(1, -1)
    .replace(/\\(.)/g, (_, character: string) => ({ n: '\n', t: '\t' })[character] ?? character);
}
