import { existsSync } from 'node:fs';
import { directoryName, parseServiceName } from '../domain/service-name.ts';
import { readFetchState } from '../effects/fetch-state.ts';
import { log } from '../effects/journal-log.ts';
import { showUnits, systemctl } from '../effects/systemctl.ts';
import { directoryRecord, paths } from '../unit/paths.ts';
import type { UnitTree } from '../unit/unit-changes.ts';

/** What goes with a service (systemd.unit(5)): `X-secrets.service`, `backup-retry@nas.timer`. */
const companion =
  /^([^@]*)-(?:secrets(?=.*\.service$)|config(?=.*\.service$)|retry(?=.*\.timer$))((?:@.*)?)\.\w+$/;
/** Names that no manifest can have for a service. */
const shared = /^unit-secrets-(?:renew@.*|manifest|token)\.service$/;

/**
 * Units of ours whose files have gone with an entry stay failed, and the machine degraded, until somebody resets them;
 * the timer of a retry that was pending fails by the very `daemon-reload`.
 *
 * @param before the units that were loaded until now
 * @param after those that are loaded
 */
export function resetLeftovers(before: UnitTree, after: UnitTree): void {
  const gone = [...before.keys()].filter((path) => !path.includes('/') && !after.has(path));
  const shown = showUnits([...new Set([...gone, ...failedOfOurs()])], ['LoadState', 'ActiveState']);
  const units = [...shown]
    .filter(([, of]) => of.get('LoadState') === 'not-found' && of.get('ActiveState') === 'failed')
    .map(([unit]) => unit)
    .sort();
  if (units.length === 0) return;
  const them = units.length === 1 ? 'it' : 'them';
  log('info', `systemctl reset-failed ${units.join(' ')}: nothing describes ${them} any more`);
  const { exitCode, complaint } = systemctl(['reset-failed', '--', ...units]);
  if (exitCode !== 0) log('warning', `systemctl reset-failed failed: ${complaint}`);
}

/** What an earlier `daemon-reload` has left: by name, and where we know something of the service. */
function failedOfOurs(): string[] {
  const { stdout } = systemctl(['list-units', '--all', '--plain', '--no-legend', '--state=failed']);
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/, 1)[0] ?? '')
    .filter((unit) => shared.test(unit) || isKnown(serviceOfCompanion(unit)));
}

/** The service, with its suffix, that a unit goes with by its name. */
export function serviceOfCompanion(unit: string): string | undefined {
  const [, base, instance] = companion.exec(unit) ?? [];
  return base === undefined || instance === undefined ? undefined : `${base}${instance}.service`;
}

/** Whether it has asked for secrets, or has had directories: somebody else's unit may have such a name. */
function isKnown(service: string | undefined): boolean {
  const parsed = service === undefined ? undefined : parseServiceName(service);
  if (service === undefined || !parsed?.ok) return false;
  if (readFetchState(paths.queue, service)?.service === service) return true;
  return existsSync(`${paths.secrets}/${directoryName(parsed.service.name)}/${directoryRecord}`);
}
