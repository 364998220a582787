import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

/** One import as written in one of our files. */
export interface Import {
  /** The importing file, below the repository. */
  readonly from: string;
  /**
   * A file of ours below the repository, or the name of a package or of a part of Node (`node:fs`). What is
   * none of these (an absolute path) is as it is written.
   */
  readonly to: string;
  /** Loaded with the importing file, only when it is called, or only by the type checker. */
  readonly kind: 'eager' | 'lazy' | 'type';
}

/** Every import in a set of files, given by their paths below the repository. */
export async function importsOf(repository: string, files: readonly string[]): Promise<readonly Import[]> {
  const sources = new Map(files.map((file) => [file, readFileSync(join(repository, file), 'utf8')]));
  const found: Import[] = [];
  for (const [file, source] of sources) {
    if (/\bimport\((?!')|\brequire\(|\bcreateRequire\b|\bgetBuiltinModule\((?!')/.test(source)) {
      throw new Error(`${file} imports something in a way that is not seen here`);
    }
    for (const [, name = ''] of source.matchAll(/\bgetBuiltinModule\('([^']+)'\)/g)) {
      found.push({ from: file, to: name, kind: 'lazy' });
    }
  }
  const atRunTime = await resolvedImports(repository, sources);
  found.push(...atRunTime);
  const asIfValues = new Map(
    [...sources].map(([file, source]) => [
      file,
      source.replace(/^(import|export(?= type [{*])) type /gm, '$1 '),
    ]),
  );
  for (const one of await resolvedImports(repository, asIfValues)) {
    if (!atRunTime.some(({ from, to }) => from === one.from && to === one.to)) {
      found.push({ ...one, kind: 'type' });
    }
  }
  return found;
}

async function resolvedImports(
  repository: string,
  sources: ReadonlyMap<string, string>,
): Promise<readonly Import[]> {
  const found: Import[] = [];
  await build({
    entryPoints: [...sources.keys()],
    absWorkingDir: repository,
    bundle: true,
    write: false,
    outdir: 'unused',
    format: 'esm',
    platform: 'node',
    logLevel: 'silent',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    plugins: [
      {
        name: 'record-imports',
        setup(api) {
          api.onResolve({ filter: /.*/ }, ({ path, importer, kind }) => {
            if (kind === 'entry-point') return { path: join(repository, path) };
            const to = path.startsWith('.')
              ? relative(repository, join(dirname(importer), path))
              : nameOf(path);
            found.push({
              from: relative(repository, importer),
              to,
              kind: kind === 'dynamic-import' ? 'lazy' : 'eager',
            });
            return { path, external: true };
          });
          api.onLoad({ filter: /\.ts$/ }, ({ path }) => ({
            contents: sources.get(relative(repository, path)) ?? '',
            loader: 'ts',
          }));
        },
      },
    ],
  });
  return found;
}

/** `@scope/name/part` and `name/part` are parts of a package; `fs` is `node:fs`. */
function nameOf(path: string): string {
  if (path.startsWith('/') || path.startsWith('file:')) return path;
  if (isBuiltin(path)) return path.startsWith('node:') ? path : `node:${path}`;
  return path
    .split('/')
    .slice(0, path.startsWith('@') ? 2 : 1)
    .join('/');
}

/** What each layer may import beside itself. */
const layers: Readonly<Record<string, readonly string[]>> = {
  'src/domain/': [],
  'src/unit/': ['src/domain/'],
  'src/effects/': ['src/domain/', 'src/unit/'],
  'src/fetch/': ['src/domain/', 'src/unit/', 'src/effects/'],
  'generators/': ['src/domain/', 'src/unit/', 'src/effects/'],
  'src/cli/': ['src/domain/', 'src/unit/', 'src/effects/', 'src/fetch/', 'generators/'],
  'src/main.ts': ['src/domain/', 'src/unit/', 'src/effects/', 'src/fetch/', 'generators/', 'src/cli/'],
};
/** Beside the layers: a constant for all. */
const shared = 'src/version.ts';

export function upwardImports(imports: readonly Import[]): readonly string[] {
  return imports
    .filter(({ to }) => isOurs(to) && to !== shared)
    .filter(({ from, to }) => {
      const [upper, lower] = [layerOf(from), layerOf(to)];
      return upper !== lower && !layers[upper]?.includes(lower);
    })
    .map(describe);
}

function layerOf(file: string): string {
  const layer = Object.keys(layers).find((prefix) => file.startsWith(prefix));
  if (layer === undefined) throw new Error(`${file} is in none of the layers`);
  return layer;
}

/** The domain and the unit model are pure: they may compute, and nothing else; the latter on its own. */
export function impureImports(imports: readonly Import[]): readonly string[] {
  return imports
    .filter(
      ({ from, to }) =>
        (from.startsWith('src/domain/') && isRuntime(to)) || (from.startsWith('src/unit/') && !isOurs(to)),
    )
    .map(describe);
}

/** A package is known to one file, so that it can be replaced there. */
export function packagesImportedTwice(imports: readonly Import[]): readonly string[] {
  const users = new Map<string, Set<string>>();
  for (const { from, to } of imports.filter(isOfPackage)) {
    users.set(to, (users.get(to) ?? new Set()).add(from));
  }
  return [...users]
    .filter(([, files]) => files.size > 1)
    .map(([name, files]) => `${name} is imported by ${[...files].sort().join(' and ')}`);
}

/** Paths out of the repository or into node_modules, and packages that package.json does not name. */
export function strangeImports(
  imports: readonly Import[],
  packages: readonly string[],
  files: readonly string[],
): readonly string[] {
  return imports
    .filter(({ to }) => !isRuntime(to) && !files.includes(to) && !packages.includes(to))
    .map(describe);
}

/** `import()` of a CommonJS package loses its named exports in the bundle: a file of ours is to import it. */
export function lazyPackages(imports: readonly Import[]): readonly string[] {
  return imports.filter((one) => one.kind === 'lazy' && isOfPackage(one)).map(describe);
}

/**
 * What is loaded at once with a file: its imports, theirs and so on. With `lazy` also what may be loaded
 * later.
 */
export function loadedWith(
  imports: readonly Import[],
  entry: string,
  options: { readonly lazy: boolean } = { lazy: false },
): ReadonlySet<string> {
  const loaded = new Set([entry]);
  for (const file of loaded) {
    for (const { from, to, kind } of imports) {
      if (from === file && (kind === 'eager' || (options.lazy && kind === 'lazy'))) loaded.add(to);
    }
  }
  return loaded;
}

function isOurs(name: string): boolean {
  return name.startsWith('src/') || name.startsWith('generators/');
}

function isOfPackage({ to }: Import): boolean {
  return !isOurs(to) && !isRuntime(to);
}

/** A part of Node, or of Bun, which is what runs us in the end. */
function isRuntime(name: string): boolean {
  return name.startsWith('node:') || name === 'bun:ffi';
}

function describe({ from, to }: Import): string {
  return `${from} imports ${to}`;
}
