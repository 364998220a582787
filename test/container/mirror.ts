/**
 * Which Debian mirror this machine uses, so that a test machine behind a mirror of its own needs no
 * setting of ours: the entry of apt's sources that serves the machine's own release.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const DEFAULT_MIRROR = 'http://deb.debian.org/debian';

/** debootstrap speaks no other protocol of apt's. */
const USABLE = /^https?:\/\//;

/** The mirror as apt is configured on this machine, else the public one. */
export async function debianMirror(
  aptDirectory = '/etc/apt',
  osRelease = '/etc/os-release',
): Promise<string> {
  const release = await readText(osRelease);
  if (!/^ID=debian$/m.test(release)) {
    return DEFAULT_MIRROR;
  }
  const codename = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1] ?? 'sid';
  for (const text of await sourceFiles(aptDirectory)) {
    const uri = mirrorOf(text, codename);
    if (uri !== undefined) {
      return uri;
    }
  }
  return DEFAULT_MIRROR;
}

/** The first address in one sources file (either format) that has packages of the suite's main part. */
export function mirrorOf(sources: string, suite: string): string | undefined {
  const entries = [...oneLineEntries(sources), ...stanzaEntries(sources)];
  return entries.find(
    ({ uri, suites, components }) =>
      USABLE.test(uri) && suites.includes(suite) && components.includes('main'),
  )?.uri;
}

interface Entry {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

/** `deb [options] URI SUITE COMPONENT…` */
function* oneLineEntries(text: string): Generator<Entry> {
  for (const line of text.split('\n')) {
    const [, uri, suite, components] =
      /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$/.exec(line.trim()) ?? [];
    if (uri !== undefined && suite !== undefined && components !== undefined) {
      yield { uri, suites: [suite], components: words(components) };
    }
  }
}

/** deb822: stanzas of `Name: values`, continued by indented lines, comment lines anywhere. */
function* stanzaEntries(text: string): Generator<Entry> {
  const uncommented = text.replaceAll(/^#.*\n?/gm, '');
  for (const stanza of uncommented.split(/\n\s*\n/)) {
    const field = (name: string): readonly string[] =>
      words(new RegExp(`^${name}:((?:.*)(?:\\n[ \\t]+.*)*)`, 'im').exec(stanza)?.[1] ?? '');
    const enabled = !field('Enabled').includes('no');
    if (enabled && field('Types').includes('deb')) {
      for (const uri of field('URIs')) {
        yield { uri, suites: field('Suites'), components: field('Components') };
      }
    }
  }
}

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

async function sourceFiles(aptDirectory: string): Promise<readonly string[]> {
  const parts = join(aptDirectory, 'sources.list.d');
  const names = await readdir(parts).catch(() => []);
  const paths = names
    .filter((name) => /\.(?:list|sources)$/.test(name))
    .sort()
    .map((name) => join(parts, name));
  return Promise.all([join(aptDirectory, 'sources.list'), ...paths].map(readText));
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
