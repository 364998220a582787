import { lstatSync, readdirSync, statSync } from 'node:fs';
import { isJsonObject, type Json, parseJsonFast } from '../domain/json-text.ts';
import type { Manifest } from '../domain/manifest.ts';
import { type ManifestText, readManifest } from '../domain/manifest-reader.ts';
import type { JsonPath } from '../domain/problem.ts';
import { nearest } from '../domain/suggest.ts';
import { type Position, positionsIn } from '../domain/text-position.ts';
import { notRegular, readRegularFile } from './regular-file.ts';

/** A thousand services take less than 1 MiB, and boot waits. */
const largestFile = 16 * 1024 * 1024;

export type ManifestSource =
  | { readonly kind: 'missing' }
  | {
      readonly kind: 'read';
      readonly manifest: Manifest;
      /** Names of services that can be made out in files that are not right as a whole. */
      readonly visibleNames: readonly string[];
      /** Looks for places of members, for what turns out to be wrong later with files that are right. */
      readonly locator: () => Promise<LocateIn>;
    };

/** The place of a value in a file of the manifest. */
export type LocateIn = (file: string, path: JsonPath) => Position | undefined;

/** Where the files of a manifest are. */
export interface ManifestPlaces {
  /** manifest.json, absolute. */
  readonly manifest: string;
  /** manifest.d, absolute. */
  readonly manifestDirectory: string;
}

/** A file as it was found: its text, or why there is none. */
type Found =
  | { readonly file: string; readonly text: string }
  | { readonly file: string; readonly reason: Reason; readonly text?: string };

/**
 * Reads and checks the manifest: manifest.json and the files of manifest.d that end in `.json`, in the
 * order of their names. Missing means that there is no entry of either name at all: a dangling link or an
 * unreadable file is an error, as an empty manifest would start services without their secrets.
 *
 * @param root prefix of the paths, '' for this machine; messages name files without it
 */
export function readManifestFiles(root: string, places: ManifestPlaces): Promise<ManifestSource> {
  const main = find(root, places.manifest);
  const fragments = findFragments(root, places.manifestDirectory);
  if (!main && !fragments) return Promise.resolve({ kind: 'missing' });
  return readFound(main, fragments ?? []);
}

/**
 * Reads files as a manifest, wherever they are: for checks before they are where the generator looks.
 *
 * @param main undefined for none
 * @param fragments what would be below manifest.d, in order
 */
export function readManifestFrom(
  main: string | undefined,
  fragments: readonly string[],
): Promise<ManifestSource> {
  const found = (file: string): Found => find('', file) ?? { file, reason: { message: 'does not exist' } };
  return readFound(main === undefined ? undefined : found(main), fragments.map(found));
}

async function readFound(main: Found | undefined, fragments: readonly Found[]): Promise<ManifestSource> {
  const all = main ? [main, ...fragments] : fragments;
  const locator = () => locatorOf(all);
  const healthy = readFast(main, fragments);
  if (healthy) return { kind: 'read', manifest: healthy, visibleNames: [], locator };
  // something is odd: only now load the parser that knows positions
  const json = await import('../domain/json-tree.ts');
  const slow = (found: Found): ManifestText => parseSlowly(found, json);
  const manifest = readManifest(main && slow(main), fragments.map(slow));
  const spoilt = new Set([...manifest.general, ...manifest.partial].map(({ file }) => file));
  const visibleNames = all
    .filter(({ file }) => spoilt.has(file))
    .flatMap(({ text }) => (text === undefined ? [] : namesIn(text, json.parseJsonTree)));
  return { kind: 'read', manifest, visibleNames: [...new Set(visibleNames)], locator };
}

async function locatorOf(all: readonly Found[]): Promise<LocateIn> {
  const json = await import('../domain/json-tree.ts');
  const parsed = new Map<string, ManifestText>();
  return (file, path) => {
    const found = all.find((one) => one.file === file);
    if (!found) return undefined;
    const text = parsed.get(file) ?? parseSlowly(found, json);
    parsed.set(file, text);
    return text.locate(path, 'value');
  };
}

