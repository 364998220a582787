import { isJsonObject, type Json, type JsonMembers, kindOfJson, type Locate } from './json-text.ts';
import {
  type BrokenEntry,
  defaultFetch,
  defaultToken,
  type FetchSettings,
  type Manifest,
  type ProviderSetting,
  type RefusedUnit,
  type Service,
  type SshKeys,
  type Token,
} from './manifest.ts';
import { Collector } from './manifest-collector.ts';
import { readService } from './manifest-service.ts';
import { readFetch, readProvider, readToken } from './manifest-settings.ts';
import { readSshKeys, sshKeySetup, sshKeyUnit } from './manifest-ssh-keys.ts';
import { type JsonPath, type Problem, quoteName } from './problem.ts';
import { companionName, parseServiceName, type ServiceName } from './service-name.ts';
import type { Position } from './text-position.ts';

/** A member that stands twice in a text, which `JSON.parse` does not tell. */
export interface DuplicateMember {
  readonly position: Position;
  readonly message: string;
  readonly path: JsonPath;
}

/** A file of the manifest. */
export interface ManifestText {
  /** The file's name for messages. */
  readonly file: string;
  /** The parsed JSON; undefined if it could not be parsed. */
  readonly value: Json | undefined;
  /** Why it is no JSON; with a value, if that is what it was meant to be beyond doubt. */
  readonly problems?: readonly Problem[];
  readonly duplicates?: readonly DuplicateMember[];
  /** Positions of members; called for problems only. */
  readonly locate: Locate;
}

interface EntryOf<T> {
  readonly key: string;
  readonly path: JsonPath;
  readonly name: ServiceName;
  readonly entry: T;
  readonly to: Collector;
  readonly problems: Problem[];
}

/** What stands for itself in one file: what entries have to do with each other is looked at in the end. */
interface Part {
  readonly to: Collector;
  readonly main: boolean;
  readonly services: EntryOf<Service>[];
  readonly sshKeys: EntryOf<SshKeys>[];
  readonly refused: RefusedUnit[];
  /** Entries whose names are not right. */
  readonly unnamed: Service[];
}

const settingMembers = ['provider', 'token', 'fetch'];
const entryMembers = ['services', 'sshKeys'];
const mainMembers = ['$schema', 'version', ...settingMembers, ...entryMembers];
const fragmentMembers = ['$schema', 'version', ...entryMembers];

/**
 * Reads the files of a manifest as one: manifest.json, which alone has settings, and those below
 * manifest.d. Every problem is found, not only the first.
 *
 * @param main absent where there is no manifest.json
 * @param fragments in the order of their names
 */
export function readManifest(main: ManifestText | undefined, fragments: readonly ManifestText[]): Manifest {
  let provider: ProviderSetting = { type: '1password' };
  let token: Token = defaultToken;
  let fetch: FetchSettings = defaultFetch;
  const parts: Part[] = [];
  for (const text of main ? [main, ...fragments] : fragments) {
    const to = new Collector(text.file, text.locate);
    to.problems.push(...(text.problems ?? []));
    const part: Part = { to, main: text === main, services: [], sshKeys: [], refused: [], unnamed: [] };
    parts.push(part);
    if (text.problems !== undefined) {
      if (text.value !== undefined) to.problems.push(...otherProblems(text, part.main));
      continue;
    }
    const members = readTop(text, part);
    if (members && part.main) {
      provider = readProvider(members['provider'], to);
      token = readToken(members['token'], to);
      fetch = readFetch(members['fetch'], to);
    }
    if (members) readEntries(members, part, provider.type);
    addDuplicates(text.duplicates ?? [], part);
  }
  // loops: what JavaScript's library does with functions the engine compiles anew in each process
  const sshKeys: EntryOf<SshKeys>[] = [];
  const named: EntryOf<Service>[] = [];
  const refused: RefusedUnit[] = [];
  for (const part of parts) {
    for (const entry of part.sshKeys) sshKeys.push(entry);
    for (const entry of part.services) named.push(entry);
    refused.push(...part.refused);
  }
  refuseRepeated(named);
  refuseRepeated(sshKeys);
  const services = refuseGenerated(named, sshKeys);
  const displaced =
    services.length === named.length ? [] : named.filter((entry) => !services.includes(entry));
  refuseSharedDirectories(services);
  const general: Problem[] = [];
  const partial: Problem[] = [];
  const problems: Problem[] = [];
  for (const part of parts) {
    if (!part.main) spoil(part);
    for (const problem of part.to.problems) {
      problems.push(problem);
      if (problem.service === undefined) (part.main ? general : partial).push(problem);
    }
  }
  return {
    provider,
    token,
    fetch,
    services: usable(services),
    sshKeys: usable(sshKeys),
    broken:
      problems.length === 0
        ? []
        : [...unusable(services, () => ({})), ...unusable(sshKeys, ({ entry }) => ({ user: entry.user }))],
    refused,
    displaced: displaced.map(({ name, to }) => ({ unit: `${name.name}.service`, file: to.file })),
    general,
    partial,
    problems,
    doubts: parts.flatMap(({ to }) => to.doubts),
    legible: [...named.map(({ entry }) => entry), ...parts.flatMap(({ unnamed }) => unnamed)],
  };
}

