import { type JsonToken, sureTokens } from './json-tree.ts';
import { isSecretReference } from './secret-reference.ts';

const scheme = 'op://';
const cover = (text: string): string => '·'.repeat(text.length);

/**
 * A text that was meant to be a manifest with everything in it covered that may be a secret, as long as it was:
 * to be seen are names of members, references and punctuation, and what else somebody wrote there perhaps not.
 * From where it is no JSON on, nothing tells a name from a value, and all is covered.
 */
export function withoutValues(json: string): string {
  const { tokens, end } = sureTokens(json);
  const pieces: string[] = [];
  let done = 0;
  for (const token of tokens) {
    const { offset, length } = token;
    pieces.push(between(json.slice(done, offset)), shown(json, token));
    done = offset + length;
  }
  if (done < end) pieces.push(between(json.slice(done, end)));
  pieces.push(json.slice(Math.max(done, end)).replace(/[^\r\n]+/g, coverLine));
  return pieces.join('');
}

/** What is around tokens: blanks and punctuation, or else unknown. */
function between(text: string): string {
  return text.replace(/[^ \t\r\n{}[\],:\uFEFF]/g, '·');
}

function coverLine(line: string): string {
  const rest = line.trimStart();
  return line.slice(0, line.length - rest.length) + cover(rest);
}

function shown(json: string, { kind, offset, length, path }: JsonToken): string {
  const text = json.slice(offset, offset + length);
  // of a comment, that it is one
  if (kind === 'comment') return `${text.slice(0, 2)}${text.slice(2).replace(/[^\r\n]/g, '·')}`;
  if (kind === 'name')
    return isFollowedByColon(json, offset + length) ? text : `"${cover(text.slice(1, -1))}"`;
  if (text.startsWith('"')) return `"${shownValue(text.slice(1, -1))}"`;
  return text === '1' && path.length === 1 && path[0] === 'version' ? text : cover(text);
}

/** A string's content as it stands in the text: a reference has nothing that needs an escape. */
function shownValue(text: string): string {
  if (isSecretReference(text)) return text;
  // that it was meant to be one
  if (text.startsWith(scheme)) return scheme + cover(text.slice(scheme.length));
  let covered = '';
  let done = 0;
  // no reference is longer, and a text of megabytes may be nothing but braces
  for (const { 0: braces, 1: inner = '', index } of text.matchAll(/\{\{([^{}]{1,2000})\}\}/g)) {
    if (!isSecretReference(inner.trim())) continue;
    covered += cover(text.slice(done, index)) + braces;
    done = index + braces.length;
  }
  return covered + cover(text.slice(done));
}

function isFollowedByColon(json: string, offset: number): boolean {
  let at = offset;
  while (/\s/.test(json[at] ?? '')) at++;
  return json[at] === ':';
}
