import type { FetchSettings, ProviderSetting, Service, Token } from '../domain/manifest.ts';
import { companionName, directoryName, type ServiceName, serviceKey } from '../domain/service-name.ts';
import { hardening } from './hardening.ts';
import { dropInName, paths } from './paths.ts';
import { lineText, quoteArgument, quotePath, quoteProgram } from './syntax.ts';
import type { Setting, UnitFile } from './unit-file.ts';
import { xSecretsSection, xSetting } from './x-secrets.ts';

/** What all units share. */
export interface UnitContext {
  /** Absolute path of the program, called by the units. */
  readonly executable: string;
  readonly provider: ProviderSetting;
  readonly token: Token;
  readonly fetch: FetchSettings;
  readonly memory: 'tmpfs-noswap' | 'ramfs';
}

const documentation: Setting = ['Documentation', 'man:unit-secrets-generator(8)'];
const sourcePath: Setting = ['SourcePath', paths.manifest];
const mountUnit = 'run-unit\\x2dsecrets.mount';
const tokenUnit = 'unit-secrets-token.service';
/** What `TimeoutStartSec=` leaves for stopping a try and writing files, in seconds. */
const timeoutMargin = 30;

const seconds = (value: number): string => `${Number(value.toFixed(3))}s`;

/** The runtime directory of a service's secrets, as in `RuntimeDirectory=`, relative to /run. */
function secretsDirectory(name: ServiceName): string {
  return `unit-secrets/secrets/${directoryName(name.name)}`;
}

/**
 * `[X-Secrets]`: all that fetch mode has to know, so that what runs is what `systemctl cat` shows.
 * The marker's name is a digest of this text, hence nothing in it may vary without need.
 */
export function xSecretsSettings(service: Service, context: UnitContext): Setting[] {
  const { provider } = context;
  return [
    xSetting('Service', `${service.name.name}.service`),
    xSetting('Provider', provider.type),
    ...(provider.type === 'age-vault'
      ? [xSetting('Vault', provider.path), ...provider.identities.map((path) => xSetting('Identity', path))]
      : []),
    xSetting('Tries', String(context.fetch.tries)),
    xSetting('Timeout', String(context.fetch.timeout)),
    ...service.environment.map(([name, value]) => xSetting('Environment', `${name}=${value}`)),
  ];
}

/** `X-secrets.service`. */
export function secretsUnit(service: Service, context: UnitContext): UnitFile {
  const { name } = service;
  const vault = context.provider.type === 'age-vault' ? context.provider : undefined;
  const command = `${quoteProgram(context.executable)} fetch ${quoteArgument(serviceKey(name))}`;
  const mounts = ['/run/unit-secrets', ...(vault ? [vault.path, ...vault.identities] : [])];
  return {
    path: `${companionName(name, 'secrets')}.service`,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', `Fetch the secrets of ${name.name}.service`],
          sourcePath,
          documentation,
          ['StopWhenUnneeded', 'yes'],
          ['StartLimitIntervalSec', '0'],
          ['Wants', tokenUnit],
          ['After', tokenUnit],
          ['RequiresMountsFor', mounts.map(quotePath).join(' ')],
          ...(vault
            ? []
            : ([
                ['Wants', 'network-online.target'],
                ['After', 'network-online.target nss-lookup.target time-set.target'],
              ] as const)),
          ['OnFailure', `${companionName(name, 'retry')}.timer`],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['RemainAfterExit', 'yes'],
          ['TimeoutStartSec', seconds(context.fetch.timeout + timeoutMargin)],
          ['TimeoutStopSec', '10s'],
          ['NotifyAccess', 'main'],
          ['RuntimeDirectory', secretsDirectory(name)],
          ['RuntimeDirectoryMode', '0700'],
          ...(vault
            ? []
            : ([
                ['LoadCredential', `1password-token:${paths.token}`],
                ['BindReadOnlyPaths', '-/run/unit-secrets/token'],
              ] as const)),
          ['BindPaths', paths.queue],
          ['ExecStart', command],
          ['ExecReload', command],
        ],
        block: hardening({ jit: !vault, network: !vault, home: vault ? 'read-only' : 'yes' }),
      },
      { name: xSecretsSection, settings: xSecretsSettings(service, context) },
    ],
  };
}

