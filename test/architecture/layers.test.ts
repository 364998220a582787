import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/temporary.ts';
import {
  type Import,
  importsOf,
  impureImports,
  lazyPackages,
  loadedWith,
  packagesImportedTwice,
  strangeImports,
  upwardImports,
} from './imports.ts';

const repository = join(import.meta.dirname, '../..');
const generator = 'generators/unit-secrets-generator.ts';

const files = ['src', 'generators'].flatMap((directory) =>
  readdirSync(join(repository, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1)),
);
const { devDependencies } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
  devDependencies: Readonly<Record<string, string>>;
};
const packages = Object.keys(devDependencies);

let imports: readonly Import[];
beforeAll(async () => {
  imports = await importsOf(repository, files);
});

test('every import was seen', () => {
  expect(imports).toContainEqual({ from: 'src/cli/fetch.ts', to: 'src/fetch/fetch.ts', kind: 'eager' });
  expect(imports).toContainEqual({ from: 'src/main.ts', to: 'src/cli/entry.ts', kind: 'lazy' });
  expect(imports).toContainEqual({
    from: 'src/effects/lock-directory.ts',
    to: 'proper-lockfile',
    kind: 'eager',
  });
  expect(imports).toContainEqual({
    from: 'src/effects/onepassword-provider.ts',
    to: 'src/domain/provider.ts',
    kind: 'type',
  });
});

test('no layer imports upwards', () => {
  expect(upwardImports(imports)).toEqual([]);
});

test('the domain and the unit model do no I/O', () => {
  expect(impureImports(imports)).toEqual([]);
});

test('each third-party package is imported by one file', () => {
  expect(packagesImportedTwice(imports)).toEqual([]);
});

test('what is imported is a file of ours, a part of Node or a package of package.json', () => {
  expect(strangeImports(imports, packages, files)).toEqual([]);
});

test('only files of ours are imported lazily', () => {
  expect(lazyPackages(imports)).toEqual([]);
});

describe('the boot path', () => {
  const notOurs = (loaded: ReadonlySet<string>): readonly string[] =>
    [...loaded].filter((name) => !files.includes(name)).sort();

  test('loads with the generator no third-party package', () => {
    // every other part of Node takes a millisecond or two to load: see bench/generator.ts
    expect(notOurs(loadedWith(imports, generator))).toEqual(['node:fs']);
  });

  test('can reach but one package even when something is odd: the parser that knows positions', () => {
    expect(notOurs(loadedWith(imports, generator, { lazy: true }))).toEqual([
      'jsonc-parser',
      'node:crypto',
      'node:fs',
      'node:tty',
    ]);
    const loaded = loadedWith(imports, generator);
    const laterFiles = imports.filter(
      ({ from, to, kind }) => kind === 'lazy' && loaded.has(from) && files.includes(to),
    );
    expect(laterFiles).toEqual([
      { from: 'src/effects/read-manifest.ts', to: 'src/domain/json-tree.ts', kind: 'lazy' },
    ]);
  });

  test('is all that main.ts loads at once', () => {
    const loaded = loadedWith(imports, 'src/main.ts');
    expect(
      [...loaded].filter((name) => name.startsWith('src/cli/') || name.startsWith('src/fetch/')),
    ).toEqual([]);
    expect(notOurs(loaded)).toEqual(['node:fs']);
  });
});

