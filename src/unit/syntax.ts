/** `%` begins a specifier in most settings (systemd.unit(5), "SPECIFIERS"). */
export function escapeSpecifiers(text: string): string {
  return text.includes('%') ? text.replaceAll('%', '%%') : text;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const unfit = /[\0-\x1f\x7f-\x9f]+|\p{Noncharacter_Code_Point}|\p{Surrogate}/gu;

/** Replaces what would end a line, what makes systemd refuse a whole file, and what a terminal acts upon. */
export function replaceUnfit(text: string, by: string): string {
  return text.replace(unfit, by);
}

/** An argument of `ExecStart=` (systemd.service(5), "COMMAND LINES"), quoted where it needs to be. */
export function quoteArgument(text: string): string {
  if (/^[A-Za-z0-9_@:.,/+-]+$/.test(text)) return text;
  const escaped = escapeSpecifiers(text)
    .replace(/["\\]/g, '\\$&')
    .replaceAll('$', '$$$$')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
    .replace(/[\0-\x1f\x7f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${escaped}"`;
}

/** The program of `ExecStart=`, which takes no `$` escapes but the same quotes. */
export function quoteProgram(path: string): string {
  if (/^[A-Za-z0-9_@:.,/+-]+$/.test(path)) return path;
  return `"${escapeSpecifiers(path).replace(/["\\]/g, '\\$&')}"`;
}

/** A path in a list of paths, as in `RequiresMountsFor=`. */
export function quotePath(path: string): string {
  if (/^[A-Za-z0-9_@:.,/+-]+$/.test(path)) return path;
  return `"${escapeSpecifiers(path).replace(/["\\]/g, '\\$&')}"`;
}

/** Text that takes the rest of the line, as in `Description=`: no line end, no continuation. */
export function lineText(text: string): string {
  return escapeSpecifiers(replaceUnfit(text, ' ')).replace(/\\+$/, '');
}
