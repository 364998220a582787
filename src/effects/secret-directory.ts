import {
  chmodSync,
  closeSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';

/** A file of a set. */
export interface NewFile {
  /** `env`, or `files/NAME`: at most one directory in between. */
  readonly path: string;
  readonly content: string;
  /** As in chmod(2). */
  readonly mode: number;
}

/** What is to be in a directory in the end. */
export interface NewDirectory {
  readonly directory: string;
  readonly files: readonly NewFile[];
  /** Files that may be ours: those not in the set go. All of them, where the directory is ours alone. */
  readonly managed: readonly string[] | 'all';
  /** Subdirectories whose files are all ours, with their modes: what is not in the set goes. */
  readonly subdirectories: Readonly<Record<string, number>>;
}

/** The file that tells that a set is complete, in a directory of its own or that of the set. */
export interface Marker {
  readonly directory: string;
  /** `.ok-DIGEST`. */
  readonly name: string;
}

const aside = '.unit-secrets-new';

/**
 * Leaves a complete new set of files, or the old one: all are written aside with their final modes, then
 * renamed, the marker last. If more than one file changes, markers of earlier sets go before the first of
 * them, so that no service is started with a part of each even if this is killed in between.
 *
 * @throws the file system's error; the old files are then still there
 */
export function writeSet(directories: readonly NewDirectory[], marker?: Marker): void {
  const asides = [
    ...new Set([...directories.map(({ directory }) => directory), ...(marker ? [marker.directory] : [])]),
  ];
  try {
    for (const directory of asides) {
      // what a killed run left
      rmSync(`${directory}/${aside}`, { recursive: true, force: true });
      mkdirSync(`${directory}/${aside}`, { mode: 0o700 });
    }
    const changes = directories.flatMap(prepare);
    if (marker) writeNew(`${marker.directory}/${aside}/marker`, '', 0o600);
    if (marker && changes.length > 1) removeMarkers(marker.directory);
    for (const change of changes) change();
    if (marker) {
      renameSync(`${marker.directory}/${aside}/marker`, `${marker.directory}/${marker.name}`);
      removeMarkers(marker.directory, marker.name);
    }
  } finally {
    for (const directory of asides) rmSync(`${directory}/${aside}`, { recursive: true, force: true });
  }
}

/** Writes aside what differs from what is there. What it returns puts that in place, and cannot want for room. */
function prepare({ directory, files, managed, subdirectories }: NewDirectory): (() => void)[] {
  const changes: (() => void)[] = [];
  for (const [name, mode] of Object.entries(subdirectories)) {
    if (files.some(({ path }) => path.startsWith(`${name}/`))) makeDirectory(`${directory}/${name}`, mode);
  }
  for (const [index, { path, content, mode }] of files.entries()) {
    const final = `${directory}/${path}`;
    if (isThere(final, content, mode)) continue;
    // by number: names may be as long as the file system allows
    const temporary = `${directory}/${aside}/${index}`;
    writeNew(temporary, content, mode);
    changes.push(() => renameSync(temporary, final));
  }
  const wanted = new Set(files.map(({ path }) => path));
  const found = Object.keys(subdirectories).flatMap((name) => filesIn(directory, name));
  const own = managed === 'all' ? readdirSync(directory).filter((name) => !name.startsWith('.')) : managed;
  for (const path of [...own, ...found]) {
    const old = `${directory}/${path}`;
    if (!wanted.has(path) && isAnything(old)) changes.push(() => remove(old));
  }
  return changes;
}

function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    // where the directory above was somebody else's for a while, a link may lead anywhere
    if (!lstatSync(path).isDirectory()) {
      remove(path);
      mkdirSync(path, { mode });
    }
  }
  // the umask may have taken from it, or an earlier edition may have had another group
  if ((statSync(path).mode & 0o7777) !== mode) chmodSync(path, mode);
}

/** Whether it is there as we would write it: no link to such a file, and no file that its owner could change. */
function isThere(path: string, content: string, mode: number): boolean {
  try {
    const status = lstatSync(path);
    if (!status.isFile() || status.nlink !== 1 || status.uid !== process.geteuid?.()) return false;
    return (status.mode & 0o7777) === mode && readFileSync(path).equals(Buffer.from(content));
  } catch {
    return false;
  }
}

function isAnything(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Whether there is a complete set in a service's directory, of whatever unit. */
export function hasMarker(directory: string): boolean {
  try {
    return readdirSync(directory).some((name) => name.startsWith('.ok-'));
  } catch {
    return false;
  }
}

/** What is in a subdirectory; if it is none, the thing itself. */
function filesIn(directory: string, name: string): string[] {
  try {
    if (!lstatSync(`${directory}/${name}`).isDirectory()) return [name];
    return readdirSync(`${directory}/${name}`).map((file) => `${name}/${file}`);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

function removeMarkers(directory: string, except?: string): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith('.ok-') && name !== except) remove(`${directory}/${name}`);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Writes a file that did not exist, born with its mode; one left by a killed run is removed first. */
export function writeNew(path: string, content: string | Uint8Array, mode: number): void {
  remove(path);
  const descriptor = openSync(path, 'wx', mode);
  try {
    // the umask takes from a mode; nothing is in the file yet
    if ((fstatSync(descriptor).mode & 0o7777) !== mode) fchmodSync(descriptor, mode);
    const bytes = Buffer.from(content);
    for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
  } catch (error) {
    closeSync(descriptor);
    remove(path);
    throw error;
  }
  closeSync(descriptor);
}

/** Removes a file if it is there. */
export function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
