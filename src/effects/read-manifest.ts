import { lstatSync, readFileSync } from 'node:fs';
import { type Json, parseJsonFast } from '../domain/json-text.ts';
import { type Manifest, readManifest } from '../domain/manifest.ts';
import type { Problem } from '../domain/problem.ts';
import { nearest } from '../domain/suggest.ts';

export type ManifestSource =
  | { readonly kind: 'missing' }
  | { readonly kind: 'read'; readonly manifest: Manifest }
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
  let text: string;
  try {
    const bytes = readFileSync(root + path);
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (!exists(root + path)) return { kind: 'missing' };
    return { kind: 'unreadable', problems: [{ file: path, ...reason(error) }], visibleNames: [] };
  }
  const fast = parseJsonFast(text);
  if (fast) {
    const manifest = readManifest(fast.value, path, () => undefined);
    if (manifest.problems.length === 0) return { kind: 'read', manifest };
  }
  // something is odd: only now load the parser that knows positions
  const { parseJsonTree } = await import('../domain/json-tree.ts');
  const tree = parseJsonTree(text);
  if (tree.errors.some((error) => error.path === undefined)) {
    const problems = tree.errors.map(({ position, message, path: at }) => ({
      file: path,
      position,
      message: at === undefined ? `not valid JSON: ${message}` : message,
      ...(at === undefined ? {} : { path: at }),
    }));
    return { kind: 'unreadable', problems, visibleNames: visibleNames(tree.value) };
  }
  return {
    kind: 'read',
    manifest: withDuplicates(readManifest(tree.value, path, tree.locate), tree.errors, path),
  };
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
    const key =
      path[0] === 'services' && path.length > 1 ? String(path[1]).replace(/\.service$/, '') : undefined;
    const service = known.find((name) => name.name === key)?.name;
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
function visibleNames(value: Json | undefined): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  const names: string[] = [];
  for (const [key, member] of Object.entries(value)) {
    if (key !== 'services' && nearest(key, ['services']) === undefined) continue;
    if (typeof member === 'object' && member !== null && !Array.isArray(member))
      names.push(...Object.keys(member));
  }
  return names;
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    // anything but "no such entry" means that there may well be one
    return !(
      error instanceof Error &&
      'code' in error &&
      (error.code === 'ENOENT' || error.code === 'ENOTDIR')
    );
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
  if (error instanceof TypeError || code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
    return { message: 'is not valid UTF-8' };
  }
  return { message: `cannot be read${code === '' ? '' : ` (${code})`}` };
}
