import {
  chmodSync,
  copyFileSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildProgram } from '../src/cli/command-line.ts';
import { completionText } from '../src/cli/completion.ts';
import { fragmentSchemaText, schemaText } from '../src/cli/schema.ts';
import { repository } from './release.ts';

/** A file to install: its content, or the path of the file to copy; or a link. Mode 0644 if not said. */
export type Entry =
  | { readonly content: string | Uint8Array; readonly mode?: number }
  | { readonly from: string; readonly mode?: number }
  | { readonly link: string };

/** Files by the paths at which they are installed. */
export type Tree = Readonly<Record<string, Entry>>;

const documents = '/usr/share/doc/unit-secrets';

/** What every package for a system installs. */
export function commonTree(executable: string, bom: string, notices: string): Tree {
  const program = buildProgram(() => {});
  return {
    '/usr/bin/unit-secrets': { from: executable, mode: 0o755 },
    '/usr/lib/systemd/system-generators/unit-secrets-generator': { link: '../../../bin/unit-secrets' },
    '/usr/share/unit-secrets/manifest.schema.json': { content: schemaText() },
    '/usr/share/unit-secrets/fragment.schema.json': { content: fragmentSchemaText() },
    '/usr/share/bash-completion/completions/unit-secrets': { content: completionText('bash', program) },
    '/usr/share/fish/vendor_completions.d/unit-secrets.fish': { content: completionText('fish', program) },
    ...manualPages(),
    ...examples(),
    [`${documents}/unit-secrets.cdx.json`]: { content: bom },
    ...document('third-party-notices.gz', notices),
  };
}

/** The completion for zsh, which each distribution keeps elsewhere. */
export function zshCompletion(directory: string): Tree {
  return {
    [`${directory}/_unit-secrets`]: {
      content: completionText(
        'zsh',
        buildProgram(() => {}),
      ),
    },
  };
}

/** A document, compressed if its name ends with `.gz`. */
export function document(name: string, text: string): Tree {
  return { [`${documents}/${name}`]: { content: name.endsWith('.gz') ? compress(text) : text } };
}

export function readText(path: string): string {
  return readFileSync(join(repository, path), 'utf8');
}

function manualPages(): Tree {
  const names = readdirSync(join(repository, 'man'));
  return Object.fromEntries(
    names.map((name) => [
      `/usr/share/man/man${name.slice(-1)}/${name}.gz`,
      { content: compress(readText(`man/${name}`)) },
    ]),
  );
}

function examples(): Tree {
  const directory = join(repository, 'examples');
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  return Object.fromEntries(
    files.map((file) => {
      const path = join(file.parentPath, file.name);
      const content = readFileSync(path);
      const mode = content.toString('latin1').startsWith('#!') ? 0o755 : 0o644;
      return [`${documents}/examples/${path.slice(directory.length + 1)}`, { content, mode }];
    }),
  );
}

/** Without a name and a time: the same bytes each time. */
function compress(text: string): Uint8Array {
  return gzipSync(text, { level: 9 });
}

/** Writes a tree; everything in it bears the time, in seconds since 1970. */
export function writeTree(root: string, tree: Tree, time: number): void {
  const directories = new Set([root]);
  for (const [path, entry] of Object.entries(tree)) {
    const full = join(root, path);
    for (let parent = dirname(full); parent.length > root.length; parent = dirname(parent))
      directories.add(parent);
    mkdirSync(dirname(full), { recursive: true });
    if ('link' in entry) {
      symlinkSync(entry.link, full);
      lutimesSync(full, time, time);
      continue;
    }
    if ('from' in entry) copyFileSync(entry.from, full);
    else writeFileSync(full, entry.content);
    chmodSync(full, entry.mode ?? 0o644);
    utimesSync(full, time, time);
  }
  for (const directory of directories) {
    chmodSync(directory, 0o755);
    utimesSync(directory, time, time);
  }
}
