import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const repository = join(import.meta.dirname, '../..');
const skipped = /(^|\/)(node_modules|dist|\.git)(\/|$)/;
const documents = ['.', 'docs', 'examples', 'test', 'bench', 'packaging', 'nix']
  .flatMap((directory) =>
    readdirSync(join(repository, directory), { recursive: directory !== '.', encoding: 'utf8' }).map((name) =>
      join(directory, name),
    ),
  )
  .filter((name) => name.endsWith('.md') && !skipped.test(name));

const named = (pattern: RegExp): (readonly [document: string, match: RegExpMatchArray])[] =>
  documents.flatMap((document) =>
    [...readFileSync(join(repository, document), 'utf8').matchAll(pattern)].map(
      (match) => [document, match] as const,
    ),
  );

test('no document has TypeScript run by whatever Node.js there is: that of Debian 12 and 13 cannot', () => {
  expect(documents.length).toBeGreaterThan(10);
  const found = named(/(\w+ )?\bnode [\w./-]+\.ts\b/g);
  expect(found.length).toBeGreaterThan(1);
  expect(
    found.filter(([, [, before]]) => before !== 'npx ').map(([document, [text]]) => [document, text]),
  ).toEqual([]);
});

test('what documents have scripts/bench measure is there', () => {
  const parts = named(/`scripts\/bench ([a-z]\w*)`/g).map(([, [, part = '']]) => part);
  expect(parts.length).toBeGreaterThan(3);
  expect(parts.filter((part) => !existsSync(join(repository, 'bench', `${part}.ts`)))).toEqual([]);
});

test('what documents have npm run is there', () => {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    scripts: Readonly<Record<string, string>>;
  };
  const names = named(/\bnpm run ([\w:]+)/g).map(([, [, name = '']]) => name);
  expect(names.length).toBeGreaterThan(2);
  expect(names.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
});
