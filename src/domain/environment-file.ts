/** The kernel's limit for `NAME=value` with its closing NUL (execve(2), MAX_ARG_STRLEN), in bytes. */
const longestAssignment = 131_072;

const noncharacters = /[\uFDD0-\uFDEF]|\p{Noncharacter_Code_Point}/u;
const encoder = new TextEncoder();
const plain = /^[\x20-\x7e]*$/;

/** Why a value cannot stand in an environment file, or undefined if it can. Never quotes the value. */
export function environmentValueProblem(name: string, value: string): string | undefined {
  // nearly every text, told with one look: the generator checks thousands
  if (value.length < 1000 && name.length < 1000 && plain.test(value)) return undefined;
  if (value.includes('\0'))
    return `the value of ${name} contains a NUL byte, which no environment variable can carry`;
  if (!value.isWellFormed()) return `the value of ${name} is not valid Unicode`;
  if (noncharacters.test(value)) {
    return `the value of ${name} contains a Unicode noncharacter, which systemd does not accept in environment files`;
  }
  if (name.length + encoder.encode(value).length + 2 > longestAssignment) {
    return `the value of ${name} is longer than the 128 KiB that an environment variable can carry`;
  }
  return undefined;
}

/**
 * Writes environment variables so that systemd reads back exactly the same values
 * (systemd.exec(5), "EnvironmentFile="; the parser is described in docs/notes/systemd.md).
 * Check each value with `environmentValueProblem` first.
 */
export function serialiseEnvironmentFile(
  variables: Iterable<readonly [name: string, value: string]>,
): string {
  let text = '';
  for (const [name, value] of variables) text += `${name}="${value.replace(/["\\`$]/g, '\\$&')}"\n`;
  return text;
}
