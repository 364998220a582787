import { origin } from './common.ts';
import type { Machine } from './context.ts';
import { paths } from './paths.ts';
import type { UnitFile } from './unit-file.ts';

/** The file system in memory for all secrets. */
export function memoryMount({ memory }: Pick<Machine, 'memory'>): UnitFile {
  const noswap = memory === 'tmpfs-noswap';
  const options = 'mode=0711,nosuid,nodev,noexec';
  return {
    path: 'run-unit\\x2dsecrets.mount',
    source: paths.manifest,
    sections: [
      {
        name: 'Unit',
        settings: [['Description', 'Memory for the secrets of services'], ...origin(paths.manifest)],
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
