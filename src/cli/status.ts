import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { readLoadedUnits } from '../effects/loaded-units.ts';
import { uptime } from '../effects/uptime.ts';
import { fetchProgress, span } from './fetch-progress.ts';
import { untilInterrupted } from './interrupt.ts';
import { findService } from './known-service.ts';
import { toExitCode } from './report-failure.ts';
import { type ServiceStatus, serviceStatuses, type UnitStatus } from './status-facts.ts';
import { type Colour, isTerminal, paint, print, printJson, terminalWidth } from './terminal.ts';

export interface StatusOptions {
  /** None for all. */
  readonly services: readonly string[];
  readonly json: boolean;
  readonly watch: boolean;
}

/** How often `--watch` looks, in milliseconds. */
const interval = 1000;

/**
 * `status`: how services and their secrets stand: a line for each, or all that is known of one.
 *
 * @returns 0, 1 if something is wrong with one of them, 64 for one that has no secrets here
 */
export function statusCommand(options: StatusOptions): Promise<ExitCode> {
  return toExitCode(async () => {
    if (!options.watch) return show(options, '');
    if (!isTerminal()) {
      throw new FailureError({
        class: 'permanent',
        exitCode: exitCodes.usage,
        message: '--watch is for a terminal',
        hint: 'leave it out, or use --json',
      });
    }
    // home, and clear what is below: a screen that is cleared first would flicker
    return untilInterrupted(interval, () => show(options, '\u001b[H\u001b[J'));
  });
}

function show(options: StatusOptions, before: string): ExitCode {
  const statuses = select(serviceStatuses(readLoadedUnits('')), options.services);
  if (options.json) printJson({ services: statuses });
  else if (options.services.length === 1 && statuses[0]) print(before + details(statuses[0]));
  else print(before + table(statuses));
  return statuses.some(({ trouble }) => trouble !== undefined) ? exitCodes.problems : exitCodes.ok;
}

function select(statuses: readonly ServiceStatus[], wanted: readonly string[]): readonly ServiceStatus[] {
  return wanted.length === 0 ? statuses : wanted.map((given) => findService(statuses, given));
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

const tint = (text: string, width: number): string => {
  const colour = colours[text];
  const padded = text.padEnd(width);
  return colour === undefined ? padded : paint(colour, padded);
};

/** What the state of a fetching or rendering unit means. */
function meaning(unit: UnitStatus | undefined, done: string, absent: string): string {
  if (!unit) return absent;
  return unit.state === 'active' ? done : unit.state === 'inactive' ? '-' : unit.state;
}

function table(statuses: readonly ServiceStatus[]): string {
  if (statuses.length === 0) return 'no service is given secrets: the generator has written no units\n';
  const rows = statuses.map((status) => ({
    cells: [
      status.name,
      status.service.state,
      status.errors.length > 0 ? 'kept down' : meaning(status.secrets, 'fetched', 'inline'),
      meaning(status.config, 'rendered', '-'),
      since(status.service),
    ],
    text: remark(status),
  }));
  const titles = ['SERVICE', 'STATE', 'SECRETS', 'CONFIG', 'SINCE'];
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map(({ cells }) => (cells[column] ?? '').length)),
  );
  const width = terminalWidth();
  const line = (cells: readonly string[], text: string): string => {
    const shown = cells.map((cell, column) => tint(cell, widths[column] ?? 0)).join('  ');
    const used = widths.reduce((sum, one) => sum + one + 2, 0);
    if (width === undefined) return `${shown}  ${text}`.trimEnd();
    // what does not fit beside goes below, whole: the message is why people look
    if (text === '' || used + text.length <= width) return `${shown}  ${text}`.trimEnd();
    return `${shown.trimEnd()}\n    ${text}`;
  };
  return `${[
    paint(
      'bold',
      titles
        .map((title, column) => title.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    ),
    ...rows.map(({ cells, text }) => line(cells, text)),
  ].join('\n')}\n`;
}

const since = ({ since: seconds }: UnitStatus): string => (seconds === undefined ? '-' : span(seconds));

/** What is wrong, and what happens next. */
function remark({ trouble, fetch, nextStart, secrets }: ServiceStatus): string {
  const parts = trouble === undefined ? [] : [trouble];
  if (fetch && secrets?.state === 'activating') parts.push(fetchProgress(fetch));
  if (nextStart !== undefined) parts.push(`next start in ${span(nextStart)}`);
  return parts.join('; ');
}

function details(status: ServiceStatus): string {
  const { name, service, secrets, config, inline, errors, fetch, nextStart, trouble } = status;
  const lines: [string, string][] = [['service', describe(service)]];
  lines.push([
    'secrets',
    inline ? 'fetched by the service itself, in its own context' : secrets ? describe(secrets) : '-',
  ]);
  if (config) lines.push(['config', describe(config)]);
  if (fetch) {
    lines.push([
      'fetch',
      `${fetch.state} for ${span(Math.max(0, uptime() - fetch.since))}, ${fetchProgress(fetch)}`,
    ]);
    if (fetch.failure) {
      lines.push(['failure', `${fetch.failure.class}: ${fetch.failure.message}`]);
      if (fetch.failure.hint !== undefined) lines.push(['hint', fetch.failure.hint]);
    }
  }
  if (nextStart !== undefined) lines.push(['next', `started again in ${span(nextStart)}`]);
  for (const error of errors) lines.push(['error', error]);
  if (trouble !== undefined && errors.length === 0) lines.push(['trouble', trouble]);
  lines.push(['more', `journalctl --unit=${(secrets ?? service).unit}`]);
  return `${[paint('bold', name), ...lines.map(([key, text]) => `  ${key.padEnd(8)} ${text}`)].join('\n')}\n`;
}

function describe({ unit, state, since: seconds, result, text }: UnitStatus): string {
  const colour = colours[state];
  const word = colour === undefined ? state : paint(colour, state);
  const how = result === undefined ? '' : ` (${result})`;
  const when = seconds === undefined ? '' : ` for ${span(seconds)}`;
  return `${unit} ${word}${how}${when}${text === undefined ? '' : `: ${text}`}`;
}
