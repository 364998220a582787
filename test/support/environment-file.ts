/**
 * systemd's parser of environment files (load_env_file in its src/basic/env-file.c), as a model to hold the
 * encoder against; the rules are those of docs/notes/systemd.md, "The parser".
 *
 * @returns undefined where systemd refuses the whole file
 */
export function parseEnvironmentFile(text: string): ReadonlyMap<string, string> | undefined {
  if (/\0|\p{Noncharacter_Code_Point}/u.test(text) || !text.isWellFormed()) return undefined;
  const variables = new Map<string, string>();
  let at = 0;
  const rest = (): string => text.slice(at);
  const take = (pattern: RegExp): string | undefined => {
    const [found] = new RegExp(pattern, 'sy').exec(rest()) ?? [];
    at += found?.length ?? 0;
    return found;
  };
  for (;;) {
    take(/[ \t\r\n]+/);
    if (at >= text.length) return variables;
    if (take(/[#;][^\r\n]*/) !== undefined) continue;
    const key = take(/[^=\r\n]+/) ?? '';
    if (take(/=/) === undefined) continue;
    const name = key.replace(/[ \t]+$/, '');
    const value = takeValue(take);
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) variables.set(name, value);
  }
}

function takeValue(take: (pattern: RegExp) => string | undefined): string {
  let value = '';
  // quoted parts at the start, with blanks between
  for (;;) {
    take(/[ \t]+/);
    const single = take(/'[^']*(?:'|$)/);
    const double = single === undefined ? take(/"(?:[^"\\]|\\.)*(?:"|\\?$)/) : undefined;
    if (single !== undefined) value += single.slice(1).replace(/'$/, '');
    else if (double !== undefined) value += withoutEscapes(double);
    else break;
  }
  // and what is not quoted, to the end of the line
  const plain = take(/(?:[^\\\r\n]|\\.)+/) ?? '';
  return (
    value +
    plain
      .replace(/((?:[^\\]|\\.)*?)[ \t]*$/s, '$1')
      .replace(/\\(.)/gs, (_, c: string) => (c === '\n' ? '' : c))
  );
}

function withoutEscapes(quoted: string): string {
  const inner = /^"((?:[^"\\]|\\.)*)/s.exec(quoted)?.[1] ?? '';
  return inner.replace(/\\(.)/gs, (pair, c: string) => (c === '\n' ? '' : '"\\`$'.includes(c) ? c : pair));
}
