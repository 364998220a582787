import { cutTo, padTo, textWidth, wrapText } from '../domain/text-width.ts';
import { uptime } from '../effects/uptime.ts';
import { fetchProgress, span } from './fetch-progress.ts';
import type { ServiceStatus, UnitStatus } from './status-facts.ts';
import { type Colour, paint } from './terminal.ts';

/** What is to be shown: a title, and what belongs together, in lines. */
export interface StatusText {
  readonly title: readonly string[];
  readonly blocks: readonly { readonly lines: readonly string[]; readonly trouble: boolean }[];
}

const colours: Readonly<Record<string, Colour>> = {
  active: 'green',
  fetched: 'green',
  rendered: 'green',
  failed: 'red',
  missing: 'red',
  masked: 'red',
  activating: 'yellow',
  'kept down': 'red',
};

const tint = (text: string, width = 0): string => {
  const colour = colours[text];
  const padded = padTo(text, width);
  return colour === undefined ? padded : paint(colour, padded);
};

/** What the state of a fetching or rendering unit means. */
function meaning(unit: UnitStatus | undefined, done: string, absent: string): string {
  if (!unit) return absent;
  return unit.state === 'active' ? done : unit.state === 'inactive' ? '-' : unit.state;
}

interface Row {
  /** In the order of `titles`. */
  readonly cells: readonly string[];
  readonly remark: string;
  readonly trouble: boolean;
}

const titles = ['SERVICE', 'STATE', 'SECRETS', 'CONFIG', 'SINCE'];
const gap = 2;

function rowOf(status: ServiceStatus): Row {
  const { name, service, secrets, config, errors, trouble } = status;
  return {
    cells: [
      name,
      service.state,
      errors.length > 0
        ? service.state === 'missing'
          ? '-'
          : 'kept down'
        : meaning(secrets, 'fetched', 'inline'),
      meaning(config, 'rendered', '-'),
      service.since === undefined ? '-' : span(service.since),
    ],
    remark: remarkOf(status),
    trouble: trouble !== undefined,
  };
}

/**
 * A line for each service, and what is wrong with it beside or below.
 *
 * @param columns of the terminal, which no line exceeds; undefined for what programs read: a line for each
 */
export function tableText(statuses: readonly ServiceStatus[], columns: number | undefined): StatusText {
  if (statuses.length === 0)
    return { title: ['no service is given secrets: the generator has written no units'], blocks: [] };
  const rows = statuses.map(rowOf);
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map(({ cells }) => textWidth(cells[column] ?? ''))),
  );
  const used = widths.reduce((sum, one) => sum + one + gap, 0);
  if (columns !== undefined && used - gap > columns)
    return { title: [], blocks: rows.map((row) => ({ lines: stacked(row, columns), trouble: row.trouble })) };
  const join = (cells: readonly string[], shown: (cell: string, width: number) => string): string =>
    cells.map((cell, column) => shown(cell, widths[column] ?? 0)).join(' '.repeat(gap));
  const linesOf = ({ cells, remark }: Row): string[] => {
    const line = join(cells, tint);
    if (columns === undefined || remark === '' || used + textWidth(remark) <= columns)
      return [`${line}${' '.repeat(gap)}${remark}`.trimEnd()];
    // what does not fit beside goes below, whole: the message is why people look
    return [line.trimEnd(), ...indented(remark, columns)];
  };
  return {
    title: [paint('bold', join(titles, padTo).trimEnd())],
    blocks: rows.map((row) => ({ lines: linesOf(row), trouble: row.trouble })),
  };
}

/** For a terminal that is too narrow for a table. */
function stacked(
  { cells: [name = '', state = '', secrets = '', config = '', since = ''], remark }: Row,
  columns: number,
) {
  const facts = [
    [state, since === '-' ? '' : `for ${since}`],
    ['secrets', secrets],
    ...(config === '-' ? [] : [['config', config]]),
  ];
  const plain = facts.map((words) => words.join(' ').trimEnd()).join(', ');
  const shown = facts
    .map((words) =>
      words
        .map((word) => tint(word))
        .join(' ')
        .trimEnd(),
    )
    .join(', ');
  return [
    ...wrapText(name, columns).map((line) => paint('bold', line)),
    ...(textWidth(plain) + 2 <= columns ? [`  ${shown}`] : indented(plain, columns, 2)),
    ...(remark === '' ? [] : indented(remark, columns)),
  ];
}

function indented(text: string, columns: number, by = 4): string[] {
  return wrapText(text, columns - by).map((line) => ' '.repeat(by) + line);
}

