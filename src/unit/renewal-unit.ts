import type { ServiceName } from '../domain/service-name.ts';
import { origin, seconds, secretsDirectory, unitName } from './common.ts';
import type { UnitContext } from './context.ts';
import { hardening, tightest } from './hardening.ts';
import { quoteArgument } from './syntax.ts';
import type { UnitTree } from './unit-changes.ts';
import type { UnitFile } from './unit-file.ts';

const prefix = 'unit-secrets-renew@';
/** As the drop-in of the service names it, in a list. */
const required = / unit-secrets-renew@\S+/g;
/** systemd.unit(5), NAME_MAX. */
const longestName = 255 - `${prefix}.service`.length;

/**
 * What renews the secrets of X before its next start, where those in memory are of another edition of its
 * entry; undefined for a name that leaves no room for it: such a service waits for a reload of X-secrets.
 */
export function renewalName({ name }: ServiceName): string | undefined {
  return name.length > longestName ? undefined : `${prefix}${name}.service`;
}

/**
 * `unit-secrets-renew@X.service`: X requires it from the `daemon-reload` that brings an edited entry to the
 * next one. It reloads X-secrets.service, unless that has been done since.
 */
export function renewalUnit(
  path: string,
  { name, file }: { readonly name: ServiceName; readonly file: string },
  marker: string,
  context: UnitContext,
): UnitFile {
  const secrets = unitName(name, 'secrets');
  return {
    path,
    source: file,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', `Renew the secrets of ${name.name}.service, whose entry was edited`],
          ...origin(file),
          ['StartLimitIntervalSec', '0'],
          // when this fails, systemd finds the old set unneeded, and wipes it
          ['Requires', secrets],
          ['After', secrets],
          ['OnFailure', unitName(name, 'retry')],
          ['ConditionPathExists', `!/run/${secretsDirectory(name)}/${marker}`],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          // a fetch, with what systemd takes to end it
          ['TimeoutStartSec', seconds(context.fetch.timeout + 60)],
          // asking systemd takes a privilege that nothing else in a sandbox of ours has
          ['ExecStart', `+systemctl reload ${quoteArgument(secrets)}`],
        ],
        block: hardening(tightest, context),
      },
    ],
  };
}

/**
 * Units as if no renewal were due: whether one is depends on what is in memory, and is no change that anybody
 * made.
 */
export function withoutRenewals(tree: UnitTree): UnitTree {
  const rest = new Map<string, string>();
  for (const [path, content] of tree) {
    if (!path.startsWith(prefix)) rest.set(path, content.replace(required, ''));
  }
  return rest;
}