/** What else is wrong with a file that is not quite JSON; no entry is taken of it. */
function otherProblems({ problems: _, ...text }: ManifestText, main: boolean): readonly Problem[] {
  return readManifest(main ? text : undefined, main ? [] : [text]).problems;
}

const generalProblems = ({ to }: Part): Problem[] =>
  to.problems.filter(({ service }) => service === undefined);

function readTop({ value }: ManifestText, { to, main }: Part): JsonMembers | undefined {
  if (!isJsonObject(value)) {
    to.add([], `the manifest must be an object, this is ${kindOfJson(value)}`);
    return undefined;
  }
  for (const name of main ? [] : settingMembers) {
    if (value[name] === undefined) continue;
    to.add(
      [name],
      `${quoteName(name)} is for all services and stands in manifest.json only`,
      'move it there',
      'name',
    );
  }
  if (main) to.members(value, [], mainMembers);
  else {
    const others = Object.entries(value).filter(([name]) => !settingMembers.includes(name));
    to.members(Object.fromEntries(others), [], fragmentMembers);
  }
  if (value['$schema'] !== undefined) to.string(value['$schema'], ['$schema']);
  if (value['version'] === undefined) {
    if (main) to.add([], 'the member "version" is missing', 'add "version": 1');
  } else if (value['version'] !== 1)
    to.add(['version'], 'the version must be the number 1', 'write "version": 1');
  return value;
}

function readEntries(members: JsonMembers, part: Part, provider: ProviderSetting['type']): void {
  const { to } = part;
  for (const [key, value, path] of entriesOf(members, 'services', to)) {
    const parsed = parseServiceName(key);
    if (!parsed.ok && parsed.unit !== undefined) part.refused.push({ unit: parsed.unit, file: to.file });
    const unnamed = read(
      part.services,
      to,
      key,
      path,
      parsed.ok ? { ok: true, name: parsed.service } : parsed,
      (name) => readService(value, path, name, provider, to),
    );
    if (unnamed) part.unnamed.push(unnamed);
  }
  for (const [key, value, path] of entriesOf(members, 'sshKeys', to)) {
    read(part.sshKeys, to, key, path, sshKeyUnit(key), (name) => readSshKeys(value, path, key, name, to));
  }
}

function entriesOf(
  members: JsonMembers,
  member: string,
  to: Collector,
): [string, Json | undefined, JsonPath][] {
  if (members[member] === undefined) return [];
  const entries = to.object(members[member], [member]);
  const found: [string, Json | undefined, JsonPath][] = [];
  if (entries) for (const key of Object.keys(entries)) found.push([key, entries[key], [member, key]]);
  return found;
}

/**
 * Reads an entry, which pays for all problems that are found meanwhile.
 *
 * @returns one whose name is not right, which is none of the entries
 */
function read<T>(
  entries: EntryOf<T>[],
  to: Collector,
  key: string,
  path: JsonPath,
  unit: { readonly ok: true; readonly name: ServiceName } | { readonly ok: false; readonly message: string },
  work: (name: ServiceName) => T,
): T | undefined {
  const first = to.problems.length;
  to.service = unit.ok ? unit.name.name : key;
  if (unit.ok) {
    const entry = work(unit.name);
    const problems = to.problems.length > first ? to.problems.slice(first) : [];
    entries.push({ key, path, name: unit.name, entry, to, problems });
    to.service = undefined;
    return undefined;
  }
  to.add(path, unit.message, undefined, 'name');
  const unnamed = work({ name: key, base: key });
  to.service = undefined;
  return unnamed;
}

/** A problem of an entry that shows beside others only. */
function addTo(
  { to, path, name, problems }: EntryOf<unknown>,
  at: JsonPath,
  message: string,
  hint: string,
): void {
  to.service = name.name;
  to.add([...path, ...at], message, hint, at.length > 0 ? 'value' : 'name');
  to.service = undefined;
  const added = to.problems.at(-1);
  if (added) problems.push(added);
}

/** A member given twice costs the entry that it is in, be its name a good one or not. */
function addDuplicates(duplicates: readonly DuplicateMember[], { to, services, sshKeys }: Part): void {
  for (const { path, position, message } of duplicates) {
    const [member, key] = path;
    const inEntry = entryMembers.includes(String(member)) && path.length > 1;
    const entries: readonly EntryOf<unknown>[] = member === 'services' ? services : sshKeys;
    const owners = inEntry ? entries.filter((entry) => entry.key === key) : [];
    const service = owners[0]?.name.name ?? (inEntry ? String(key) : undefined);
    const problem: Problem = {
      file: to.file,
      position,
      path,
      message,
      ...(service === undefined ? {} : { service }),
    };
    to.problems.push(problem);
    for (const { problems } of owners) problems.push(problem);
  }
}

