/**
 * The services of a campaign: how each is written, what the manifest gives it, and what it must then find.
 *
 * Each value tells whose it is and of which generation of the provider's data, so that a start with half a set, with
 * two generations in one, or with something of another service's is seen.
 */
import { isDeepStrictEqual } from 'node:util';

/** In every value of a secret, and nowhere else. */
export const canary = 'c4n4ry';
const canaries = /c4n4ry\.([a-z]+(?:@\d+)?)\.[abc]\.(\d+)/g;

/** Where services write what they were given: a pipe, so that nothing of it is stored. */
export const recordsPath = '/run/chaos/records';
const recorder = '/usr/local/lib/chaos/record';
const templates = '/etc/unit-secrets/templates';

/** The members of a service's values: `ENTRY` names service and edition, the others come from the provider. */
type Variables = Readonly<Record<string, string>>;
/** What a service finds: variables, and `file:NAME` for each file. */
type Given = Readonly<Record<string, string>>;

interface Sort {
  /** Lines of its `[Service]` section, but for what it runs. */
  readonly service: string;
  /** Which files it is to read, as patterns. */
  readonly reads?: string;
  /** Its entry in the manifest. */
  readonly entry: (variables: Variables, edition: number) => object;
  /** What it is given by that. */
  readonly given: (variables: Variables, edition: number) => Given;
  /** Ends by itself. */
  readonly oneshot?: true;
  /** Fetches itself. */
  readonly inline?: true;
}

const inEnvironment: Pick<Sort, 'entry' | 'given'> = {
  entry: (variables) => ({ environment: variables }),
  given: (variables) => variables,
};
const asFiles = (variables: Variables): Given =>
  Object.fromEntries(Object.entries(variables).map(([name, value]) => [`file:${name}`, value]));
const restarts = 'Restart=on-failure\nRestartSec=200ms';

/** A directory that is now this and now that, as the entry is edited. */
const directoryOf = (edition: number): string => (edition % 3 === 0 ? 'epsilon-else' : 'epsilon');
export const runtimeDirectories = ['epsilon', 'epsilon-else'];

/** To cover another kind of service, describe it here. */
const sorts = {
  alpha: { service: 'User=alpha', ...inEnvironment },
  beta: { service: `User=beta\n${restarts}`, ...inEnvironment },
  // with a dynamic user, in all ways that it can have secrets; in a file of its own, see manifestFiles
  gamma: {
    service: 'DynamicUser=yes',
    reads: 'credentials',
    entry: ({ ENTRY, A, B }) => ({
      environment: { ENTRY, A },
      credentials: { B },
      files: { 'c.key': { value: A, credential: true } },
    }),
    given: ({ ENTRY = '', A = '', B = '' }) => ({ ENTRY, A, 'file:B': B, 'file:c.key': A }),
  },
  'delta@1': {
    service: 'User=delta\nExecStop=/bin/true',
    reads: 'credentials',
    entry: (variables) => ({ credentials: variables }),
    given: asFiles,
  },
  // a file for the group, one for root alone, a rendered one, in a directory that changes
  epsilon: {
    service: `User=epsilon\n${restarts}`,
    reads: '${DIRECTORY}/files/a.key ${DIRECTORY}/config/*',
    entry: (variables, edition) => ({
      environment: { ...variables, DIRECTORY: `/run/${directoryOf(edition)}` },
      configs: { 'epsilon.txt': { template: `${templates}/epsilon.txt` } },
      files: { 'a.key': variables['A'], 'root.key': { value: variables['B'], mode: '0400' } },
      group: 'epsilon',
      runtimeDirectory: directoryOf(edition),
    }),
    given: (variables) => ({
      ...variables,
      'file:a.key': variables['A'] ?? '',
      'file:epsilon.txt': `${variables['ENTRY']}|${variables['A']}|${variables['B']}\n`,
    }),
  },
  zeta: {
    service: 'User=zeta\nExecReload=/bin/true',
    reads: '/run/unit-secrets/config/zeta/*',
    entry: ({ ENTRY, A, B }) => ({
      environment: { ENTRY, A },
      configs: { 'zeta.json': { template: `${templates}/zeta.json`, values: { B } } },
      group: 'zeta',
    }),
    given: ({ ENTRY = '', A = '', B = '' }) => ({
      ENTRY,
      A,
      'file:zeta.json': `{"entry": ${JSON.stringify(ENTRY)}, "b": ${JSON.stringify(B)}, "a": ${JSON.stringify(A.replace(/^<|>$/g, ''))}}\n`,
    }),
  },
  eta: {
    // not at once: each start is a sign-in
    service: 'DynamicUser=yes\nRestart=on-failure\nRestartSec=2s',
    reads: '${UNIT_SECRETS_DIRECTORY}/files/*',
    entry: ({ ENTRY, A, B }) => ({
      dynamicUser: 'inline',
      environment: { ENTRY, A },
      files: { 'b.key': B },
    }),
    given: ({ ENTRY = '', A = '', B = '' }) => ({ ENTRY, A, 'file:b.key': B }),
    inline: true,
  },
  theta: { service: 'User=theta\nType=oneshot\nEnvironment=REST=0.3', oneshot: true, ...inEnvironment },
  // of these two only one has an entry at a time: it is renamed
  kappa: { service: `User=kappa\n${restarts}`, ...inEnvironment },
  lambda: { service: `User=lambda\n${restarts}`, ...inEnvironment },
} as const satisfies Readonly<Record<string, Sort>>;

