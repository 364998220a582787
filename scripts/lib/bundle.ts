import { copyFileSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { commitOf } from './commit.ts';

/**
 * The sources that are bundled each with all that they need; the first is the entry point. The engine looks at
 * the whole text of a bundle before it runs any of it, and fifty fetchers that wait at boot each keep theirs in
 * memory: so what boot runs often is small, and begins with nothing else.
 */
const entries = {
  main: 'src/main.ts',
  fetch: 'src/cli/fetch.ts',
  render: 'src/cli/render.ts',
  'resolve-child': 'src/cli/resolve-child.ts',
  'age-vault': 'src/effects/age-vault-provider.ts',
  'json-tree': 'src/domain/json-tree.ts',
  cli: 'src/cli/command-line.ts',
  // an error that one bundle throws is one that another catches
  failure: 'src/domain/failure.ts',
} as const;

/** The bundles, in a directory; the first is the entry point. */
export const bundles = Object.keys(entries).map((name) => `${name}.cjs`);

/**
 * Bundles the sources for the compiler, with the SDK's WebAssembly beside them. Where one of the bundles is
 * imported lazily, it is left to be loaded then; what else is imported lazily is evaluated lazily.
 *
 * @returns the npm packages of which something is in a bundle, as package-lock.json names them
 *   (`node_modules/ini`)
 */
export async function bundle(repository: string, directory: string): Promise<readonly string[]> {
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    version: string;
  };
  const commit = commitOf(repository);
  const packages = new Set<string>();
  for (const [name, entry] of Object.entries(entries)) {
    const { metafile } = await build({
      entryPoints: [entry],
      absWorkingDir: repository,
      outfile: join(directory, `${name}.cjs`),
      bundle: true,
      format: 'cjs',
      platform: 'node',
      // the other form of jsonc-parser (UMD) hides its imports from a bundler
      mainFields: ['module', 'main'],
      target: 'es2024',
      // else Bun would take the other bundle for a module in another form
      supported: { 'dynamic-import': false },
      minify: true,
      legalComments: 'none',
      define: {
        __UNIT_SECRETS_VERSION__: JSON.stringify(version),
        __UNIT_SECRETS_COMMIT__: JSON.stringify(commit),
      },
      plugins: [leaveToOtherBundles(repository), embedWebAssembly(directory)],
      metafile: true,
      logLevel: 'warning',
    });
    for (const output of Object.values(metafile.outputs)) {
      for (const path of Object.keys(output.inputs)) {
        const inPackage = /\bnode_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path);
        if (inPackage) packages.add(inPackage[0]);
      }
    }
  }
  return [...packages].sort();
}

/** What a lazy import begins, and the one module that must be the same for all of them. */
function leaveToOtherBundles(repository: string): Plugin {
  const names = new Map(
    Object.entries(entries).map(([name, entry]) => [join(repository, entry), `./${name}.cjs`]),
  );
  const shared = join(repository, entries.failure);
  return {
    name: 'leave-to-other-bundles',
    setup(api) {
      api.onResolve({ filter: /^\.{1,2}\/.*\.ts$/ }, ({ path, resolveDir, kind }) => {
        const source = join(resolveDir, path);
        const other = names.get(source);
        if (other === undefined || kind === 'entry-point') return undefined;
        if (kind !== 'dynamic-import' && source !== shared) return undefined;
        return { path: other, external: true };
      });
    },
  };
}

const read = "const path = require('path').join(__dirname, 'core_bg.wasm');";
const asset = './core_bg.bin';

/**
 * The SDK reads its WebAssembly from beside its own source, by a path that would be the build machine's.
 * Instead Bun embeds the file; a name that is not `.wasm` makes it a plain file.
 */
function embedWebAssembly(directory: string): Plugin {
  return {
    name: 'embed-webassembly',
    setup(api) {
      api.onLoad({ filter: /sdk-core\/nodejs\/core\.js$/ }, ({ path }) => {
        const source = readFileSync(path, 'utf8');
        if (source.split(read).length !== 2) {
          throw new Error(
            `${path} should read its WebAssembly in one place: this version of the SDK needs another look`,
          );
        }
        copyFileSync(join(dirname(path), 'core_bg.wasm'), join(directory, asset));
        return { contents: source.replace(read, `const path = require('${asset}');`), loader: 'js' };
      });
      // for Bun to find
      api.onResolve({ filter: /^\.\/core_bg\.bin$/ }, () => ({ path: asset, external: true }));
    },
  };
}
