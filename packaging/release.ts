import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commitTimeOf } from '../scripts/lib/commit.ts';

export const repository = join(import.meta.dirname, '..');

/** What all packages of a version have in common. */
export interface Release {
  readonly version: string;
  /** From package.json, one line. */
  readonly summary: string;
  /** The time that everything in the packages bears, in seconds since 1970. */
  readonly time: number;
}

/**
 * @throws Error if it is not known what time to put into the packages: the time of the build would make each
 *   of them another one
 */
export function readRelease(): Release {
  const { version, description } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    version: string;
    description: string;
  };
  return { version, summary: description, time: sourceTime() };
}

/** reproducible-builds.org/specs/source-date-epoch, or the time of the commit. */
function sourceTime(): number {
  const given = process.env['SOURCE_DATE_EPOCH'];
  if (given !== undefined && !/^\d{1,11}$/.test(given))
    throw new Error(`SOURCE_DATE_EPOCH must be seconds since 1970, not '${given}'`);
  const time = given === undefined ? commitTimeOf(repository) : Number(given);
  if (time === undefined)
    throw new Error('this is no git checkout: set SOURCE_DATE_EPOCH to the time of the sources');
  return time;
}