export type Name = keyof typeof sorts;
export const names = Object.keys(sorts) as readonly Name[];
const sortOf = (name: Name): Sort => sorts[name];
export const isOneshot = (name: Name): boolean => sortOf(name).oneshot === true;
export const isInline = (name: Name): boolean => sortOf(name).inline === true;
export const withConfig: readonly Name[] = ['epsilon', 'zeta'];

/** A unit that is generated for a service. */
export const companion = (name: Name, role: 'secrets' | 'config'): string =>
  `${name.replace(/(?=@|$)/, `-${role}`)}.service`;

/** The unit in which a service's secrets are fetched. */
export const fetchingUnit = (name: Name): string =>
  isInline(name) ? `${name}.service` : companion(name, 'secrets');

/** An entry of the manifest: its edition, or one with an error, or none. */
export type Entry = number | 'broken' | 'absent';

export interface Manifest {
  readonly entries: Readonly<Record<Name, Entry>>;
  readonly provider: '1password' | 'age-vault';
  /** A file that ends in the middle, and after which part of its length. */
  readonly cut?: { readonly file: 'main' | 'more'; readonly at: number } | undefined;
}

/** The first manifest, and the one after all was mended: everything has an entry but one of the pair. */
export function soundManifest(edition: number, absent: 'kappa' | 'lambda'): Manifest {
  const entries = Object.fromEntries(names.map((name) => [name, name === absent ? 'absent' : edition]));
  return { entries: entries as Record<Name, Entry>, provider: '1password' };
}

/** What may hold for a service under a manifest; of several, systemd and generator choose. */
export function entriesUnder(manifest: Manifest, name: Name): readonly Entry[] {
  const entry = manifest.entries[name];
  if (manifest.provider === 'age-vault' && isInline(name) && entry !== 'broken') return ['absent'];
  if (manifest.cut === undefined) return [entry];
  // what is in the other file is kept down only if it may be in this one
  const here = (manifest.cut.file === 'more') === (name === 'gamma');
  return here && entry !== 'absent' ? ['broken'] : [entry, 'broken'];
}

/** Not every character of a unit's name may be in a reference. */
const itemOf = (name: Name): string => name.replace('@', ' ');
const secretOf = (name: Name, generation: number) => (field: string) => {
  const plain = `${canary}.${name}.${field}.${generation}`;
  return field === 'b' ? `${plain} "x" 'y' $Z \${Z} %n \\ #;\n second line` : plain;
};

