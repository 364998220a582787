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
import { quoteArgument } from './syntax.ts';
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
  const chain = [
    secrets,
    ...(renewal === undefined ? [] : [renewal]),
    ...(configs.length > 0 ? [unitName(name, 'config')] : []),
  ].join(' ');
  const state = `/run/${secretsDirectory(name)}`;
  const assertions: readonly Setting[] = [
    ['AssertPathExists', `${state}/${marker}`],
    ...(configs.length > 0 ? [['AssertPathExists', `/run/${configDirectory(name)}/${marker}`] as const] : []),
  ];
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
        settings: [
          ...origin(service.file),
          ['Requires', chain],
          ['After', chain],
          ...makesWanted(name),
          ...assertions,
        ],
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
  const given = (from: string) => (file: { readonly name: string; readonly credential: boolean }) =>
    file.credential ? [['LoadCredential', `${file.name}:${from}/${file.name}`] as const] : [];
  return [
    ...(environment.length > 0 ? [['EnvironmentFile', `${directory}/env`] as const] : []),
    ...credentials.map(([id]) => ['LoadCredential', `${id}:${state}/credentials/${id}`] as const),
    ...files.flatMap(given(`${directory}/files`)),
    ...configs.flatMap(given(renderedDirectory(service))),
  ];
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
          ['ExecStartPre', command(context, 'fetch', '--inline', serviceKey(name))],
          // read anew for each command: there is none yet when the one above begins
          ['EnvironmentFile', `-/run/${directory}/env`],
          ['Environment', `UNIT_SECRETS_DIRECTORY=/run/${directory}`],
        ],
      },
      { name: xSecretsSection, settings: xSecretsSettings(service, context) },
    ],
  };
}

/**
 * For a service that runs with secrets which it fetched itself, by an entry that is no more: its own units
 * do not own their directory now, so its end must wipe it.
 *
 * @param directory its name below /run/unit-secrets/inline
 */
export function inlineWipe(unit: string, directory: string): UnitFile {
  return {
    path: `${unit}.d/49-unit-secrets-wipe.conf`,
    source: paths.manifest,
    sections: [
      {
        name: 'Service',
        settings: [['ExecStopPost', `-+rm -rf -- ${quoteArgument(`${paths.inline}/${directory}`)}`]],
      },
    ],
  };
}
