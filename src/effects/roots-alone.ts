import { lstatSync, readlinkSync } from 'node:fs';

/** As many as Linux follows. */
const mostLinks = 40;

/**
 * Whether nobody but root decides what is found at a path: each directory on the way, that of each link included, is
 * root's, and no others may write there. In a user namespace without other users, those of others are nobody's, and
 * so not root's.
 *
 * @returns false for what cannot be looked at
 */
export function isRootsAlone(path: string): boolean {
  const pending = parts(path);
  let at = '';
  let links = 0;
  try {
    for (;;) {
      const { uid, gid, mode } = lstatSync(at === '' ? '/' : at);
      if (uid !== 0 || (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0)) return false;
      const next = pending.shift();
      if (next === undefined) return true;
      if (next === '..') {
        at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
        continue;
      }
      const full = `${at}/${next}`;
      if (!lstatSync(full).isSymbolicLink()) {
        at = full;
        continue;
      }
      if (++links > mostLinks) return false;
      const target = readlinkSync(full);
      if (target.startsWith('/')) at = '';
      pending.unshift(...parts(target));
    }
  } catch {
    return false;
  }
}

const parts = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');
