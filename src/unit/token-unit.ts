import type { Token } from '../domain/manifest.ts';
import type { ServiceName } from '../domain/service-name.ts';
import { command, origin, pathList, sources, tokenUnitName } from './common.ts';
import type { UnitContext } from './context.ts';
import { hardening, tightest } from './hardening.ts';
import { paths } from './paths.ts';
import { escapeSpecifiers } from './syntax.ts';
import type { Setting, UnitFile } from './unit-file.ts';
import { xSecretsSection, xSetting } from './x-secrets.ts';

/** On a disk, so that a boot at which the manifest cannot be read knows what it was about. */
const listDirectory = paths.serviceList.slice(0, paths.serviceList.lastIndexOf('/'));

/**
 * The unit that opens the token for all, and makes the directory of lock and requests.
 *
 * @param needed false where there is no manifest any more: then the token is wiped by the next `daemon-reload`
 */
export function tokenUnit(services: readonly ServiceName[], context: UnitContext, needed = true): UnitFile {
  const token = context.provider.type === '1password' ? context.token : undefined;
  const open = command(context, 'token', 'open');
  const credential: readonly Setting[] =
    token?.kind === 'credential'
      ? [['LoadCredentialEncrypted', escapeSpecifiers(`${token.id}:${credentialPath(token.id)}`)]]
      : [];
  return {
    path: tokenUnitName,
    source: paths.manifest,
    sections: [
      {
        name: 'Unit',
        settings: [
          [
            'Description',
            token ? 'Open the 1Password service account token' : 'Prepare for fetching secrets',
          ],
          ...origin(paths.manifest),
          ...(needed ? [] : [['StopWhenUnneeded', 'yes'] as const]),
          ['StartLimitIntervalSec', '0'],
          ['RequiresMountsFor', pathList([paths.state, listDirectory, ...(token ? sourcesOf(token) : [])])],
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
          // not StateDirectory=: where the disk cannot be written to, services shall have their secrets all the same
          ['ExecStartPre', `-+mkdir -p -m 0755 -- ${listDirectory}`],
          ['ReadWritePaths', `-${listDirectory}`],
          ...credential,
          ...sources(token && token.kind !== 'credential' ? sourcesOf(token) : []),
          ['ExecStart', open],
          ['ExecReload', open],
          // the directories are kept, so that requests can wait; the token is not
          ['ExecStopPost', command(context, 'token', 'wipe')],
        ],
        block: hardening({ ...tightest, home: 'read-only' }, context),
      },
      {
        name: xSecretsSection,
        settings: [
          xSetting('Provider', context.provider.type),
          ...(token ? tokenSettings(token) : []),
          ...services.map((name) => xSetting('KnownService', `${name.name}.service`)),
        ],
      },
    ],
  };
}

const credentialPath = (id: string): string => `/etc/credstore.encrypted/${id}`;

function sourcesOf(token: Token): readonly string[] {
  if (token.kind === 'age') return [token.path, ...token.identities];
  return [token.kind === 'file' ? token.path : credentialPath(token.id)];
}

function tokenSettings(token: Token): Setting[] {
  if (token.kind === 'file') return [xSetting('TokenFile', token.path)];
  if (token.kind === 'credential') return [xSetting('TokenCredential', token.id)];
  return [xSetting('TokenAge', token.path), ...token.identities.map((path) => xSetting('Identity', path))];
}
