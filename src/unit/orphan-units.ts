import type { ServiceName } from '../domain/service-name.ts';
import { configDirectory, origin, secretsDirectory, unitName } from './common.ts';
import type { UnitContext } from './context.ts';
import { hardening, tightest } from './hardening.ts';
import { paths } from './paths.ts';
import { inlineWipeName } from './service-drop-in.ts';
import type { UnitTree } from './unit-changes.ts';
import type { UnitFile } from './unit-file.ts';
import { xSecretsText } from './x-secrets.ts';

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

const stub =
  /^Description=Wipe the (?:secrets|configuration) of .*, for which the manifest has none any more$/m;

/**
 * Units as if everything had been wiped that no entry fills any more: the stubs, and what is there for them alone, go
 * by themselves in the next `daemon-reload`, which is no change that anybody made.
 */
export function withoutStubs(tree: UnitTree): UnitTree {
  const rest = new Map(
    [...tree].filter(([path, content]) => !stub.test(content) && !path.endsWith(`/${inlineWipeName}`)),
  );
  const shared = /^(?:run-unit|unit-secrets-(?:token|wanted))/;
  const isNeeded = [...rest].some(([path, content]) => !shared.test(path) && xSecretsText(content) !== '');
  return isNeeded ? rest : new Map([...rest].filter(([path]) => !shared.test(path)));
}