/** @returns undefined if something is odd */
function readFast(main: Found | undefined, fragments: readonly Found[]): Manifest | undefined {
  const fastMain = main && parseFast(main);
  if (main && !fastMain) return undefined;
  const fastFragments: ManifestText[] = [];
  for (const fragment of fragments) {
    const parsed = parseFast(fragment);
    if (!parsed) return undefined;
    fastFragments.push(parsed);
  }
  const manifest = readManifest(fastMain, fastFragments);
  return manifest.problems.length + manifest.doubts.length === 0 ? manifest : undefined;
}

function parseFast(found: Found): ManifestText | undefined {
  const parsed = 'reason' in found ? undefined : parseJsonFast(found.text);
  return parsed && { file: found.file, value: parsed.value, locate: () => undefined };
}

type JsonTreeModule = typeof import('../domain/json-tree.ts');
type ParseTree = JsonTreeModule['parseJsonTree'];

function parseSlowly(found: Found, { parseJsonTree, placeTooDeep }: JsonTreeModule): ManifestText {
  const { file } = found;
  const unreadable = { file, value: undefined, locate: () => undefined };
  if ('reason' in found) return { ...unreadable, problems: [{ file, ...found.reason }] };
  try {
    const { value, errors, readable, locate } = parseJsonTree(found.text);
    if (errors.some((error) => error.path === undefined)) {
      const problems = errors.map(({ position, message, path }) => ({
        file,
        position,
        message: path === undefined ? `not valid JSON: ${message}` : message,
        ...(path === undefined ? {} : { path }),
      }));
      return readable ? { file, value, locate, problems } : { ...unreadable, problems };
    }
    const duplicates = errors.map(({ position, message, path = [] }) => ({ position, message, path }));
    return { file, value, duplicates, locate };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const position = placeTooDeep(found.text);
    return { ...unreadable, problems: [{ file, position, message: 'is nested too deeply to be read' }] };
  }
}

/** @returns undefined if there is no entry of that name */
function find(root: string, file: string): Found | undefined {
  let bytes: Buffer;
  try {
    bytes = readRegularFile(root + file, largestFile).bytes;
  } catch (error) {
    return exists(root + file) ? { file, reason: reason(error) } : undefined;
  }
  const wide = decodeUtf16(bytes);
  if (wide !== undefined)
    return { file, reason: { message: 'is UTF-16', hint: 'save it as UTF-8' }, text: wide };
  // U+FFFD stands for what is not UTF-8, if nobody wrote it: a TextDecoder for all would take longer
  const text = bytes.toString('utf8');
  const bad = notUtf8(bytes, text);
  if (bad === undefined) return { file, text };
  return { file, reason: { message: 'is not valid UTF-8', position: positionsIn(text)(bad) }, text };
}

/** What some editors write; undefined for anything else. Read for the names that are in it. */
function decodeUtf16(bytes: Uint8Array): string | undefined {
  const littleEndian = bytes[0] === 0xff && bytes[1] === 0xfe;
  const bigEndian = bytes[0] === 0xfe && bytes[1] === 0xff;
  if (!littleEndian && !bigEndian) return undefined;
  return new TextDecoder(littleEndian ? 'utf-16le' : 'utf-16be').decode(bytes);
}

/**
 * Where in a text the first byte is that is not UTF-8: there it has U+FFFD, which nobody wrote. A TextDecoder for all
 * would take longer, and does not tell.
 */
function notUtf8(bytes: Buffer, text: string): number | undefined {
  let [read, offset] = [0, 0];
  for (let at = text.indexOf('\ufffd'); at >= 0; at = text.indexOf('\ufffd', read)) {
    offset += Buffer.byteLength(text.slice(read, at));
    // as it is in UTF-8
    if (bytes.toString('hex', offset, offset + 3) !== 'efbfbd') return at;
    offset += 3;
    read = at + 1;
  }
  return undefined;
}

/** @returns undefined if there is no entry of that name */
function findFragments(root: string, directory: string): Found[] | undefined {
  let names: string[];
  try {
    names = readdirSync(root + directory);
  } catch (error) {
    if (!exists(root + directory)) return undefined;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const what = code === 'ENOTDIR' ? { message: 'is not a directory' } : reason(error);
    return [{ file: directory, reason: what }];
  }
  return names
    .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
    .sort()
    .flatMap((name) => {
      const file = `${directory}/${name}`;
      // not to be opened by what it is called here, and no fragment that nobody misses
      const unnamed = name.includes('\ufffd') ? { file, reason: { message: notUtf8Name } } : [];
      return find(root, file) ?? unnamed;
    });
}

