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
import { noTokenText, paths } from './paths.ts';
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

const tokenCredential: Setting = ['LoadCredential', `1password-token:${paths.token}`];
/** What systemd takes where there is no token: else it would not start the fetch, which can tell why. */
const noToken: Setting = ['SetCredential', `1password-token:${noTokenText}`];
/** Many may wait for one at boot: the engine is not to prepare memory that none of them needs (docs/decisions/0005). */
const leanEngine: Setting = ['Environment', 'BUN_JSC_useWarmUpMarkedBlocks=0 BUN_JSC_numberOfGCMarkers=1'];
const tokenPath: Setting = ['BindReadOnlyPaths', '-/run/unit-secrets/token'];

/** `X-secrets.service`. */
export function secretsUnit(
  service: Service,
  context: UnitContext,
  { formerDirectories, early }: FetchOptions,
): UnitFile {
  const { name, group, runtimeDirectory, configs } = service;
  const vault = context.provider.type === 'age-vault' ? context.provider : undefined;
  const fetch = command(context, 'fetch', serviceKey(name));
  let directories = secretsDirectory(name);
  if (runtimeDirectory !== undefined) directories += ` ${runtimeDirectory}`;
  for (const former of formerDirectories) if (former !== runtimeDirectory) directories += ` ${former}`;

  // pushed one by one: to spread short lists costs more than all the rest, in a program that runs for 10 ms
  const from = origin(service.file);
  const unit: Setting[] = [
    ['Description', `Fetch the secrets of ${name.name}.service`],
    from[0],
    from[1],
    ['StopWhenUnneeded', 'yes'],
    ['StartLimitIntervalSec', '0'],
    ['Wants', tokenUnitName],
    ['After', tokenUnitName],
    ['RequiresMountsFor', mountsOf(service, context)],
  ];
  if (!vault && !early) unit.push(...networkOrdering);
  unit.push(['OnFailure', unitName(name, 'retry')]);
  if (configs.length > 0) unit.push(['PropagatesReloadTo', unitName(name, 'config')]);

  const settings: Setting[] = [
    ['Type', 'oneshot'],
    ['RemainAfterExit', 'yes'],
    ['TimeoutStartSec', seconds(early?.timeoutStart ?? context.fetch.timeout + timeoutMargin)],
    ['TimeoutStopSec', '10s'],
    ['NotifyAccess', 'main'],
  ];
  if (group !== undefined) settings.push(['Group', group]);
  settings.push(['RuntimeDirectory', directories]);
  settings.push(['RuntimeDirectoryMode', group === undefined ? '0700' : '0710']);
  if (!vault) settings.push(tokenCredential, noToken, tokenPath, leanEngine);
  const files = vault ? [vault.path, ...vault.identities] : [];
  for (const { template } of configs) files.push(template);
  if (files.length > 0) settings.push(...sources(files));
  // if somebody has removed it, the fetch is started all the same, and tells
  settings.push(['BindPaths', `-${paths.queue}`], ['ExecStart', fetch], ['ExecReload', fetch]);
  return {
    path: unitName(name, 'secrets'),
    source: service.file,
    sections: [
      {
        name: 'Unit',
        settings: unit,
      },
      {
        name: 'Service',
        settings,
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

/** What a fetch reads: the vault, templates, and the memory that it writes to. */
function mountsOf({ configs }: Service, { provider }: UnitContext): string {
  if (provider.type === '1password' && configs.length === 0) return paths.state;
  return pathList([
    paths.state,
    ...(provider.type === 'age-vault' ? [provider.path, ...provider.identities] : []),
    ...configs.map(({ template }) => template),
  ]);
}
