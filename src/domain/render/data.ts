/** How what stands in a template becomes what must stand in the result. */
export interface DataFilling {
  /** A string or a member's name with the values in place of sentinels. */
  text(text: string): string;
  /** A string, number or boolean for the integer that is a sentinel, undefined for all other integers. */
  scalar(integer: string): unknown;
}

/**
 * Compares what a program gets that reads the result with what it would get from the template.
 *
 * @param before the template's data (`Reading.data`), with sentinels
 * @param after the result's
 * @returns the name in the template of the member where they first differ otherwise than in the values, '' if
 *   there is none, undefined if they do not differ
 */
export function firstChange(before: unknown, after: unknown, filling: DataFilling): string | undefined {
  if (Array.isArray(before)) {
    if (!Array.isArray(after) || after.length !== before.length) return '';
    for (const [i, one] of before.entries()) {
      const changed = firstChange(one, after[i], filling);
      if (changed !== undefined) return changed;
    }
    return undefined;
  }
  if (before instanceof Date || typeof before !== 'object' || before === null)
    return sameScalar(before, after, filling) ? undefined : '';
  if (typeof after !== 'object' || after === null || Array.isArray(after) || after instanceof Date) return '';
  const names = new Set<string>();
  for (const [name, value] of Object.entries(before)) {
    const meant = filling.text(name);
    if (names.has(meant) || !Object.hasOwn(after, meant)) return name;
    names.add(meant);
    const changed = firstChange(value, (after as Record<string, unknown>)[meant], filling);
    if (changed !== undefined) return changed === '' ? name : changed;
  }
  return Object.keys(after).length === names.size ? undefined : '';
}

function sameScalar(before: unknown, after: unknown, filling: DataFilling): boolean {
  if (typeof before === 'string') return filling.text(before) === after;
  if (before instanceof Date) return after instanceof Date && Object.is(before.getTime(), after.getTime());
  const value = typeof before === 'bigint' ? filling.scalar(String(before)) : undefined;
  if (value === undefined) return Object.is(before, after);
  // a number may be written as an integer, and -0 is one
  return typeof value === 'number' && typeof after === 'bigint' ? value === Number(after) : value === after;
}
