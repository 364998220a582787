import type { ServiceName } from '../domain/service-name.ts';
import { origin } from './common.ts';
import { paths } from './paths.ts';
import type { Setting, UnitFile } from './unit-file.ts';

const template = 'unit-secrets-wanted@';
/** systemd.unit(5), NAME_MAX: what is longer is tried again even if nobody wants it any more. */
const longestName = 255 - `${template}.target`.length;

/**
 * `unit-secrets-wanted@X.target` is active from the start of X, be it still waiting for its secrets, until
 * X is stopped, or ends, and no retry is pending: that is what tells whether a fetch that failed is to be
 * tried again. One template for all services.
 */
export function wantedTarget(): UnitFile {
  return {
    path: `${template}.target`,
    source: paths.manifest,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', '%i.service is wanted'],
          ...origin(paths.manifest),
          ['PartOf', '%i.service'],
          ['StopWhenUnneeded', 'yes'],
          // by default a target comes after what it is part of on older versions, which closes a cycle
          ['DefaultDependencies', 'no'],
          ['Conflicts', 'shutdown.target'],
          ['Before', 'shutdown.target'],
        ],
      },
    ],
  };
}

/** For X: its start makes X wanted. */
export function makesWanted(name: ServiceName): readonly Setting[] {
  return fits(name) ? [['Wants', targetOf(name)]] : [];
}

/** For what is to be started only while X is wanted, and which keeps X wanted as long as it is active. */
export function onlyWhileWanted(name: ServiceName): readonly Setting[] {
  if (!fits(name)) return [];
  return [
    ['Requisite', targetOf(name)],
    ['After', targetOf(name)],
  ];
}

const targetOf = ({ name }: ServiceName): string => `${template}${name}.target`;
const fits = ({ name }: ServiceName): boolean => name.length <= longestName;
