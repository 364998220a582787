import type { BrokenEntry, NamedValue, Service, SshKeys } from '../domain/manifest.ts';
import { command, origin, secretsDirectory, unitName } from './common.ts';
import type { UnitContext } from './context.ts';
import { hardening, tightest } from './hardening.ts';
import { escapeSpecifiers, quoteArgument } from './syntax.ts';
import type { Setting, UnitFile } from './unit-file.ts';
import { makesWanted } from './wanted-target.ts';

/** How long sshd may have to wait for keys, all in all, in seconds; and what of it the fetch itself may take. */
export const sshKeyTimeouts = { start: 28, fetch: 25 } as const;

/** What wants a user's keys: never sshd the other way round, which must come up without them. */
const wantedBy = ['multi-user.target', 'ssh.service', 'sshd.service'];

/** A user's keys as the service that they are fetched for: `ssh-key-setup@U`, with credentials. */
export function sshKeyService(keys: SshKeys): Service {
  const credentials: NamedValue[] = [];
  if (keys.privateKey !== undefined) credentials.push(['private-key', keys.privateKey]);
  if (keys.publicKey !== undefined) credentials.push(['public-key', keys.publicKey]);
  const { name, file } = keys;
  return { name, file, environment: [], credentials, files: [], configs: [], inline: false };
}

/** `ssh-key-setup@U.service`: runs as U, so that no link in U's home leads it anywhere that U could not go. */
export function sshKeyUnit(keys: SshKeys, marker: string, context: UnitContext): UnitFile {
  const { name, user, authorize, keyFile } = keys;
  const state = `/run/${secretsDirectory(name)}`;
  const install = command(
    context,
    'install-keys',
    ...(authorize ? ['--authorize'] : []),
    ...(keyFile === undefined ? [] : [`--file=${keyFile}`]),
    user,
  );
  return setupUnit(
    keys,
    [
      ['OnFailure', unitName(name, 'retry')],
      ...makesWanted(name),
      ['AssertPathExists', `${state}/${marker}`],
    ],
    [
      ['User', escapeSpecifiers(user)],
      ...sshKeyService(keys).credentials.map(
        ([id]) => ['LoadCredential', `${id}:${state}/credentials/${id}`] as const,
      ),
      ['ExecStart', install],
    ],
    hardening({ ...tightest, home: 'no' }, context),
  );
}

/** The name of the unit below, which the retry timer starts instead of the setup. */
export function sshKeyRetryName({ name }: Pick<SshKeys, 'name'>): string {
  return unitName(name, 'retry').replace(/\.timer$/, '.service');
}

/**
 * `ssh-key-setup-retry@U.service`: starts the setup again once the keys could be fetched. Whatever starts
 * the setup holds up a start of sshd; retries that started it at once, of several users in turn, would do so
 * for as long as the provider cannot be reached. This one waits for the keys instead, and sshd not for it.
 *
 * It is done before the setup begins, which is ordered after it: a setup that fails starts the retry timer,
 * and a timer that still waits for what it has triggered would not be started.
 */
export function sshKeyRetryUnit(keys: SshKeys, context: UnitContext): UnitFile {
  const { name, file } = keys;
  const secrets = unitName(name, 'secrets');
  return {
    path: sshKeyRetryName(keys),
    source: file,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', `Start ${name.name}.service again when the keys can be fetched`],
          ...origin(file),
          ['StartLimitIntervalSec', '0'],
          ['Requires', secrets],
          ['After', secrets],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['TimeoutStartSec', '1min'],
          ['TimeoutStopSec', '10s'],
          // without a path: systemd knows where its own programs are
          ['ExecStart', `systemctl --no-block start ${quoteArgument(`${name.name}.service`)}`],
        ],
        block: hardening({ ...tightest, asksSystemd: true }, context),
      },
    ],
  };
}

/** `ssh-key-setup@U.service` for an entry with an error: its secrets unit fails with the reason, and so does it. */
export function brokenSshKeyUnit(
  entry: BrokenEntry & { readonly user: string },
  context: UnitContext,
): UnitFile {
  const block = hardening(tightest, context);
  return setupUnit(entry, [['AssertPathExists', '!/']], [['ExecStart', '/bin/false']], block);
}

function setupUnit(
  { name, user, file }: Pick<SshKeys, 'name' | 'user' | 'file'>,
  unit: readonly Setting[],
  service: readonly Setting[],
  block: string,
): UnitFile {
  const secrets = unitName(name, 'secrets');
  return {
    path: `${name.name}.service`,
    source: file,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', escapeSpecifiers(`Put the SSH keys of ${user} in place`)],
          ...origin(file),
          ['StartLimitIntervalSec', '0'],
          ['Requires', secrets],
          ['After', `${secrets} ${sshKeyRetryName({ name })} remote-fs.target nss-user-lookup.target`],
          ['Before', 'sshd.service ssh.service'],
          ...unit,
        ],
      },
      {
        name: 'Service',
        settings: [['Type', 'oneshot'], ['TimeoutStartSec', '30s'], ['TimeoutStopSec', '10s'], ...service],
        block,
      },
    ],
  };
}

/** The links by which a user's keys are set up at boot. */
export function sshKeyLinks(unit: string): { readonly path: string; readonly target: string }[] {
  return wantedBy.map((wanting) => ({ path: `${wanting}.wants/${unit}`, target: `../${unit}` }));
}