describe('the checks can fail', () => {
  /** The imports of planted files. */
  function planted(sources: Readonly<Record<string, string>>): Promise<readonly Import[]> {
    const directory = temporaryDirectory();
    for (const [path, source] of Object.entries(sources)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), source);
    }
    return importsOf(directory, Object.keys(sources));
  }

  test.each([
    ['src/domain/a.ts', "import { b } from '../effects/b.ts';\nb();"],
    ['src/domain/a.ts', "import '../unit/b.ts';"],
    ['src/domain/a.ts', "export * from '../effects/b.ts';"],
    ['src/domain/a.ts', "import type { B } from '../effects/b.ts';\nexport const b: B = 1;"],
    ['src/unit/a.ts', "import { type B } from '../effects/b.ts';\nexport const b: B = 1;"],
    ['src/unit/a.ts', "export type { B } from '../fetch/b.ts';"],
    ['src/effects/a.ts', "await import('../fetch/b.ts');"],
    ['src/fetch/a.ts', "import '../cli/b.ts';"],
    ['src/fetch/a.ts', "import '../../generators/b.ts';"],
    ['generators/a.ts', "import '../src/fetch/b.ts';"],
    ['src/cli/a.ts', "import '../main.ts';"],
  ])('an import upwards: in %s, %s', async (path, source) => {
    expect(upwardImports(await planted({ [path]: source }))).toHaveLength(1);
  });

  test('not so downwards or sideways', async () => {
    const imports = await planted({
      'src/effects/a.ts': "import '../domain/b.ts';\nimport './b.ts';\nimport '../version.ts';",
      'src/cli/a.ts': "import '../../generators/b.ts';",
    });
    expect(imports).toHaveLength(4);
    expect(upwardImports(imports)).toEqual([]);
  });

  test('a file in none of the layers', async () => {
    const imports = await planted({ 'src/elsewhere/a.ts': "import '../domain/b.ts';" });
    expect(() => upwardImports(imports)).toThrow('none of the layers');
  });

  test.each([
    ['src/domain/a.ts', "import 'node:fs';"],
    ['src/domain/a.ts', "import 'fs/promises';"],
    ['src/domain/a.ts', "process.getBuiltinModule('node:fs');"],
    ['src/unit/a.ts', "import 'node:path';"],
    ['src/unit/a.ts', "import 'ini';"],
  ])('I/O in the domain: in %s, %s', async (path, source) => {
    expect(impureImports(await planted({ [path]: source }))).toHaveLength(1);
  });

  test('a package in two files, in one of them as a type', async () => {
    const imports = await planted({
      'src/effects/a.ts': "import 'ini';",
      'src/effects/b.ts': "import type { B } from 'ini/lib/ini.js';\nexport const b: B = 1;",
    });
    expect(packagesImportedTwice(imports)).toEqual([
      'ini is imported by src/effects/a.ts and src/effects/b.ts',
    ]);
  });

  test.each([
    "import '/usr/lib/a.js';",
    "import 'file:///usr/lib/a.js';",
    "import '../../../elsewhere/a.ts';",
    "import '../../node_modules/ini/lib/ini.js';",
    "import 'not-in-package-json';",
    "import './missing.ts';",
  ])('an import from anywhere: %s', async (source) => {
    expect(
      strangeImports(await planted({ 'src/effects/a.ts': source }), ['ini'], ['src/effects/a.ts']),
    ).toHaveLength(1);
  });

  test.each([
    "const name = 'ini';\nawait import(name);",
    "require('ini');",
    "import { createRequire } from 'node:module';\ncreateRequire('/');",
    "const name = 'node:fs';\nprocess.getBuiltinModule(name);",
  ])('an import that is not seen: %s', async (source) => {
    await expect(planted({ 'src/effects/a.ts': source })).rejects.toThrow('not seen');
  });

  test('a package that is imported lazily', async () => {
    expect(lazyPackages(await planted({ 'src/cli/a.ts': "await import('@1password/sdk');" }))).toHaveLength(
      1,
    );
  });

  test('a package that the generator would load by a detour, and one that it would not', async () => {
    const imports = await planted({
      [generator]: "import '../src/effects/a.ts';\nimport type { B } from '../src/effects/b.ts';",
      'src/effects/a.ts': "import 'commander';\nawait import('./c.ts');",
      'src/effects/b.ts': "import 'ini';",
      'src/effects/c.ts': "import 'jsonc-parser';",
    });
    expect([...loadedWith(imports, generator)]).toEqual([generator, 'src/effects/a.ts', 'commander']);
    expect([...loadedWith(imports, generator, { lazy: true })]).toContain('jsonc-parser');
  });
});