/** `{vault: {item: {field: value}}}`. */
export function vaultOf(generation: number): Record<string, Record<string, Record<string, string>>> {
  const items = names.map((name) => {
    const value = secretOf(name, generation);
    return [itemOf(name), { a: value('a'), b: value('b'), c: value('c') }];
  });
  return { Homelab: Object.fromEntries(items) };
}

/** Editions differ in what they need. */
function variablesOf(name: Name, edition: number, value: (field: string) => string): Variables {
  return {
    ENTRY: `${name} ${edition}`,
    A: `<${value('a')}>`,
    B: value('b'),
    ...(edition % 2 === 1 ? { C: value('c') } : {}),
  };
}

/** The manifest's files by path. */
export function manifestFiles(manifest: Manifest): Record<string, string> {
  const services = (wanted: (name: Name) => boolean) =>
    Object.fromEntries(
      names.filter(wanted).flatMap((name) => {
        const entry = manifest.entries[name];
        if (entry === 'absent' || (manifest.provider === 'age-vault' && isInline(name))) return [];
        if (entry === 'broken') return [[name, { environment: { A: 'op://' } }]];
        const variables = variablesOf(name, entry, (field) => `{{ op://Homelab/${itemOf(name)}/${field} }}`);
        return [[name, sortOf(name).entry(variables, entry)]];
      }),
    );
  const text = (file: 'main' | 'more', content: object): string => {
    const whole = `${JSON.stringify(content, undefined, 2)}\n`;
    return manifest.cut?.file === file ? whole.slice(0, Math.floor(whole.length * manifest.cut.at)) : whole;
  };
  return {
    '/etc/unit-secrets/manifest.json': text('main', {
      version: 1,
      provider: { type: manifest.provider },
      fetch: { tries: 3, timeout: '15s', retryEvery: '2s' },
      services: services((name) => name !== 'gamma'),
    }),
    '/etc/unit-secrets/manifest.d/10-more.json': text('more', {
      version: 1,
      services: services((name) => name === 'gamma'),
    }),
  };
}

/** Those of the services above: each has its own, and a group of its own. */
export const users =
  'for name in alpha beta delta epsilon zeta theta kappa lambda; do useradd --system $name; done';

/** What is written before the first boot, the manifest apart. */
export function serviceFiles(): Record<string, string | { content: string; mode: number }> {
  const units = names.map((name) => {
    const { service, reads = '' } = sortOf(name);
    const unit = `[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=${recorder} ${name} ${reads}\n${service}\n`;
    return [`/etc/systemd/system/${name.replace(/@.*/, '@')}.service`, unit];
  });
  return {
    ...Object.fromEntries(units),
    [`${templates}/epsilon.txt`]: '${ENTRY}|${A}|${B}\n',
    [`${templates}/zeta.json`]: `{"entry": "\${ENTRY}", "b": "\${B}", "a": "{{ op://Homelab/zeta/a }}"}\n`,
    [recorder]: { content: record, mode: 0o755 },
  };
}

/**
 * Tells the campaign what this service was given: its environment, the files that it is to read, and whatever else
 * of secrets it could read. In one write of less than PIPE_BUF, so that records do not mix.
 */
const record = `#!/bin/sh
name=$1; shift
given() {
  env --null
  [ "$1" != credentials ] || set -- "$CREDENTIALS_DIRECTORY/*"
  for pattern; do
    for file in $pattern; do
      [ ! -f "$file" ] || { printf 'file:%s=' "\${file##*/}"; cat "$file"; printf '\\0'; }
    done
  done
  find /run/unit-secrets/secrets /run/unit-secrets/config /run/unit-secrets/inline /run/unit-secrets/queue \\
    /run/unit-secrets/token /run/credentials ${runtimeDirectories.map((path) => `/run/${path}`).join(' ')} \\
    -type f -readable -printf 'readable:%p=\\0' 2>/dev/null
}
printf '%s %s\\n' "$name" "$(given "$@" | base64 --wrap=0)" >${recordsPath}
exec sleep "\${REST:-infinity}"
`;

