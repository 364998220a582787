const unitSeconds: Readonly<Record<string, number>> = {
  us: 1e-6,
  usec: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ms: 1e-3,
  msec: 1e-3,
  '': 1,
  s: 1,
  sec: 1,
  second: 1,
  seconds: 1,
  m: 60,
  min: 60,
  minute: 60,
  minutes: 60,
  h: 3600,
  hr: 3600,
  hour: 3600,
  hours: 3600,
  d: 86_400,
  day: 86_400,
  days: 86_400,
  w: 604_800,
  week: 604_800,
  weeks: 604_800,
  M: 2_629_800,
  month: 2_629_800,
  months: 2_629_800,
  y: 31_557_600,
  year: 31_557_600,
  years: 31_557_600,
};

/** As systemd has it, 365.25 days; in seconds. */
export const oneYear = 31_557_600;

/** For messages: one spelling of each unit. */
export const durationUnits = 'us, ms, s, min, h, d, w, month and y';

/** systemd's idea of white space, which is less than that of JavaScript. */
const gap = /^[ \t\n\r]+|[ \t\n\r]+$/g;

/**
 * Parses a time span as systemd writes them (systemd.time(7), "PARSING TIME SPANS"): `4min`, `1h 30min`,
 * `1.5h`; a bare number is seconds, `m` is minutes and `M` months. "infinity" is none.
 *
 * @returns seconds, or undefined if it is not a time span
 */
export function parseDuration(text: string): number | undefined {
  const token = /[ \t\n\r]*(\d+(?:\.\d+)?|\.\d+)(?![\d.])[ \t\n\r]*([A-Za-zµμ]*)/y;
  const trimmed = text.replace(gap, '');
  if (trimmed === '' || text.length > 100) return undefined;
  let seconds = 0;
  while (token.lastIndex < trimmed.length) {
    const match = token.exec(trimmed);
    if (!match) return undefined;
    const factor = Object.hasOwn(unitSeconds, match[2] ?? '') ? unitSeconds[match[2] ?? ''] : undefined;
    if (factor === undefined) return undefined;
    seconds += Number(match[1]) * factor;
  }
  return seconds;
}
