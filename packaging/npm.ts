import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Arch } from '../scripts/lib/bun.ts';
import { fragmentSchemaText, schemaText } from '../src/cli/schema.ts';
import { type Release, repository } from './release.ts';
import { readText, type Tree, writeTree } from './tree.ts';

/** The package that has the executable of an architecture. */
export function npmNameOf(arch: Arch): string {
  return `unit-secrets-linux-${arch}`;
}

interface NpmOptions {
  readonly release: Release;
  readonly work: string;
  readonly output: string;
}

/**
 * Makes the package that people install: it starts the executable, which comes as one of its optional
 * dependencies. npm takes the one for the machine's architecture; no script is run and nothing else fetched.
 */
export function makeNpmPackage(options: NpmOptions, copyright: string): string {
  const { release } = options;
  const pages = readdirSync(join(repository, 'man'));
  const manifest = {
    ...common('unit-secrets', release),
    bin: { 'unit-secrets': 'bin/unit-secrets.cjs' },
    man: pages.map((name) => `man/${name}`),
    engines: { node: '>=18' },
    optionalDependencies: Object.fromEntries(
      (['x64', 'arm64'] as const).map((arch) => [npmNameOf(arch), release.version]),
    ),
  };
  return pack(options, 'unit-secrets', {
    '/package.json': { content: json(manifest) },
    '/README.md': { content: readText('packaging/npm/README.md') },
    '/LICENSE': { content: copyright },
    '/bin/unit-secrets.cjs': { content: readText('packaging/npm/unit-secrets.cjs'), mode: 0o755 },
    '/manifest.schema.json': { content: schemaText() },
    '/fragment.schema.json': { content: fragmentSchemaText() },
    ...Object.fromEntries(pages.map((name) => [`/man/${name}`, { content: readText(`man/${name}`) }])),
  });
}

/** Makes the package with the executable of one architecture. */
export function makeNpmExecutable(
  options: NpmOptions,
  arch: Arch,
  executable: string,
  { copyright, notices, bom }: { readonly copyright: string; readonly notices: string; readonly bom: string },
): string {
  const name = npmNameOf(arch);
  return pack(options, name, {
    '/package.json': {
      content: json({
        ...common(name, options.release),
        cpu: [arch],
        libc: ['glibc'],
        preferUnplugged: true,
      }),
    },
    '/README.md': { content: `The executable of unit-secrets for Linux (${arch}): install unit-secrets.\n` },
    '/LICENSE': { content: copyright },
    '/THIRD-PARTY-NOTICES': { content: notices },
    '/unit-secrets.cdx.json': { content: bom },
    '/bin/unit-secrets': { from: executable, mode: 0o755 },
  });
}

function common(name: string, { version, summary }: Release): object {
  return { name, version, description: summary, license: 'MIT', os: ['linux'] };
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** npm gives all files in a package one time. */
function pack({ release, work, output }: NpmOptions, name: string, tree: Tree): string {
  const directory = join(work, name);
  mkdirSync(directory);
  writeTree(directory, tree, release.time);
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--loglevel=error', `--pack-destination=${output}`], {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  ) as { readonly filename: string; readonly files: readonly { readonly path: string }[] }[];
  if (packed === undefined) throw new Error(`npm pack gave no file for ${name}`);
  const missing = Object.keys(tree).filter((path) => !packed.files.some((file) => `/${file.path}` === path));
  if (missing.length > 0) throw new Error(`npm pack left out ${missing.join(', ')} of ${name}`);
  return join(output, packed.filename);
}