/** One start of a service, as it told of it. */
export interface StartRecord {
  readonly name: Name;
  readonly given: Given;
  readonly readable: readonly string[];
}

export function parseRecord(line: string): StartRecord {
  const [name = '', encoded = ''] = line.split(' ');
  if (!names.includes(name as Name)) throw new Error(`a record of nobody: ${line.slice(0, 100)}`);
  const pairs = Buffer.from(encoded, 'base64')
    .toString('utf8')
    .split('\0')
    .filter((pair) => pair !== '')
    .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const);
  return {
    name: name as Name,
    given: Object.fromEntries(pairs.filter(([key]) => !key.startsWith('readable:'))),
    readable: pairs
      .filter(([key]) => key.startsWith('readable:'))
      .map(([key]) => key.slice('readable:'.length)),
  };
}

/** Whose values are in a text, and of which generations. */
export function canariesIn(text: string): { names: Set<string>; generations: Set<number> } {
  const found = [...text.matchAll(canaries)];
  return {
    names: new Set(found.map(([, name = '']) => name)),
    generations: new Set(found.map(([, , generation]) => Number(generation))),
  };
}

export interface Circumstances {
  /** The entries that the loaded manifest can have had. */
  readonly entries: ReadonlySet<Entry>;
  /** Nothing older than this may be seen any more, nothing newer is there yet. */
  readonly generations: { readonly from: number; readonly to: number };
  /** Its set was replaced in place while it started, so it may have seen something of both. */
  readonly replaced: boolean;
}

/** The generation that a service has started with, undefined without secrets; or what is wrong. */
export function judge(
  { name, given, readable }: StartRecord,
  { entries, generations, replaced }: Circumstances,
): { readonly generation: number | undefined } | { readonly wrong: string } {
  const mine = (path: string): boolean => isOwnPath(name, path);
  const foreign = readable.find((path) => !mine(path));
  if (foreign !== undefined) return { wrong: `can read ${foreign}` };
  const found = canariesIn(JSON.stringify(given));
  const strangers = [...found.names].filter((other) => other !== name);
  if (strangers.length > 0) return { wrong: `was given values of ${strangers.join(', ')}` };
  const interesting = Object.fromEntries(
    Object.entries(given).filter(
      ([key]) => /^(?:ENTRY|A|B|C)$/.test(key) || (key.startsWith('file:') && key !== 'file:1password-token'),
    ),
  );
  if (Object.keys(interesting).length === 0) {
    return entries.has('absent') ? { generation: undefined } : { wrong: 'was started without its secrets' };
  }
  const [generation, ...others] = [...found.generations].sort((a, b) => b - a);
  const entry = given['ENTRY'] ?? given['file:ENTRY'] ?? '';
  const edition = Number(entry.split(' ').at(-1));
  if (generation === undefined) return { wrong: `was given no value, only ${shown(interesting)}` };
  if (others.length > 0) {
    return replaced
      ? { generation }
      : { wrong: `was given values of generations ${[generation, ...others].join(' and ')} in one start` };
  }
  const expected = sortOf(name).given(variablesOf(name, edition, secretOf(name, generation)), edition);
  if (!isDeepStrictEqual(interesting, { ...expected }) && !replaced) {
    return { wrong: `was given ${shown(interesting)} where its entry says ${shown(expected)}` };
  }
  if (!entries.has(edition)) {
    return {
      wrong: `was started with the secrets of edition ${edition} where the manifest has ${[...entries].join(' or ')}`,
    };
  }
  if (generation < generations.from)
    return { wrong: `was given generation ${generation} after ${generations.from}` };
  if (generation > generations.to)
    return { wrong: `was given generation ${generation}, of which nobody knows yet` };
  return { generation };
}

