import type { ServiceName } from '../domain/service-name.ts';
import { configDirectory, origin, secretsDirectory, unitName } from './common.ts';
import type { UnitContext } from './context.ts';
import { hardening, tightest } from './hardening.ts';
import { paths } from './paths.ts';
import type { UnitFile } from './unit-file.ts';

/**
 * A stub for a directory that no manifest entry fills any more: systemd finds the unit unneeded in that very
 * `daemon-reload`, stops it and removes the directory, while the service itself keeps running.
 *
 * @param formerDirectories other directories below /run that go with it
 */
export function orphanUnit(
  name: ServiceName,
  what: 'secrets' | 'config',
  formerDirectories: readonly string[],
  context: UnitContext,
): UnitFile {
  const directory = what === 'secrets' ? secretsDirectory(name) : configDirectory(name);
  const kind = what === 'secrets' ? 'secrets' : 'configuration';
  return {
    path: unitName(name, what),
    source: paths.manifest,
    sections: [
      {
        name: 'Unit',
        settings: [
          [
            'Description',
            `Wipe the ${kind} of ${name.name}.service, for which the manifest has none any more`,
          ],
          ...origin(paths.manifest),
          ['StopWhenUnneeded', 'yes'],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['RemainAfterExit', 'yes'],
          ['RuntimeDirectory', [directory, ...formerDirectories].join(' ')],
          ['RuntimeDirectoryMode', '0700'],
          ['ExecStart', '/bin/false'],
        ],
        block: hardening(tightest, context),
      },
    ],
  };
}
