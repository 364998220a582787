import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { schemaAccepts } from '../support/schema.ts';

const repository = join(import.meta.dirname, '../..');
const documents = [
  ...readdirSync(repository).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(repository, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** The heading as its address: github.com's rules, as far as our headings need them. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number} _-]/gu, '')
    .replaceAll(' ', '-');
}

test.each(documents)('what %s links to is there', (document) => {
  const text = readFileSync(join(repository, document), 'utf8');
  const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^https?:/.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#');
      const full = path === '' ? join(repository, document) : join(repository, dirname(document), path);
      if (!existsSync(full)) return true;
      if (anchor === undefined) return false;
      const headings = [...readFileSync(full, 'utf8').matchAll(/^#+ (.*)$/gm)].map(
        ([, heading = '']) => heading,
      );
      return !headings.map(anchorOf).includes(anchor);
    });
  expect(broken).toEqual([]);
});

test.each(['README.md', 'docs/architecture.md'])(
  'the files and directories that %s names are there',
  (document) => {
    const text = readFileSync(join(repository, document), 'utf8');
    const named = [
      ...text.matchAll(/`((?:src|generators|scripts|test|packaging|nix|docs|fixtures)\/[\w./-]*)`/g),
    ].map(([, path = '']) => path);
    expect(named.length).toBeGreaterThan(1);
    expect(named.filter((path) => !existsSync(join(repository, path)))).toEqual([]);
  },
);

test('the manifests in docs/migration.md are manifests', () => {
  const text = readFileSync(join(repository, 'docs/migration.md'), 'utf8');
  const blocks = [...text.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, json = '']) => json);
  expect(blocks.length).toBeGreaterThan(0);
  for (const block of blocks) expect(schemaAccepts(JSON.parse(block)), block).toBe(true);
});
