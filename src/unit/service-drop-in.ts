import type { Service } from '../domain/manifest.ts';
import { serviceKey } from '../domain/service-name.ts';
import {
  command,
  configDirectory,
  inlineDirectory,
  networkOrdering,
  origin,
  secretsDirectory,
  tokenUnitName,
  unitName,
} from './common.ts';
import { renderedDirectory } from './config-unit.ts';
import type { UnitContext } from './context.ts';
import { dropInName, paths } from './paths.ts';
import type { Setting, UnitFile } from './unit-file.ts';
import { makesWanted } from './wanted-target.ts';
import { xSecretsSection } from './x-secrets.ts';
import { xSecretsSettings } from './x-secrets-settings.ts';

/**
 * The drop-in of a service whose secrets can be fetched: the fail-closed chain.
 *
 * @param renewal the unit that renews secrets of another edition of the entry, where there are such
 */
export function serviceDropIn(service: Service, marker: string, renewal?: string): UnitFile {
  const { name, configs } = service;
  const secrets = unitName(name, 'secrets');
  let chain = secrets;
  if (renewal !== undefined) chain += ` ${renewal}`;
  if (configs.length > 0) chain += ` ${unitName(name, 'config')}`;
  const state = `/run/${secretsDirectory(name)}`;
  const from = origin(service.file);
  const unit: Setting[] = [
    from[0],
    from[1],
    ['Requires', chain],
    ['After', chain],
    ...makesWanted(name),
    ['AssertPathExists', `${state}/${marker}`],
  ];
  if (configs.length > 0) unit.push(['AssertPathExists', `/run/${configDirectory(name)}/${marker}`]);
  return {
    path: `${name.name}.service.d/${dropInName}`,
    source: service.file,
    comments: [
      'The assertion fails while the secrets in memory are not the set that this manifest asks for: then',
      `  systemctl reload-or-restart ${secrets}`,
      'fetches it.',
    ],
    sections: [
      {
        name: 'Unit',
        settings: unit,
      },
      { name: 'Service', settings: handedOver(service, state) },
    ],
  };
}

/** How the service gets what was fetched for it. */
function handedOver(service: Service, state: string): Setting[] {
  const { environment, credentials, files, configs, runtimeDirectory } = service;
  // for people and programs that look there, environment and files are in a directory of the service's name
  const directory = runtimeDirectory === undefined ? state : `/run/${runtimeDirectory}`;
  const settings: Setting[] = [];
  if (environment.length > 0) settings.push(['EnvironmentFile', `${directory}/env`]);
  for (const [id] of credentials) settings.push(['LoadCredential', `${id}:${state}/credentials/${id}`]);
  const give = (from: string, list: readonly { readonly name: string; readonly credential: boolean }[]) => {
    for (const { name, credential } of list)
      if (credential) settings.push(['LoadCredential', `${name}:${from}/${name}`]);
  };
  give(`${directory}/files`, files);
  if (configs.length > 0) give(renderedDirectory(service), configs);
  return settings;
}

/** The drop-in of a service that fetches its secrets itself, in its own context. */
export function inlineDropIn(service: Service, context: UnitContext): UnitFile {
  const { name } = service;
  const directory = inlineDirectory(name);
  return {
    path: `${name.name}.service.d/${dropInName}`,
    source: service.file,
    sections: [
      {
        name: 'Unit',
        settings: [
          ...origin(service.file),
          ['Wants', tokenUnitName],
          ['After', tokenUnitName],
          ['RequiresMountsFor', paths.state],
          ...networkOrdering,
        ],
      },
      {
        name: 'Service',
        settings: [
          ['LoadCredential', `1password-token:${paths.token}`],
          ['RuntimeDirectory', directory],
          // what X keeps over a restart would be kept outside of our memory, and over its stop
          ['RuntimeDirectoryPreserve', 'no'],
          ['ExecStartPre', command(context, 'fetch', '--inline', serviceKey(name))],
          // read anew for each command: there is none yet when the one above begins
          ['EnvironmentFile', `-/run/${directory}/env`],
          // once it is there: systemd reads it as root, and X, whose directory this is, could replace it by a link or a pipe
          ['ReadOnlyPaths', `-/run/${directory}/env`],
          ['Environment', `UNIT_SECRETS_DIRECTORY=/run/${directory}`],
        ],
      },
      { name: xSecretsSection, settings: xSecretsSettings(service, context) },
    ],
  };
}

/** The name of the drop-in of a service that fetched for itself and is to be wiped when it stops. */
export const inlineWipeName = '49-unit-secrets-wipe.conf';

/**
 * For a service that runs with secrets which it fetched itself, by an entry that is no more: its own units
 * do not own their directory now, so it is made one of its runtime directories, which systemd removes when it stops.
 * Until then its commands have them: the entry may have gone between its fetch and its main process.
 *
 * @param directory its name below /run/unit-secrets/inline
 */
export function inlineWipe(unit: string, directory: string): UnitFile {
  const path = `${paths.inline}/${directory}`;
  return {
    path: `${unit}.d/${inlineWipeName}`,
    source: paths.manifest,
    sections: [
      {
        name: 'Service',
        settings: [
          // no command of root's: it would have the service's environment, LD_PRELOAD= and all
          ['RuntimeDirectory', `${paths.inline.slice('/run/'.length)}/${directory}`],
          ['RuntimeDirectoryPreserve', 'no'],
          ['EnvironmentFile', `-${path}/env`],
          ['ReadOnlyPaths', `-${path}/env`],
          ['Environment', `UNIT_SECRETS_DIRECTORY=${path}`],
        ],
      },
    ],
  };
}
