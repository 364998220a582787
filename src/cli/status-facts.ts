import { constants } from 'node:os';
import { parseDuration } from '../domain/duration.ts';
import { meaningOfStatus, noCredentials } from '../domain/exit-status.ts';
import { companionName, parseServiceName, serviceKey } from '../domain/service-name.ts';
import { type FetchState, readFetchState } from '../effects/fetch-state.ts';
import { readXSecrets } from '../effects/ini.ts';
import { showUnits } from '../effects/systemctl.ts';
import { lastError } from '../effects/unit-journal.ts';
import { uptime } from '../effects/uptime.ts';
import { dropInName, paths } from '../unit/paths.ts';
import { serviceOf, type UnitTree } from '../unit/unit-changes.ts';
import { keptDown, onceKeptDown } from './kept-down.ts';
import { isSetGone } from './lost-memory.ts';
import { withoutPromise } from './tried-again.ts';

/** How a unit stands (systemctl(1), "show"). */
export interface UnitStatus {
  readonly unit: string;
  /** `ActiveState=`; `missing` for a unit that is not there, `masked` for one that must not be. */
  readonly state: string;
  /** Seconds in this state; absent for one that was never started. */
  readonly since?: number;
  /** `Result=`, if it is not success. */
  readonly result?: string;
  /** `ReloadResult=`, if it is not success. */
  readonly reloadResult?: string;
  /** `InvocationID=`: which of its runs this is, or was the last. */
  readonly invocation?: string;
  /** `ExecMainStatus=`, if it is not 0: an exit status, or the number of a signal. */
  readonly exitStatus?: number;
  /** Whether its last start was skipped, as a condition was not met; absent if not. */
  readonly skipped?: true;
  /** `StatusText=`: what it says of itself. */
  readonly text?: string;
}

/** How a service of the manifest and its secrets stand. Never a value. */
export interface ServiceStatus {
  /** As in the manifest, without `.service` where that can be. */
  readonly name: string;
  readonly service: UnitStatus;
  /** Absent for a service that fetches by itself. */
  readonly secrets?: UnitStatus;
  readonly config?: UnitStatus;
  readonly inline: boolean;
  /** Why the entry cannot be used. */
  readonly errors: readonly string[];
  /** The last fetch; absent if it is not known, as for others than root. */
  readonly fetch?: FetchState;
  /** Seconds until the service is started again. */
  readonly nextStart?: number;
  /** What is wrong, in one line; absent if nothing is. */
  readonly trouble?: string;
}

const properties = [
  'LoadState',
  'ActiveState',
  'Result',
  'ReloadResult',
  'InvocationID',
  'ExecMainStatus',
  'StatusText',
  'ConditionResult',
  'ConditionTimestampMonotonic',
  'StateChangeTimestampMonotonic',
  'NextElapseUSecMonotonic',
];

/** The services of the loaded units, in the order of their names. */
export function knownServices(loaded: UnitTree): Pick<ServiceStatus, 'name' | 'inline' | 'errors'>[] {
  return entriesOf(loaded);
}

/** Looks how the services of the loaded units stand, in the order of their names. */
export function serviceStatuses(loaded: UnitTree): ServiceStatus[] {
  const entries = entriesOf(loaded);
  const units = entries.flatMap(({ units }) => Object.values(units));
  const shown = showUnits([...new Set(units)], properties);
  return entries.map((entry) => statusOf(entry, shown));
}

interface Entry {
  readonly name: string;
  readonly service: string;
  readonly inline: boolean;
  readonly hasConfig: boolean;
  readonly errors: readonly string[];
  readonly units: {
    readonly service: string;
    readonly secrets: string;
    readonly config: string;
    readonly retry: string;
  };
}

