/** A number of things, as a person writes it: `1 file`, `2 files`. */
export function plural(number: number, one: string): string {
  return `${number} ${one}${number === 1 ? '' : 's'}`;
}
