import { parseDuration } from '../domain/duration.ts';
import { companionName, parseServiceName, serviceKey } from '../domain/service-name.ts';
import { type FetchState, readFetchState } from '../effects/fetch-state.ts';
import { readXSecrets } from '../effects/ini.ts';
import { showUnits } from '../effects/systemctl.ts';
import { uptime } from '../effects/uptime.ts';
import { dropInName, paths } from '../unit/paths.ts';
import { serviceOf, type UnitTree } from '../unit/unit-changes.ts';

/** How a unit stands (systemctl(1), "show"). */
export interface UnitStatus {
  readonly unit: string;
  /** `ActiveState=`; `missing` for a unit that is not there, `masked` for one that must not be. */
  readonly state: string;
  /** Seconds in this state; absent for one that was never started. */
  readonly since?: number;
  /** `Result=`, if it is not success. */
  readonly result?: string;
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
  'StatusText',
  'StateChangeTimestampMonotonic',
  'NextElapseUSecMonotonic',
];

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
  const fetch = readFetchState(paths.queue, units.service);
  const elapse = parseDuration(shown.get(units.retry)?.get('NextElapseUSecMonotonic') ?? '');
  const nextStart =
    of(units.retry).state === 'active' && elapse !== undefined ? Math.max(0, elapse - uptime()) : undefined;
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
  return trouble === undefined ? status : { ...status, trouble };
}

function unitStatus(unit: string, shown: ReadonlyMap<string, string>): UnitStatus {
  const load = shown.get('LoadState');
  const changed = Number(shown.get('StateChangeTimestampMonotonic') ?? 0) / 1e6;
  const result = shown.get('Result');
  const text = shown.get('StatusText');
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
    ...(text === undefined || text === '' ? {} : { text }),
  };
}

function troubleOf({ service, secrets, config, errors, fetch, inline }: ServiceStatus): string | undefined {
  if (errors.length > 0) return `kept down: ${errors[0]}`;
  if (service.state === 'missing') return `${service.unit} does not exist`;
  if (secrets?.state === 'masked') return `${secrets.unit} is masked`;
  if (secrets?.state === 'failed')
    return (
      fetch?.failure?.message ?? secrets.text ?? `${secrets.unit} failed (${secrets.result ?? 'unknown'})`
    );
  if (config?.state === 'masked') return `${config.unit} is masked`;
  if (config?.state === 'failed') return `${config.unit} failed (${config.result ?? 'unknown'})`;
  if (fetch?.state === 'backing-off' && secrets?.state !== 'active') return fetch.failure?.message;
  if (service.state === 'failed')
    return `${service.unit} failed${inline ? ', perhaps as its secrets could not be fetched' : ''} (${service.result ?? 'unknown'})`;
  if (service.state === 'active' && !inline && secrets && secrets.state === 'inactive')
    return `${service.unit} has run since before it was given secrets: restart it`;
  return undefined;
}
