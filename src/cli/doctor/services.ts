import { existsSync } from 'node:fs';
import type { Manifest } from '../../domain/manifest.ts';
import { companionName } from '../../domain/service-name.ts';
import { unknownGroups } from '../../effects/groups.ts';
import { showUnits, systemctl } from '../../effects/systemctl.ts';
import { dropInName } from '../../unit/paths.ts';
import type { UnitTree } from '../../unit/unit-changes.ts';
import { onceKeptDown } from '../kept-down.ts';
import { type ServiceStatus, serviceStatuses } from '../status-facts.ts';
import { error, type HostFinding, ok, warning } from './finding.ts';

/** What X-secrets.service is ordered behind: a service that comes before one of them closes a cycle. */
const early = [
  'sysinit.target',
  'basic.target',
  'network-online.target',
  'nss-lookup.target',
  'time-set.target',
];

/** Whether the services of the manifest are there, and nothing stands against their units. */
export function checkServices(manifest: Manifest, loaded: UnitTree): HostFinding[] {
  const units = manifest.services.map(({ name }) => `${name.name}.service`);
  const shown = showUnits(units, ['LoadState', 'Before', 'DropInPaths']);
  const needsNetwork = manifest.provider.type === '1password';
  const findings: HostFinding[] = [];
  for (const { name, inline } of manifest.services) {
    const unit = `${name.name}.service`;
    const properties = shown.get(unit);
    if (properties?.get('LoadState') === 'not-found') {
      findings.push(
        warning('services', `${unit} does not exist`, 'install it, or correct its name in the manifest'),
      );
    }
    for (const directory of ['/etc/systemd/system', '/run/systemd/system']) {
      const path = `${directory}/${unit}.d/${dropInName}`;
      if (existsSync(path))
        findings.push(
          error(
            'drop-ins',
            `${path} replaces the generated drop-in of ${unit}`,
            `rename it: rm or mv ${path}`,
          ),
        );
    }
    const before = properties?.get('Before')?.split(' ') ?? [];
    const cycle = early.filter(
      (target, index) => before.includes(target) && (index < 2 || (needsNetwork && !inline)),
    );
    if (cycle.length > 0) {
      const message = `${unit} comes before ${cycle.join(', ')}, which its secrets are fetched after: systemd breaks such a cycle by dropping one of them`;
      findings.push(error('ordering', message, 'give it its secrets in another way, or order it later'));
    }
  }
  return [
    ...findings,
    ...checkStanding(loaded),
    ...checkGroups(manifest),
    ...checkDirectories(manifest),
    ...checkOrphans(manifest, loaded),
  ];
}

/** What `status` finds wrong is wrong here, too; of services that are not there more is told above. */
function checkStanding(loaded: UnitTree): HostFinding[] {
  return serviceStatuses(loaded).flatMap((status) => {
    const { name, service, trouble } = status;
    if (trouble === undefined || service.state === 'missing') return [];
    if (!isStopped(status)) return [error('services', `${name}: ${trouble}`, `unit-secrets status ${name}`)];
    const message = `${name} is stopped, and could not be given its secrets before: ${trouble}`;
    return [warning('services', message, `nothing, or unit-secrets retry ${name}, which starts it`)];
  });
}

/** Whether a service is down and nobody wants it: else the fetch that has failed would be about to be tried again. */
function isStopped({ service, secrets, errors, nextStart, trouble }: ServiceStatus): boolean {
  return (
    service.state === 'inactive' &&
    secrets?.state === 'failed' &&
    nextStart === undefined &&
    errors.length === 0 &&
    trouble !== onceKeptDown(service.unit)
  );
}

/** systemd starts no unit with a group that it does not find, such as X-secrets.service. */
function checkGroups({ services }: Manifest): HostFinding[] {
  const unknown = unknownGroups(services.flatMap(({ group }) => group ?? []));
  return [...unknown].map((group) => {
    const units = services.filter((one) => one.group === group).map(({ name }) => `${name.name}.service`);
    const message = `this system has no group ${group}: the secrets of ${units.join(', ')} cannot be fetched`;
    return error('groups', message, `groupadd --system ${group}, or correct "group" in the manifest`);
  });
}

/** A runtime directory that another unit has, too, is deleted by whichever stops first. */
function checkDirectories(manifest: Manifest): HostFinding[] {
  const wanted = new Map(
    manifest.services.flatMap(({ name, runtimeDirectory }) =>
      runtimeDirectory === undefined ? [] : [[runtimeDirectory, name] as const],
    ),
  );
  if (wanted.size === 0) return [];
  const own = new Set(
    [...wanted.values()].flatMap((name) =>
      ['secrets', 'config'].map((suffix) => `${companionName(name, suffix)}.service`),
    ),
  );
  const names = [...wanted.values()].map(({ name }) => `${name}.service`);
  const listed = systemctl(['list-units', '--all', '--plain', '--no-legend', '--type=service']).stdout;
  const all = new Set(
    [...names, ...listed.split('\n').map((line) => line.split(/\s/, 1)[0] ?? '')].filter(
      (unit) => unit !== '' && !own.has(unit),
    ),
  );
  const findings: HostFinding[] = [];
  for (const [unit, properties] of showUnits([...all], ['RuntimeDirectory'])) {
    for (const directory of (properties.get('RuntimeDirectory') ?? '').split(' ')) {
      const name = wanted.get(directory.split(/[/:]/, 1)[0] ?? '');
      if (!name) continue;
      findings.push(
        error(
          'runtime directories',
          `${unit} has RuntimeDirectory=${directory}, which the secrets of ${name.name}.service have, too: the one that stops deletes it for both`,
          'name another "runtimeDirectory" in the manifest, or leave it out',
        ),
      );
    }
  }
  return findings;
}

/** Units of ours that are active and have no file any more. */
function checkOrphans(manifest: Manifest, loaded: UnitTree): HostFinding[] {
  const { stdout } = systemctl([
    'list-units',
    '--all',
    '--plain',
    '--no-legend',
    '--state=not-found',
    '*-secrets.service',
    '*-secrets@*.service',
    '*-config.service',
    '*-config@*.service',
  ]);
  const known = new Set(
    manifest.services.flatMap(({ name }) =>
      ['secrets', 'config'].map((suffix) => `${companionName(name, suffix)}.service`),
    ),
  );
  const orphans = stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([unit = '', , active]) => active === 'active' && !loaded.has(unit) && !known.has(unit))
    .map(([unit = '']) => unit);
  if (orphans.length === 0) return [];
  const message = `${orphans.join(', ')} ${orphans.length === 1 ? 'is' : 'are'} active, and nothing describes ${orphans.length === 1 ? 'it' : 'them'} any more`;
  return [warning('orphans', message, `systemctl daemon-reload, then systemctl stop ${orphans.join(' ')}`)];
}

/** Of services, nothing to say is good news. */
export const servicesOk = (manifest: Manifest): HostFinding =>
  ok('services', `${manifest.services.length} are as they must be`);
