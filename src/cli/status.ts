import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { readLoadedUnits } from '../effects/loaded-units.ts';
import { untilInterrupted } from './interrupt.ts';
import { findService } from './known-service.ts';
import { toExitCode } from './report-failure.ts';
import { type ServiceStatus, serviceStatuses } from './status-facts.ts';
import { detailsText, type StatusText, screenText, tableText, wholeText } from './status-text.ts';
import { isTerminal, print, printJson, terminalSize } from './terminal.ts';

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
    if (!options.watch) return show(options, wholeText);
    if (!isTerminal() || process.env['TERM'] === 'dumb') {
      throw new FailureError({
        class: 'permanent',
        exitCode: exitCodes.usage,
        message: '--watch is for a terminal that can be drawn on',
        hint: 'leave it out, or use --json',
      });
    }
    return untilInterrupted(interval, () => show(options, watched));
  });
}

function show(options: StatusOptions, toText: (text: StatusText) => string): ExitCode {
  const statuses = select(serviceStatuses(readLoadedUnits('')), options.services);
  const columns = terminalSize()?.columns;
  const [only] = statuses;
  if (options.json) printJson({ services: statuses.map(toMilliseconds) });
  else if (options.services.length === 1 && only) print(toText(detailsText(only, columns)));
  else print(toText(tableText(statuses, columns)));
  return statuses.some(({ trouble }) => trouble !== undefined) ? exitCodes.problems : exitCodes.ok;
}

/** With its times, all in seconds, to a thousandth: more is not known. */
export function toMilliseconds(status: ServiceStatus): ServiceStatus {
  const round = (_: string, value: unknown): unknown =>
    typeof value === 'number' ? Math.round(value * 1000) / 1000 : value;
  return JSON.parse(JSON.stringify(status, round)) as ServiceStatus;
}

/** Drawn where the last one was; home, and clear what is below: a screen that is cleared first would flicker. */
function watched(text: StatusText): string {
  const { columns = 80, rows = 24 } = terminalSize() ?? {};
  return `\u001b[H\u001b[J${screenText(text, rows, columns)}`;
}

function select(statuses: readonly ServiceStatus[], wanted: readonly string[]): readonly ServiceStatus[] {
  return wanted.length === 0 ? statuses : wanted.map((given) => findService(statuses, given));
}
