import { copyFileSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { commitOf } from './commit.ts';

/** The bundles, in a directory; the first is the entry point. */
export const bundles = ['main.cjs', 'cli.cjs'] as const;

/**
 * Bundles the generator and the command line separately, with all that they need, the SDK's WebAssembly
 * beside them: the engine looks at the whole text of a module before it runs any of it, and the generator's
 * is small. What a bundle imports lazily is also evaluated lazily.
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
  const [main, cli] = bundles;
  const entries = [
    { entry: 'src/main.ts', outfile: main, plugins: [leaveToOtherBundle(cli)] },
    { entry: 'src/cli/entry.ts', outfile: cli, plugins: [embedWebAssembly(directory)] },
  ];
  for (const { entry, outfile, plugins } of entries) {
    const { metafile } = await build({
      entryPoints: [entry],
      absWorkingDir: repository,
      outfile: join(directory, outfile),
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
      plugins,
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

function leaveToOtherBundle(name: string): Plugin {
  return {
    name: 'leave-to-other-bundle',
    setup(api) {
      api.onResolve({ filter: /^\.\/cli\/entry\.ts$/ }, () => ({ path: `./${name}`, external: true }));
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