/** Whether a path is of a place that belongs to a service, which its users may read from. */
export function isOwnPath(name: Name, path: string): boolean {
  const places = [
    `/run/credentials/${name}.service/`,
    `/run/unit-secrets/secrets/${name}/`,
    `/run/unit-secrets/config/${name}/`,
    `/run/unit-secrets/inline/${name}/`,
    ...(name === 'epsilon' ? runtimeDirectories.map((directory) => `/run/${directory}/`) : []),
  ];
  return places.some((place) => path.startsWith(place));
}

const shown = (given: Given): string => JSON.stringify(given);

/** How long a record may be: one write(2) of so much is never mixed with another (pipe(7)). */
export const longestRecord = 4096;

/** What may be below the places of secrets, as `MODE USER:GROUP TYPE PATH` with the path relative to /run. */
export const allowedFiles = [
  '711 root:root d unit-secrets',
  '755 root:root d unit-secrets/(?:secrets|config|inline)',
  '700 root:root d unit-secrets/(?:token|queue)',
  // in a directory that is root's alone
  String.raw`600 root:(?:root|epsilon|zeta) f unit-secrets/queue/\S+`,
  String.raw`7[05]0 root:(?:root|epsilon|zeta) d unit-secrets/queue/fetch\.lock`,
  '[46]00 root:root f unit-secrets/token/[^/]+',
  '600 root:root f unit-secrets/filler',
  `700 root:root d unit-secrets/secrets/${one('alpha|beta|gamma|delta@1|eta|theta|kappa|lambda')}`,
  '7[01]0 root:(?:root|epsilon|zeta) d unit-secrets/secrets/(?:epsilon|zeta)',
  `600 root:(?:root|epsilon|zeta) f (?:unit-secrets/secrets/[^/]+|${one(runtimeDirectories.join('|'))})/env`,
  String.raw`600 root:(?:root|epsilon|zeta) f unit-secrets/(?:secrets|config)/[^/]+/\.ok-[0-9a-f]+`,
  String.raw`400 root:(?:root|epsilon|zeta) f unit-secrets/secrets/(?:epsilon|zeta)/\.(?:values\.json|runtime-directories)`,
  `700 root:root d unit-secrets/secrets/${one('gamma|delta@1')}/credentials`,
  `400 root:root f unit-secrets/secrets/${one('gamma|delta@1')}/credentials/(?:ENTRY|A|B|C)`,
  '700 root:root d unit-secrets/secrets/gamma/files',
  String.raw`400 root:root f unit-secrets/secrets/gamma/files/c\.key`,
  `7[015]0 root:(?:root|epsilon|zeta) d (?:unit-secrets/config/(?:epsilon|zeta)|${one(runtimeDirectories.join('|'))}(?:/(?:config|files))?)`,
  `440 root:epsilon f ${one(runtimeDirectories.join('|'))}/files/a\\.key`,
  `400 root:(?:root|epsilon|zeta) f ${one(runtimeDirectories.join('|'))}/files/root\\.key`,
  `640 root:(?:epsilon|zeta) f (?:unit-secrets/config/zeta/zeta\\.json|${one(runtimeDirectories.join('|'))}/config/epsilon\\.txt)`,
  // what is written aside has its final mode from birth
  String.raw`700 root:(?:root|epsilon|zeta) d \S*/\.unit-secrets-new`,
  String.raw`(?:400|440|600|640) root:(?:root|epsilon|zeta) f \S*/\.unit-secrets-new/\S+`,
  // a dynamic user's own; systemd makes it as root's, empty
  '755 root:root d unit-secrets/inline/eta',
  '7[05][05] dynamic:dynamic d unit-secrets/inline/eta',
  String.raw`600 dynamic:dynamic f unit-secrets/inline/eta/(?:env|\.\S+)`,
  String.raw`700 dynamic:dynamic d unit-secrets/inline/eta/(?:files|\.unit-secrets-new)`,
  String.raw`[46]00 dynamic:dynamic f unit-secrets/inline/eta/\S+/\S+`,
].map((pattern) => new RegExp(`^${pattern}$`));

function one(alternatives: string): string {
  return `(?:${alternatives})`;
}