/** `X-retry.timer`: starts X again after its secrets could not be fetched; stops with X. */
export function retryTimer(name: ServiceName, context: UnitContext): UnitFile {
  return {
    path: `${companionName(name, 'retry')}.timer`,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', `Start ${name.name}.service again after its secrets could not be fetched`],
          sourcePath,
          documentation,
          ['PartOf', `${name.name}.service`],
          ['StartLimitIntervalSec', '0'],
        ],
      },
      {
        name: 'Timer',
        settings: [
          ['OnActiveSec', seconds(context.fetch.retryEvery)],
          ['AccuracySec', '1s'],
          ['RemainAfterElapse', 'no'],
          ['Unit', `${name.name}.service`],
        ],
      },
    ],
  };
}

/** The drop-in of a service whose secrets can be fetched: the fail-closed chain. */
export function serviceDropIn(service: Service, marker: string): UnitFile {
  const { name } = service;
  const secrets = `${companionName(name, 'secrets')}.service`;
  const directory = `/run/${secretsDirectory(name)}`;
  return {
    path: `${name.name}.service.d/${dropInName}`,
    comments: [
      'The assertion fails while the secrets in memory are not the set that this manifest asks for: then',
      `  systemctl reload-or-restart ${secrets}`,
      'fetches it.',
    ],
    sections: [
      {
        name: 'Unit',
        settings: [
          sourcePath,
          documentation,
          ['Requires', secrets],
          ['After', secrets],
          ['AssertPathExists', `${directory}/${marker}`],
        ],
      },
      {
        name: 'Service',
        settings: service.environment.length > 0 ? [['EnvironmentFile', `${directory}/env`]] : [],
      },
    ],
  };
}

/** The units of a service that must not start: a drop-in that cannot hold and a unit that says why. */
export function brokenServiceUnits(
  name: ServiceName,
  messages: readonly string[],
  context: Pick<UnitContext, 'executable'>,
): UnitFile[] {
  const secrets = `${companionName(name, 'secrets')}.service`;
  const more = messages.length > 1 ? `; and ${messages.length - 1} more` : '';
  return [
    {
      path: `${name.name}.service.d/${dropInName}`,
      comments: [`The service is kept down: systemctl status ${secrets} says why.`],
      sections: [
        {
          name: 'Unit',
          settings: [
            sourcePath,
            documentation,
            ['Requires', secrets],
            ['After', secrets],
            // the root directory always exists: an assertion that can never hold
            ['AssertPathExists', '!/'],
          ],
        },
      ],
    },
    {
      path: secrets,
      sections: [
        {
          name: 'Unit',
          settings: [
            // here it is seen in every state: the unit may have been active before the entry broke
            ['Description', lineText(`${name.name}.service is kept down: ${messages[0] ?? ''}${more}`)],
            sourcePath,
            documentation,
            ['StopWhenUnneeded', 'yes'],
            ['StartLimitIntervalSec', '0'],
          ],
        },
        {
          name: 'Service',
          settings: [
            ['Type', 'oneshot'],
            ['RemainAfterExit', 'yes'],
            ['TimeoutStartSec', '30s'],
            ['RuntimeDirectory', secretsDirectory(name)],
            ['RuntimeDirectoryMode', '0700'],
            ['ExecStart', `${quoteProgram(context.executable)} fetch ${quoteArgument(serviceKey(name))}`],
          ],
          block: hardening({ jit: false, network: false, home: 'yes' }),
        },
        {
          name: xSecretsSection,
          settings: [
            xSetting('Service', `${name.name}.service`),
            ...messages.map((text) => xSetting('Error', text)),
          ],
        },
      ],
    },
  ];
}

/**
 * A stub for a directory that no manifest entry has any more: systemd finds the unit unneeded in that very
 * `daemon-reload`, stops it and removes the directory, while the service itself keeps running.
 */
