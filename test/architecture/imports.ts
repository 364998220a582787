import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

/** One import as written in one of our files. */
export interface Import {
  /** The importing file, below the repository. */
  readonly from: string;
  /** A file of ours below the repository, or the name of a package or of a part of Node (`node:fs`). */
  readonly to: string;
  readonly lazy: boolean;
}

/** Every import in a set of files and in what they import of ours; types alone count as nothing, as they are gone at run time. */
export async function importsOf(
  repository: string,
  entryPoints: readonly string[],
): Promise<readonly Import[]> {
  const found: Import[] = [];
  await build({
    entryPoints: [...entryPoints],
    absWorkingDir: repository,
    bundle: true,
    write: false,
    outdir: 'unused',
    format: 'esm',
    platform: 'node',
    logLevel: 'silent',
    plugins: [
      {
        name: 'record-imports',
        setup(api) {
          api.onResolve({ filter: /.*/ }, ({ path, importer, kind }) => {
            if (kind === 'entry-point') return undefined;
            const ours = path.startsWith('.');
            const to = ours ? relative(repository, join(dirname(importer), path)) : packageOf(path);
            found.push({ from: relative(repository, importer), to, lazy: kind === 'dynamic-import' });
            return ours ? undefined : { path, external: true };
          });
        },
      },
    ],
  });
  return found;
}

/** `@scope/name/part` and `name/part` are parts of a package. */
function packageOf(path: string): string {
  if (path.startsWith('node:')) return path;
  return path
    .split('/')
    .slice(0, path.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Lower ones know nothing of higher ones. */
const layers = [
  'src/domain/',
  'src/unit/',
  'src/effects/',
  'src/fetch/',
  'generators/',
  'src/cli/',
  'src/main.ts',
];
/** Beside the layers: a constant for all. */
const shared = ['src/version.ts'];

export function upwardImports(imports: readonly Import[]): readonly string[] {
  const layerOf = (file: string): number => {
    if (shared.includes(file)) return -1;
    const layer = layers.findIndex((prefix) => file.startsWith(prefix));
    if (layer < 0) throw new Error(`${file} is in none of the layers`);
    return layer;
  };
  return imports
    .filter(({ to }) => to.startsWith('src/') || to.startsWith('generators/'))
    .filter(({ from, to }) => layerOf(to) > layerOf(from))
    .map(({ from, to }) => `${from} imports ${to}`);
}

/** The domain and the unit model are pure: they may compute, and nothing else. */
export function impureImports(imports: readonly Import[]): readonly string[] {
  return imports
    .filter(({ from }) => from.startsWith('src/domain/') || from.startsWith('src/unit/'))
    .filter(({ to }) => to.startsWith('node:'))
    .map(({ from, to }) => `${from} imports ${to}`);
}

export function packagesImportedTwice(imports: readonly Import[]): readonly string[] {
  const users = new Map<string, Set<string>>();
  for (const { from, to } of imports) {
    if (isOurs(to) || to.startsWith('node:')) continue;
    users.set(to, (users.get(to) ?? new Set()).add(from));
  }
  return [...users]
    .filter(([, files]) => files.size > 1)
    .map(([name, files]) => `${name} is imported by ${[...files].sort().join(' and ')}`);
}

/** What is loaded at once with a file: its imports, theirs and so on, without those that wait to be called. */
export function loadedWith(imports: readonly Import[], entry: string): ReadonlySet<string> {
  const loaded = new Set([entry]);
  for (const file of loaded) {
    for (const { from, to, lazy } of imports) if (from === file && !lazy) loaded.add(to);
  }
  return loaded;
}

function isOurs(name: string): boolean {
  return name.startsWith('src/') || name.startsWith('generators/');
}