const notUtf8Name = 'has a name that is not valid UTF-8 (rename it)';

/** All names of services that can be made out in a text, be it JSON or nearly so. */
function namesIn(text: string, parseJsonTree: ParseTree): string[] {
  let tree: Json | undefined;
  try {
    tree = parseJsonTree(text).value;
  } catch {
    // nested too deeply
  }
  const { services, others } = namesInTree(tree);
  return [...services, ...namesOfObjects(text).filter((name) => !others.has(name))];
}

/**
 * The names below `services`, or below a member that is nearly called so; and what else has the form of an
 * entry: users below `sshKeys`, files of services.
 */
function namesInTree(tree: Json | undefined): { services: string[]; others: Set<string> } {
  const services: string[] = [];
  const others = new Set<string>();
  if (!isJsonObject(tree)) return { services, others };
  for (const [member, entries] of Object.entries(tree)) {
    if (!isJsonObject(entries)) continue;
    if (member === 'sshKeys') {
      for (const [user, keys] of Object.entries(entries))
        if (hasOneOf(keys, 'privateKey', 'publicKey')) others.add(user);
    }
    if (member !== 'services' && nearest(member, ['services']) === undefined) continue;
    services.push(...Object.keys(entries));
    for (const entry of Object.values(entries)) {
      for (const kind of isJsonObject(entry) ? [entry['files'], entry['configs']] : []) {
        // behind a brace too few, services stand among the files of the one before
        for (const [name, file] of isJsonObject(kind) ? Object.entries(kind) : [])
          if (hasOneOf(file, 'value', 'template')) others.add(name);
      }
    }
  }
  return { services, others };
}

function hasOneOf(value: Json, ...names: readonly string[]): boolean {
  return isJsonObject(value) && names.some((name) => Object.hasOwn(value, name));
}

/**
 * All that looks like the name of an entry, `"name": {`, wherever it stands: behind a brace too many, in a
 * member that is given twice or wrongly named, the parser's tree does not have it. A word of the format's
 * own is taken for a service only where the tree has it as one.
 */
function namesOfObjects(text: string): string[] {
  const names: string[] = [];
  const add = (name: string): void => {
    if (!formatWords.has(name) && nearest(name, ['services']) === undefined) names.push(name);
  };
  for (const [, quoted = ''] of text.matchAll(/(?=("(?:[^"\\\r\n]|\\.){1,500}")\s*:\s*\{)/g)) {
    try {
      add(String(JSON.parse(quoted)));
    } catch {
      // not a name that could be read
    }
  }
  for (const [, name = ''] of text.matchAll(nearlyNamed)) add(name.replaceAll('\\\\', '\\'));
  return names;
}

/**
 * A unit's name with a quote too few, or other ones, or without its colon. Of text with a placeholder, `x:{{ op://… }}`,
 * nothing is taken for one.
 */
const nearlyNamed =
  /(?<![A-Za-z0-9:_.\\@-])([A-Za-z0-9_-][A-Za-z0-9:_.\\@-]{0,254}?)["'`\u201c\u201d]?\s{0,100}[:=]?\s{0,100}\{(?!\{)/g;

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

/** The problem of a file that this user may not read. */
export const permissionDenied = 'cannot be read: permission denied';

interface Reason {
  readonly message: string;
  readonly position?: Position;
  readonly hint?: string;
}

function reason(error: unknown): Reason {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT') {
    return {
      message: 'is a symbolic link to something that does not exist',
      hint: 'mend the link; if it leads to a file system that is mounted later than generators run, move the file',
    };
  }
  if (code === 'EACCES' || code === 'EPERM') return { message: permissionDenied };
  if (code === 'EISDIR') return { message: 'is a directory, not a file' };
  if (code === 'ELOOP') return { message: 'is a loop of symbolic links' };
  if (code === 'EFBIG') return { message: 'is larger than 16 MiB' };
  // ENXIO: a socket came into its place
  if (code === notRegular || code === 'ENXIO') return { message: 'is not a regular file' };
  return { message: `cannot be read${code === '' ? '' : ` (${code})`}` };
}
