import { existsSync } from 'node:fs';
import { paths } from '../unit/paths.ts';

/**
 * Where a unit reads a file that its manifest names: systemd has bound it there (`sources` in src/unit/common.ts)
 * if it could, as the file may be in a home that nobody but its owner may enter, root without privileges
 * included.
 */
export function sourcePath(path: string): string {
  const bound = `${paths.sources}${path}`;
  return existsSync(bound) ? bound : path;
}
