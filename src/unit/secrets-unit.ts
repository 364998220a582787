import type { Service } from '../domain/manifest.ts';
import { serviceKey } from '../domain/service-name.ts';
import {
  command,
  networkOrdering,
  origin,
  pathList,
  seconds,
  secretsDirectory,
  sources,
  tokenUnitName,
  unitName,
} from './common.ts';
import type { UnitContext } from './context.ts';
import { hardening } from './hardening.ts';
import { paths } from './paths.ts';
import type { Setting, UnitFile } from './unit-file.ts';
import { xSecretsSection } from './x-secrets.ts';
import { xSecretsSettings } from './x-secrets-settings.ts';

/** What `TimeoutStartSec=` leaves for stopping a try and writing files, in seconds. */
const timeoutMargin = 30;

/** How a unit that fetches differs from the others. */
export interface FetchOptions {
  /** Directories below /run that earlier editions of the entry had: they are wiped with the others. */
  readonly formerDirectories: readonly string[];
  /** Does not wait for network and clock, as something that must come up waits for it. */
  readonly early?: { readonly timeoutStart: number };
}

/** `X-secrets.service`. */
export function secretsUnit(
  service: Service,
  context: UnitContext,
  { formerDirectories, early }: FetchOptions,
): UnitFile {
  const { name, group, runtimeDirectory, configs } = service;
  const vault = context.provider.type === 'age-vault' ? context.provider : undefined;
  const fetch = command(context, 'fetch', serviceKey(name));
  const ordering: readonly Setting[] = vault || early ? [] : networkOrdering;
  const token: readonly Setting[] = vault
    ? []
    : [
        ['LoadCredential', `1password-token:${paths.token}`],
        ['BindReadOnlyPaths', '-/run/unit-secrets/token'],
      ];
  const directories = [
    secretsDirectory(name),
    ...(runtimeDirectory === undefined ? [] : [runtimeDirectory]),
    ...formerDirectories.filter((directory) => directory !== runtimeDirectory),
  ];
  return {
    path: unitName(name, 'secrets'),
    source: service.file,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', `Fetch the secrets of ${name.name}.service`],
          ...origin(service.file),
          ['StopWhenUnneeded', 'yes'],
          ['StartLimitIntervalSec', '0'],
          ['Wants', tokenUnitName],
          ['After', tokenUnitName],
          [
            'RequiresMountsFor',
            pathList([
              paths.state,
              ...(vault ? [vault.path, ...vault.identities] : []),
              ...configs.map(({ template }) => template),
            ]),
          ],
          ...ordering,
          ['OnFailure', unitName(name, 'retry')],
          ...(configs.length > 0 ? [['PropagatesReloadTo', unitName(name, 'config')] as const] : []),
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['RemainAfterExit', 'yes'],
          ['TimeoutStartSec', seconds(early?.timeoutStart ?? context.fetch.timeout + timeoutMargin)],
          ['TimeoutStopSec', '10s'],
          ['NotifyAccess', 'main'],
          ...(group === undefined ? [] : [['Group', group] as const]),
          ['RuntimeDirectory', directories.join(' ')],
          ['RuntimeDirectoryMode', group === undefined ? '0700' : '0710'],
          ...token,
          ...sources([
            ...(vault ? [vault.path, ...vault.identities] : []),
            ...configs.map(({ template }) => template),
          ]),
          ['BindPaths', paths.queue],
          ['ExecStart', fetch],
          ['ExecReload', fetch],
        ],
        block: hardening(
          {
            jit: !vault,
            network: !vault,
            // a vault or a template may lie in somebody's checkout
            home: vault || configs.length > 0 ? 'read-only' : 'yes',
            umask: group === undefined ? '0077' : '0027',
          },
          context,
          [runtimeDirectory, ...formerDirectories],
        ),
      },
      { name: xSecretsSection, settings: xSecretsSettings(service, context) },
    ],
  };
}
