import type { Service } from '../domain/manifest.ts';
import { type ServiceName, serviceKey } from '../domain/service-name.ts';
import { command, configDirectory, origin, pathList, secretsDirectory, sources, unitName } from './common.ts';
import type { UnitContext } from './context.ts';
import { hardening, tightest } from './hardening.ts';
import { paths } from './paths.ts';
import type { UnitFile } from './unit-file.ts';

/** The directories that X-config.service owns, relative to /run; the first one has its marker. */
function configDirectories({ name, runtimeDirectory }: Service): string[] {
  return [configDirectory(name), ...(runtimeDirectory === undefined ? [] : [`${runtimeDirectory}/config`])];
}

/** Where a service's rendered files are, absolute. */
export function renderedDirectory(service: Service): string {
  return `/run/${configDirectories(service).at(-1) ?? ''}`;
}

/**
 * `X-config.service`: renders templates; it sees nothing but X's secrets, and no network.
 *
 * @param marker what tells that the secrets that it is to render are complete
 * @param renewal the unit that renews secrets of another edition of the entry, where there are such
 */
export function configUnit(
  service: Service,
  context: UnitContext,
  marker: string,
  renewal?: string,
): UnitFile {
  const { name, group } = service;
  const secrets = unitName(name, 'secrets');
  const render = command(context, 'render', serviceKey(name));
  return {
    path: unitName(name, 'config'),
    source: service.file,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', `Render the configuration of ${name.name}.service`],
          ...origin(service.file),
          ['StopWhenUnneeded', 'yes'],
          ['StartLimitIntervalSec', '0'],
          ['Requires', secrets],
          ['After', [secrets, ...(renewal === undefined ? [] : [renewal])].join(' ')],
          ['RequiresMountsFor', pathList([paths.state, ...service.configs.map(({ template }) => template)])],
          // a fetch that was skipped counts as one that succeeded
          ['AssertPathExists', `/run/${secretsDirectory(name)}/${marker}`],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['RemainAfterExit', 'yes'],
          ['TimeoutStartSec', '30s'],
          ['TimeoutStopSec', '10s'],
          ...(group === undefined ? [] : [['Group', group] as const]),
          ['RuntimeDirectory', configDirectories(service).join(' ')],
          ['RuntimeDirectoryMode', group === undefined ? '0700' : '0750'],
          ['BindReadOnlyPaths', `/run/${secretsDirectory(name)}`],
          ...sources(service.configs.map(({ template }) => template)),
          ['ExecStart', render],
          ['ExecReload', render],
        ],
        block: hardening(
          { ...tightest, home: 'read-only', umask: group === undefined ? '0077' : '0027' },
          context,
          [service.runtimeDirectory],
        ),
      },
    ],
  };
}

/**
 * `X-config.service` for an entry with an error: nothing is rendered any more, but what a running service
 * has stays until it stops.
 */
export function heldConfigUnit(name: ServiceName, file: string, context: UnitContext): UnitFile {
  return {
    path: unitName(name, 'config'),
    source: file,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', `Keep the configuration of ${name.name}.service, whose entry has an error`],
          ...origin(file),
          ['StopWhenUnneeded', 'yes'],
          ['Requires', unitName(name, 'secrets')],
          ['After', unitName(name, 'secrets')],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['RemainAfterExit', 'yes'],
          ['RuntimeDirectory', configDirectory(name)],
          ['RuntimeDirectoryMode', '0700'],
          ['ExecStart', '/bin/false'],
        ],
        block: hardening(tightest, context),
      },
    ],
  };
}
