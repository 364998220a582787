import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Import,
  importsOf,
  impureImports,
  loadedWith,
  packagesImportedTwice,
  upwardImports,
} from './imports.ts';

const repository = join(import.meta.dirname, '../..');
const generator = 'generators/unit-secrets-generator.ts';

const files = ['src', 'generators'].flatMap((directory) =>
  readdirSync(join(repository, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1)),
);

let imports: readonly Import[];
beforeAll(async () => {
  imports = await importsOf(repository, files);
});

test('every import was seen', () => {
  expect(imports).toContainEqual({ from: 'src/cli/fetch.ts', to: 'src/fetch/fetch.ts', lazy: false });
  expect(imports).toContainEqual({ from: 'src/main.ts', to: 'src/cli/entry.ts', lazy: true });
  expect(imports).toContainEqual({ from: 'src/effects/lock.ts', to: 'proper-lockfile', lazy: false });
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

describe('the boot path', () => {
  test('loads with the generator no third-party package', () => {
    const foreign = [...loadedWith(imports, generator)].filter((name) => !files.includes(name));
    // every other part of Node takes a millisecond or two to load: see bench/generator.ts
    expect(foreign).toEqual(['node:fs']);
  });

  test('can reach but one package even when something is odd: the parser that knows positions', () => {
    const all = imports.map((one) => ({ ...one, lazy: false }));
    const reached = [...loadedWith(all, generator)].filter(
      (name) => !files.includes(name) && !name.startsWith('node:'),
    );
    expect(reached).toEqual(['jsonc-parser']);
  });

  test('is all that main.ts loads at once', () => {
    const loaded = loadedWith(imports, 'src/main.ts');
    expect(
      [...loaded].filter((name) => name.startsWith('src/cli/') || name.startsWith('src/fetch/')),
    ).toEqual([]);
  });
});

describe('the checks can fail', () => {
  const one = (from: string, to: string, lazy = false): Import => ({ from, to, lazy });

  test('an import upwards', () => {
    expect(upwardImports([one('src/domain/a.ts', 'src/effects/b.ts')])).toHaveLength(1);
    expect(upwardImports([one('src/effects/a.ts', 'src/domain/b.ts')])).toEqual([]);
    expect(() => upwardImports([one('src/elsewhere/a.ts', 'src/domain/b.ts')])).toThrow('none of the layers');
  });

  test('I/O in the domain', () => {
    expect(impureImports([one('src/unit/a.ts', 'node:fs')])).toHaveLength(1);
  });

  test('a package in two files', () => {
    expect(packagesImportedTwice([one('src/a.ts', 'ini'), one('src/b.ts', 'ini')])).toHaveLength(1);
  });

  test('a package that the generator would load by a detour', () => {
    const detour = [
      one(generator, 'src/effects/a.ts'),
      one('src/effects/a.ts', 'commander'),
      one(generator, 'x', true),
    ];
    expect([...loadedWith(detour, generator)]).toEqual([generator, 'src/effects/a.ts', 'commander']);
  });
});