/** What is wrong, and what happens next. */
function remarkOf({ trouble, fetch, nextStart, secrets }: ServiceStatus): string {
  const parts = trouble === undefined ? [] : [trouble];
  if (fetch && secrets?.state === 'activating') parts.push(fetchProgress(fetch));
  if (nextStart !== undefined) parts.push(`next start in ${span(nextStart)}`);
  return parts.join('; ');
}

interface Fact {
  readonly key: string;
  readonly text: string;
  /** A word of the text that has a colour. */
  readonly state?: string;
}

const keyWidth = 8;

/** All that is known of one service. */
export function detailsText(status: ServiceStatus, columns: number | undefined): StatusText {
  const indent = 2 + keyWidth + 1;
  const lines = factsOf(status).flatMap(({ key, text, state }) => {
    const wrapped = columns === undefined ? [text] : wrapText(text, columns - indent);
    const colour = state === undefined ? undefined : colours[state];
    const shown = wrapped.join('\n');
    const painted =
      colour === undefined || state === undefined
        ? shown
        : shown.replace(
            new RegExp(`(^|\\s)${state}(?!\\S)`),
            (_, before: string) => before + paint(colour, state),
          );
    return painted.split('\n').map((line, index) => `  ${(index === 0 ? key : '').padEnd(keyWidth)} ${line}`);
  });
  const title = columns === undefined ? [status.name] : wrapText(status.name, columns);
  return {
    title: title.map((line) => paint('bold', line)),
    blocks: lines.map((line) => ({ lines: [line], trouble: false })),
  };
}

function factsOf(status: ServiceStatus): Fact[] {
  const { service, secrets, config, inline, errors, fetch, nextStart, trouble } = status;
  const facts: Fact[] = [describe('service', service)];
  if (inline) facts.push({ key: 'secrets', text: 'fetched by the service itself, in its own context' });
  else facts.push(secrets ? describe('secrets', secrets) : { key: 'secrets', text: '-' });
  if (config) facts.push(describe('config', config));
  const add = (key: string, text: string): void => {
    facts.push({ key, text });
  };
  if (fetch) {
    add('fetch', `${fetch.state} for ${span(Math.max(0, uptime() - fetch.since))}, ${fetchProgress(fetch)}`);
    if (fetch.failure) {
      add('failure', `${fetch.failure.class}: ${fetch.failure.message}`);
      if (fetch.failure.hint !== undefined) add('hint', fetch.failure.hint);
    }
  }
  if (nextStart !== undefined) add('next', `started again in ${span(nextStart)}`);
  for (const error of errors) add('error', error);
  if (trouble !== undefined && errors.length === 0) add('trouble', trouble);
  add('more', `journalctl --unit=${(secrets ?? service).unit}`);
  return facts;
}

function describe(key: string, { unit, state, since: seconds, result, text }: UnitStatus): Fact {
  const how = result === undefined ? '' : ` (${result})`;
  const when = seconds === undefined ? '' : ` for ${span(seconds)}`;
  // what it said when it was last active is not said of it now
  const said = text === undefined || state === 'inactive' ? '' : `: ${text}`;
  return { key, state, text: `${unit} ${state}${how}${when}${said}` };
}

/** As one text. */
export function wholeText({ title, blocks }: StatusText): string {
  return [...title, ...blocks.flatMap(({ lines }) => lines)].map((line) => `${line}\n`).join('');
}

/**
 * As much of it as a screen can hold, and what of it is not shown: more would scroll, and the next drawing would
 * begin in the middle.
 *
 * @param rows of the terminal; the last one is the cursor's
 */
export function screenText(text: StatusText, rows: number, columns: number): string {
  const { title, blocks } = text;
  const all = [...title, ...blocks.flatMap(({ lines }) => lines)];
  if (all.length < rows) return wholeText(text);
  let left = rows - 2 - title.length;
  let count = 0;
  for (; (blocks[count]?.lines.length ?? left + 1) <= left; count++) left -= blocks[count]?.lines.length ?? 0;
  const rest = blocks.slice(count);
  const wrong = rest.filter(({ trouble }) => trouble).length;
  const more = `… ${rest.length} more${wrong > 0 ? `, ${wrong} with something wrong` : ''}`;
  const shown = [...title, ...blocks.slice(0, count).flatMap(({ lines }) => lines)];
  // of a screen of a few lines the first ones
  return [...shown.slice(0, Math.max(0, rows - 2)), cutTo(more, columns)].map((line) => `${line}\n`).join('');
}
