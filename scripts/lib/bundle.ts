import { copyFileSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';

/**
 * Bundles src/main.ts and all that it needs into `main.cjs` in a directory, the SDK's WebAssembly beside it.
 * What is imported lazily is also evaluated lazily, in one file.
 */
export async function bundle(
  repository: string,
  directory: string,
): Promise<{ readonly metafile: Metafile }> {
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    version: string;
  };
  return build({
    entryPoints: ['src/main.ts'],
    absWorkingDir: repository,
    outfile: join(directory, 'main.cjs'),
    bundle: true,
    format: 'cjs',
    platform: 'node',
    // the other form of jsonc-parser (UMD) hides its imports from a bundler
    mainFields: ['module', 'main'],
    target: 'es2024',
    minify: true,
    legalComments: 'none',
    metafile: true,
    define: { __UNIT_SECRETS_VERSION__: JSON.stringify(version) },
    plugins: [embedWebAssembly(directory)],
    logLevel: 'warning',
  });
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