export function orphanUnit(name: ServiceName): UnitFile {
  return {
    path: `${companionName(name, 'secrets')}.service`,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', `Wipe the secrets of ${name.name}.service, which has left the manifest`],
          sourcePath,
          documentation,
          ['StopWhenUnneeded', 'yes'],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['RemainAfterExit', 'yes'],
          ['RuntimeDirectory', secretsDirectory(name)],
          ['RuntimeDirectoryMode', '0700'],
          ['ExecStart', '/bin/false'],
        ],
      },
    ],
  };
}

/** The file system in memory for all secrets. */
export function memoryMount(context: Pick<UnitContext, 'memory'>): UnitFile {
  const noswap = context.memory === 'tmpfs-noswap';
  const options = 'mode=0711,nosuid,nodev,noexec';
  return {
    path: mountUnit,
    sections: [
      {
        name: 'Unit',
        settings: [['Description', 'Memory for the secrets of services'], sourcePath, documentation],
      },
      {
        name: 'Mount',
        settings: [
          ['What', noswap ? 'tmpfs' : 'ramfs'],
          ['Where', paths.state],
          ['Type', noswap ? 'tmpfs' : 'ramfs'],
          ['Options', noswap ? `${options},noswap,size=64M` : options],
        ],
      },
    ],
  };
}

/** The unit that opens the token for all, and makes the directory of lock and requests. */
export function tokenServiceUnit(services: readonly ServiceName[], context: UnitContext): UnitFile {
  const needsToken = context.provider.type === '1password';
  const sources = needsToken
    ? context.token.kind === 'age'
      ? [context.token.path, ...context.token.identities]
      : [context.token.path]
    : [];
  const command = `${quoteProgram(context.executable)} token open`;
  return {
    path: tokenUnit,
    sections: [
      {
        name: 'Unit',
        settings: [
          [
            'Description',
            needsToken ? 'Open the 1Password service account token' : 'Prepare for fetching secrets',
          ],
          sourcePath,
          documentation,
          ['StartLimitIntervalSec', '0'],
          ['RequiresMountsFor', ['/run/unit-secrets', ...sources].map(quotePath).join(' ')],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['RemainAfterExit', 'yes'],
          ['TimeoutStartSec', '10s'],
          ['TimeoutStopSec', '10s'],
          ['RuntimeDirectory', 'unit-secrets/token unit-secrets/queue'],
          ['RuntimeDirectoryMode', '0700'],
          ['RuntimeDirectoryPreserve', 'yes'],
          ['StateDirectory', 'unit-secrets'],
          ['ExecStart', command],
          ['ExecReload', command],
          // the directories are kept, so that requests can wait; the token is not
          ['ExecStopPost', `${quoteProgram(context.executable)} token wipe`],
        ],
        block: hardening({ jit: false, network: false, home: 'read-only' }),
      },
      {
        name: xSecretsSection,
        settings: [
          xSetting('Provider', context.provider.type),
          ...(needsToken
            ? [
                xSetting(context.token.kind === 'age' ? 'TokenAge' : 'TokenFile', context.token.path),
                ...(context.token.kind === 'age'
                  ? context.token.identities.map((p) => xSetting('Identity', p))
                  : []),
              ]
            : []),
          ...services.map((name) => xSetting('KnownService', `${name.name}.service`)),
        ],
      },
    ],
  };
}

/** The unit that fails with what is wrong with the manifest as a whole, so that `systemctl --failed` shows it. */
export function manifestUnit(
  messages: readonly string[],
  context: Pick<UnitContext, 'executable'>,
): UnitFile {
  return {
    path: 'unit-secrets-manifest.service',
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', `Report errors in ${lineText(paths.manifest)}`],
          sourcePath,
          documentation,
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['TimeoutStartSec', '30s'],
          ['ExecStart', `${quoteProgram(context.executable)} fetch --manifest`],
        ],
        block: hardening({ jit: false, network: false, home: 'yes', hideSecrets: false }),
      },
      { name: xSecretsSection, settings: messages.map((text) => xSetting('Error', text)) },
    ],
  };
}