/** An entry of another file is named with it. */
function naming(other: EntryOf<unknown>, here: EntryOf<unknown>): string {
  const what = `${other.path[0] === 'sshKeys' ? 'the SSH keys of ' : ''}${quoteName(other.key)}`;
  return other.to === here.to ? what : `${what} in ${other.to.file}`;
}

function refuseRepeated(entries: readonly EntryOf<unknown>[]): void {
  const seen = new Map<string, EntryOf<unknown>>();
  for (const entry of entries) {
    const other = seen.get(entry.name.name);
    if (!other) seen.set(entry.name.name, entry);
    else if (other.key === entry.key)
      addTo(entry, [], `${quoteName(entry.key)} stands in ${other.to.file}, too`, 'keep one of them');
    else {
      const same = `${quoteName(entry.key)} is the same service as ${naming(other, entry)}`;
      addTo(entry, [], same, 'keep one of them');
    }
  }
}

/**
 * Refuses entries for units that are generated for others.
 *
 * @returns those that are left: to keep such a unit down would cost the service that it is generated for
 */
function refuseGenerated(
  services: readonly EntryOf<Service>[],
  sshKeys: readonly EntryOf<SshKeys>[],
): readonly EntryOf<Service>[] {
  let mayBe = false;
  for (const { name } of services) mayBe ||= mayBeGenerated(name);
  if (!mayBe) return services;
  // shorter names first: one that is refused has no units whose names could be taken
  const generated = new Map<string, EntryOf<unknown>>();
  /** Those that are not generated for the entry as it is. */
  const reserved = new Set<string>();
  for (const entry of sshKeys) {
    for (const name of [
      entry.name.name,
      ...['secrets', 'retry'].map((suffix) => companionName(entry.name, suffix)),
    ])
      generated.set(name, entry);
  }
  for (const entry of [...services].sort((a, b) => a.name.name.length - b.name.name.length)) {
    if (generated.has(entry.name.name)) continue;
    for (const suffix of ['secrets', 'config']) {
      const name = companionName(entry.name, suffix);
      if (generated.has(name)) continue;
      generated.set(name, entry);
      if (suffix === 'config' && entry.entry.configs.length === 0) reserved.add(name);
    }
  }
  return services.filter((entry) => {
    const owner = generated.get(entry.name.name);
    if (!owner) return true;
    const whose = naming(owner, entry);
    const isOnlyReserved = reserved.has(entry.name.name);
    addTo(
      entry,
      [],
      isOnlyReserved
        ? `${quoteName(entry.key)} is the name of the unit that renders configs of ${whose}, should it have some`
        : `${quoteName(entry.key)} is the name of a unit generated for ${whose}`,
      'remove the entry or rename the service',
    );
    return false;
  });
}

/** Whether a unit of that name could be one of ours: hardly any is, and to compare all with all takes time. */
function mayBeGenerated({ base }: ServiceName): boolean {
  return base.endsWith('-secrets') || base.endsWith('-config') || base.startsWith(sshKeySetup);
}

function refuseSharedDirectories(services: readonly EntryOf<Service>[]): void {
  const owners = new Map<string, EntryOf<Service>>();
  for (const entry of services) {
    const { runtimeDirectory } = entry.entry;
    if (runtimeDirectory === undefined) continue;
    const owner = owners.get(runtimeDirectory);
    if (owner && owner.name.name !== entry.name.name)
      addTo(
        entry,
        ['runtimeDirectory'],
        `/run/${runtimeDirectory} is already that of ${naming(owner, entry)}`,
        'give each service a directory of its own',
      );
    else owners.set(runtimeDirectory, entry);
  }
}

/** What is wrong with a file as a whole spoils the entries that it has. */
function spoil(part: Part): void {
  const general = generalProblems(part);
  for (const { problems } of [...part.services, ...part.sshKeys]) problems.push(...general);
}

function usable<T>(entries: readonly EntryOf<T>[]): T[] {
  const broken = new Set<string>();
  for (const { name, problems } of entries) if (problems.length > 0) broken.add(name.name);
  const rest: T[] = [];
  for (const { name, entry } of entries) if (!broken.has(name.name)) rest.push(entry);
  return rest;
}

/** By name: of two entries for the same, both are what must be kept down once. */
function unusable<T>(
  entries: readonly EntryOf<T>[],
  more: (entry: EntryOf<T>) => { readonly user?: string },
): BrokenEntry[] {
  const broken = new Map<string, BrokenEntry & { problems: Problem[] }>();
  for (const entry of entries) {
    const { name, problems, to } = entry;
    const known = broken.get(name.name);
    if (known) known.problems.push(...problems);
    else if (problems.length > 0)
      broken.set(name.name, { name, file: to.file, problems: [...problems], ...more(entry) });
  }
  return [...broken.values()];
}
