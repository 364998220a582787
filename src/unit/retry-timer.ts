import type { ServiceName } from '../domain/service-name.ts';
import { origin, seconds, unitName } from './common.ts';
import type { UnitContext } from './context.ts';
import type { UnitFile } from './unit-file.ts';
import { onlyWhileWanted } from './wanted-target.ts';

/**
 * `X-retry.timer`: starts X again after its secrets could not be fetched, if it is still wanted; stops with X.
 *
 * @param starts what it starts, if not X itself
 */
export function retryTimer(
  name: ServiceName,
  file: string,
  context: UnitContext,
  starts = `${name.name}.service`,
): UnitFile {
  // by index: to spread short lists costs more than all the rest, in a program that runs for 10 ms
  const from = origin(file);
  return {
    path: unitName(name, 'retry'),
    source: file,
    sections: [
      {
        name: 'Unit',
        settings: [
          ['Description', `Start ${name.name}.service again after its secrets could not be fetched`],
          from[0],
          from[1],
          ['PartOf', `${name.name}.service`],
          ...onlyWhileWanted(name),
          ['StartLimitIntervalSec', '0'],
        ],
      },
      {
        name: 'Timer',
        settings: [
          ['OnActiveSec', seconds(context.fetch.retryEvery)],
          ['AccuracySec', '1s'],
          ['RemainAfterElapse', 'no'],
          ['Unit', starts],
        ],
      },
    ],
  };
}