function entriesOf(loaded: UnitTree): Entry[] {
  const entries: Entry[] = [];
  for (const [path, content] of loaded) {
    const settings = readXSecrets(content);
    const service = settings && serviceOf(path, content);
    const parsed = service === undefined ? undefined : parseServiceName(service);
    if (!settings || service === undefined || !parsed?.ok) continue;
    const unit = (suffix: string): string => companionName(parsed.service, suffix);
    const config = `${unit('config')}.service`;
    entries.push({
      name: serviceKey(parsed.service),
      service,
      inline: path.endsWith(`/${dropInName}`),
      hasConfig: loaded.has(config),
      errors: settings.get('Error') ?? [],
      units: { service, secrets: `${unit('secrets')}.service`, config, retry: `${unit('retry')}.timer` },
    });
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function statusOf(entry: Entry, shown: ReadonlyMap<string, ReadonlyMap<string, string>>): ServiceStatus {
  const { name, units, inline, hasConfig, errors } = entry;
  const of = (unit: string): UnitStatus => unitStatus(unit, shown.get(unit) ?? new Map());
  const service = of(units.service);
  const secrets = of(units.secrets);
  const retries = of(units.retry).state === 'active';
  const told = (text: string): string => (retries ? text : withoutPromise(text));
  const fetch = withHint(readFetchState(paths.queue, units.service), told);
  const elapse = parseDuration(shown.get(units.retry)?.get('NextElapseUSecMonotonic') ?? '');
  const nextStart =
    service.state !== 'active' && retries && elapse !== undefined
      ? Math.max(0, elapse - uptime())
      : undefined;
  const status: ServiceStatus = {
    name,
    service,
    ...(inline ? {} : { secrets }),
    ...(hasConfig ? { config: of(units.config) } : {}),
    inline,
    errors,
    ...(fetch && !inline ? { fetch } : {}),
    ...(nextStart === undefined ? {} : { nextStart }),
  };
  const trouble = troubleOf(status);
  return trouble === undefined ? status : { ...status, trouble: told(trouble) };
}

/** A state with its hint as it is to be told; without one that says nothing then. */
function withHint(state: FetchState | undefined, told: (hint: string) => string): FetchState | undefined {
  if (state?.failure?.hint === undefined) return state;
  const { hint: last, ...failure } = state.failure;
  const hint = told(last);
  return { ...state, failure: { ...failure, ...(hint === '' ? {} : { hint }) } };
}

function unitStatus(unit: string, shown: ReadonlyMap<string, string>): UnitStatus {
  const load = shown.get('LoadState');
  const changed = Number(shown.get('StateChangeTimestampMonotonic') ?? 0) / 1e6;
  const result = shown.get('Result');
  const reload = shown.get('ReloadResult');
  const invocation = shown.get('InvocationID');
  const text = shown.get('StatusText');
  const exitStatus = Number(shown.get('ExecMainStatus') ?? 0);
  // it is "no" for a unit that was never started, too
  const skipped =
    shown.get('ConditionResult') === 'no' && Number(shown.get('ConditionTimestampMonotonic') ?? 0) > 0;
  return {
    unit,
    state:
      load === 'not-found'
        ? 'missing'
        : load === 'masked'
          ? 'masked'
          : (shown.get('ActiveState') ?? 'unknown'),
    ...(changed > 0 ? { since: Math.max(0, uptime() - changed) } : {}),
    ...(result === undefined || result === '' || result === 'success' ? {} : { result }),
    ...(reload === undefined || reload === '' || reload === 'success' ? {} : { reloadResult: reload }),
    ...(invocation === undefined || invocation === '' ? {} : { invocation }),
    ...(exitStatus > 0 ? { exitStatus } : {}),
    ...(skipped ? { skipped: true } : {}),
    ...(text === undefined || text === '' ? {} : { text }),
  };
}

/**
 * Why a service could not be started, as the units tell in which its secrets are fetched and rendered; undefined if
 * none of them has failed.
 */
export function failureOf(loaded: UnitTree, name: string): string | undefined {
  const entry = entriesOf(loaded).find((one) => one.name === name);
  if (!entry) return undefined;
  const { units, inline, errors } = entry;
  if (errors.length > 0) return `it is kept down: ${errors[0]}`;
  const names = inline ? [units.service] : [units.secrets, units.config];
  const all = [...showUnits(names, properties)].map(([unit, shown]) => unitStatus(unit, shown));
  // one that fetches itself may be about to be started again
  const failed = all.find(({ state }) => state === 'failed' || (inline && state !== 'missing'));
  if (failed) return inline ? toldBy(failed) : reasonOf(failed, units.service);
  const skipped = all.find(isSkipped);
  return skipped && skippedText(skipped);
}

/** What a unit has told last in its present or last run; undefined if nothing. */
export function lastWord(unit: string): string | undefined {
  return toldBy(unitStatus(unit, showUnits([unit], properties).get(unit) ?? new Map()));
}

function troubleOf(status: ServiceStatus): string | undefined {
  const { name, service, secrets, config, errors, fetch, inline, nextStart } = status;
  // a name may be kept down that is none of a service: in a file that is not JSON they cannot be told apart
  if (errors.length > 0 && service.state === 'missing')
    return `there is no ${service.unit}, and it could not be started: ${errors[0]}`;
  if (errors.length > 0) return `kept down: ${errors[0]}`;
  if (service.state === 'missing') return `${service.unit} does not exist`;
  for (const unit of [secrets, config]) {
    if (unit?.state === 'masked') return `${unit.unit} is masked`;
    if (unit?.state === 'failed') return reasonOf(unit, service.unit);
  }
  const skipped = [secrets, config].find((unit) => unit && isSkipped(unit));
  if (skipped && service.state !== 'active') return skippedText(skipped);
  const parsed = secrets?.state === 'active' ? parseServiceName(name) : undefined;
  if (parsed?.ok && isSetGone(parsed.service))
    return `what was fetched for it is gone from ${paths.secrets}, though ${secrets?.unit} is active: unit-secrets retry ${name} fetches it anew`;
  if (fetch?.failure && fetch.state === 'backing-off') return fetch.failure.message;
  if (fetch?.failure && fetch.state === 'failed' && secrets?.state === 'active')
    return `goes on with what it had, as it could not be fetched anew: ${fetch.failure.message}`;
  for (const unit of [secrets, config]) {
    if (unit?.state === 'active' && unit.reloadResult !== undefined)
      return `goes on with what it had, as ${unit.unit} could not be reloaded: ${toldBy(unit) ?? unit.reloadResult}`;
  }
  if (service.state === 'failed') {
    const perhaps = inline ? ', perhaps as its secrets could not be fetched' : '';
    return `${service.unit} failed${perhaps} (${service.result ?? 'unknown'})`;
  }
  if (nextStart !== undefined) {
    const reason = fetch?.state === 'failed' ? fetch.failure?.message : undefined;
    return reason ?? `${service.unit} could not be started (${service.result ?? 'unknown'})`;
  }
  if (service.state === 'active' && !inline && secrets?.state === 'inactive')
    return `${service.unit} has run since before it was given secrets: restart it`;
  return undefined;
}

const isSkipped = ({ state, skipped }: UnitStatus): boolean => state === 'inactive' && skipped === true;

const skippedText = ({ unit }: UnitStatus): string =>
  `${unit} was skipped, as a condition in it was not met: systemctl status ${unit} tells which`;

/** Why a unit of ours failed: in its own words, if this user can read them. */
function reasonOf(status: UnitStatus, service: string): string {
  const { unit, exitStatus, result, text } = status;
  if (result === 'signal' || result === 'core-dump') {
    const [signal = `signal ${exitStatus ?? 'unknown'}`] =
      Object.entries(constants.signals).find(([, number]) => number === exitStatus) ?? [];
    return `${unit} was killed (${signal})${text === undefined ? '' : ` after it had said: ${text}`}`;
  }
  if (exitStatus === noCredentials)
    return `${unit} has no token (systemctl status unit-secrets-token.service tells why)`;
  const told = toldBy(status);
  if (told === keptDown(service)) return onceKeptDown(service);
  const meaning = exitStatus === undefined ? undefined : meaningOfStatus(exitStatus);
  if (meaning !== undefined) return `${unit} failed: ${meaning}`;
  return told ?? text ?? `${unit} failed (${result ?? 'unknown'})`;
}

const toldBy = ({ unit, invocation }: UnitStatus): string | undefined =>
  invocation === undefined ? undefined : lastError(unit, invocation);
