import { lstatSync, readFileSync, statSync } from 'node:fs';
import { type Json, parseJsonFast } from '../domain/json-text.ts';
import type { JsonTree } from '../domain/json-tree.ts';
import { type Manifest, readManifest } from '../domain/manifest.ts';
import type { Problem } from '../domain/problem.ts';
import { nearest } from '../domain/suggest.ts';

export type ManifestSource =
  | { readonly kind: 'missing' }
  | { readonly kind: 'read'; readonly manifest: Manifest; readonly visibleNames: readonly string[] }
  | {
      readonly kind: 'unreadable';
      readonly problems: readonly Problem[];
      /** Service names that can still be made out. */
      readonly visibleNames: readonly string[];
    };

/**
 * Reads and checks the manifest. Missing means that there is no entry of that name at all: a dangling link
 * or an unreadable file is an error, as an empty manifest would start services without their secrets.
 *
 * @param root prefix of the path, '' for this machine
 * @param path absolute path of the manifest; messages name it as it is, without the root
 */
export async function readManifestFile(root: string, path: string): Promise<ManifestSource> {
  let bytes: Uint8Array;
  try {
    bytes = readRegularFile(root + path);
  } catch (error) {
    if (!exists(root + path)) return { kind: 'missing' };
    return { kind: 'unreadable', problems: [{ file: path, ...reason(error) }], visibleNames: [] };
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const visibleNames = namesIn(new TextDecoder().decode(bytes));
    return { kind: 'unreadable', problems: [{ file: path, message: 'is not valid UTF-8' }], visibleNames };
  }
  const fast = parseJsonFast(text);
  if (fast) {
    const manifest = readManifest(fast.value, path, () => undefined);
    if (manifest.problems.length === 0) return { kind: 'read', manifest, visibleNames: [] };
  }
  // something is odd: only now load the parser that knows positions
  const { parseJsonTree } = await import('../domain/json-tree.ts');
  let tree: JsonTree;
  try {
    tree = parseJsonTree(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const message = 'is nested too deeply to be read';
    return { kind: 'unreadable', problems: [{ file: path, message }], visibleNames: namesIn(text) };
  }
  const visibleNames = [...new Set([...namesBelowServices(tree.value), ...namesIn(text)])];
  if (tree.errors.some((error) => error.path === undefined)) {
    const problems = tree.errors.map(({ position, message, path: at }) => ({
      file: path,
      position,
      message: at === undefined ? `not valid JSON: ${message}` : message,
      ...(at === undefined ? {} : { path: at }),
    }));
    return { kind: 'unreadable', problems, visibleNames };
  }
  const manifest = withDuplicates(readManifest(tree.value, path, tree.locate), tree.errors, path);
  return { kind: 'read', manifest, visibleNames };
}

const notRegular = 'not a regular file';

/** Refuses what is not a file before it is opened: opening a pipe would wait for a writer for ever. */
function readRegularFile(path: string): Uint8Array {
  const status = statSync(path);
  if (!status.isFile() && !status.isDirectory()) {
    throw Object.assign(new Error(notRegular), { code: notRegular });
  }
  return readFileSync(path);
}

/** Adds duplicate members to the problems of the services they are in. */
function withDuplicates(
  manifest: Manifest,
  errors: readonly {
    position: { line: number; column: number };
    message: string;
    path?: readonly (string | number)[];
  }[],
  file: string,
): Manifest {
  if (errors.length === 0) return manifest;
  const known = [...manifest.services.map(({ name }) => name), ...manifest.broken.map(({ name }) => name)];
  const duplicates = errors.map(({ position, message, path = [] }): Problem => {
    // within `services` an error costs only the entry, be its name a good one or not
    const service =
      path[0] === 'services' && path.length > 1 ? String(path[1]).replace(/\.service$/, '') : undefined;
    return { file, position, path, message, ...(service === undefined ? {} : { service }) };
  });
  const broken = manifest.broken.map((entry) => ({ ...entry, problems: [...entry.problems] }));
  for (const problem of duplicates) {
    if (problem.service === undefined) continue;
    const entry = broken.find(({ name }) => name.name === problem.service);
    const name = known.find((candidate) => candidate.name === problem.service);
    if (entry) entry.problems.push(problem);
    else if (name) broken.push({ name, problems: [problem] });
  }
  const general = [...manifest.general, ...duplicates.filter((problem) => problem.service === undefined)];
  const down = new Set(broken.map(({ name }) => name.name));
  return {
    ...manifest,
    services: manifest.services.filter(({ name }) => !down.has(name.name)),
    broken,
    general,
    problems: [...manifest.problems, ...duplicates],
  };
}

/** The names below `services`, or below a member that is nearly called so. */
function namesBelowServices(value: Json | undefined): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  const names: string[] = [];
  for (const [key, member] of Object.entries(value)) {
    if (key !== 'services' && nearest(key, ['services']) === undefined) continue;
    if (typeof member === 'object' && member !== null && !Array.isArray(member))
      names.push(...Object.keys(member));
  }
  return names;
}

/**
 * All that looks like the name of an entry, `"name": {`, wherever it stands: behind a brace too many, in a
 * member that is given twice or wrongly named, the parser's tree does not have it. A word of the format's
 * own is taken for a service only where the tree has it as one.
 */
function namesIn(text: string): string[] {
  const names: string[] = [];
  for (const [, quoted = ''] of text.matchAll(/(?=("(?:[^"\\\r\n]|\\.){1,500}")\s*:\s*\{)/g)) {
    try {
      const name = String(JSON.parse(quoted));
      if (!formatWords.has(name) && nearest(name, ['services']) === undefined) names.push(name);
    } catch {
      // not a name that could be read
    }
  }
  return names;
}

/** Members that hold an object. */
const formatWords = new Set([
  'provider',
  'token',
  'fetch',
  'services',
  'sshKeys',
  'environment',
  'credentials',
  'files',
  'configs',
  'values',
]);

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // anything but "no such entry" means that there may well be one; so does a directory that is a link to nowhere
    if (code !== 'ENOENT' && code !== 'ENOTDIR') return true;
    return isDangling(path.slice(0, path.lastIndexOf('/')));
  }
}

/** Whether it is a link to something that is not there, for a path in which something is not there. */
function isDangling(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink() && statSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

function reason(error: unknown): { message: string; hint?: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT') {
    return {
      message: 'is a symbolic link to something that does not exist',
      hint: 'mend the link; if it leads to a file system that is mounted later than generators run, move the file',
    };
  }
  if (code === 'EACCES' || code === 'EPERM') return { message: 'cannot be read: permission denied' };
  if (code === 'EISDIR') return { message: 'is a directory, not a file' };
  if (code === 'ELOOP') return { message: 'is a loop of symbolic links' };
  if (code === notRegular) return { message: 'is not a regular file' };
  return { message: `cannot be read${code === '' ? '' : ` (${code})`}` };
}
