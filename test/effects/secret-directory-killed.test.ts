import type fs from 'node:fs';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, expect, test, vi } from 'vitest';
import { type NewDirectory, writeSet } from '../../src/effects/secret-directory.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** How many calls that change something are still made before the process is killed, as it were. */
const life = vi.hoisted(() => ({ left: Number.POSITIVE_INFINITY, after: () => {} }));

vi.mock('node:fs', async (importOriginal) => {
  const original = await importOriginal<typeof fs>();
  const names = [
    'chmodSync',
    'fchmodSync',
    'mkdirSync',
    'openSync',
    'renameSync',
    'rmSync',
    'unlinkSync',
    'writeSync',
  ] as const;
  const mortal = names.map((name) => [
    name,
    (...args: unknown[]): unknown => {
      // nothing is done after the end, cleaning up neither
      if (life.left <= 0) throw new Error('killed');
      life.left--;
      const result = (original[name] as (...all: unknown[]) => unknown)(...args);
      life.after();
      return result;
    },
  ]);
  return { ...original, ...Object.fromEntries(mortal) };
});

type Content = Readonly<Record<string, string>>;

const immortal = <T>(work: () => T): T => {
  const { left, after } = life;
  Object.assign(life, { left: Number.POSITIVE_INFINITY, after: () => {} });
  try {
    return work();
  } finally {
    Object.assign(life, { left, after });
  }
};

const modes: Readonly<Record<string, number>> = { env: 0o600, 'files/a': 0o440, 'files/b': 0o640 };

function write(directory: string, digest: string, content: Content): void {
  const set: NewDirectory = {
    directory,
    files: Object.entries(content).map(([path, text]) => ({
      path,
      content: text,
      mode: modes[path] ?? 0o400,
    })),
    managed: ['env', '.values.json'],
    subdirectories: { files: 0o750, credentials: 0o700 },
  };
  writeSet([set], { directory, name: `.ok-${digest}` });
}

/** What a service could see: all but what is being prepared. */
function visible(directory: string): { content: Content; markers: string[] } {
  const content: Record<string, string> = {};
  const markers: string[] = [];
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(directory.length + 1);
    if (entry.isDirectory() || path.startsWith('.unit-secrets-new')) continue;
    if (path.startsWith('.ok-')) markers.push(path);
    else content[path] = readFileSync(join(directory, path), 'utf8');
  }
  return { content, markers };
}

const content = fc.record(
  {
    env: fc.constantFrom('1', '2'),
    'files/a': fc.constantFrom('1', '2', 'x'.repeat(100)),
    'files/b': fc.constantFrom('1', '2'),
    'credentials/c': fc.constantFrom('1', '2'),
    '.values.json': fc.constantFrom('1', '2'),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Content>;

beforeEach(() => {
  Object.assign(life, { left: Number.POSITIVE_INFINITY, after: () => {} });
});

test('killed at any moment, a marker stands only beside the set that it is for, or a part of none', () => {
  fc.assert(
    fc.property(content, content, fc.boolean(), (before, wanted, another) => {
      const newDigest = another ? 'new' : 'old';
      for (let calls = 0; ; calls++) {
        const directory = immortal(temporaryDirectory);
        immortal(() => write(directory, 'old', before));
        life.left = calls;
        let killed = false;
        try {
          write(directory, newDigest, wanted);
        } catch {
          killed = true;
        }
        life.left = Number.POSITIVE_INFINITY;
        const { content: found, markers } = visible(directory);
        // a service asserts the marker of its unit: the new one, or the old one where the unit is the same
        if (markers.includes(`.ok-${newDigest}`)) {
          const complete = another ? [wanted] : [before, wanted];
          expect(complete).toContainEqual(found);
        }
        // whatever was left: the next fetch ends well, with no trace of this one
        write(directory, newDigest, wanted);
        expect(visible(directory)).toEqual({ content: wanted, markers: [`.ok-${newDigest}`] });
        expect(readdirSync(directory)).not.toContain('.unit-secrets-new');
        if (!killed) {
          expect(found).toEqual(wanted);
          expect(markers).toEqual([`.ok-${newDigest}`]);
          return;
        }
      }
    }),
    { numRuns: 20 },
  );
});

test('at no moment is a file with something in it wider than its mode', () => {
  for (const umask of [0o000, 0o022, 0o077]) {
    const directory = temporaryDirectory();
    const before = process.umask(umask);
    let looked = 0;
    life.after = () =>
      immortal(() => {
        for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
          const { mode, size } = statSync(join(entry.parentPath, entry.name));
          if (entry.isDirectory()) {
            expect(mode & 0o777 & ~(entry.name === 'files' ? 0o750 : 0o700)).toBe(0);
            continue;
          }
          if (size === 0) continue;
          looked++;
          const number = Number(entry.name);
          const wanted = Number.isNaN(number)
            ? (modes[entry.name === 'env' ? 'env' : `files/${entry.name}`] ?? 0o400)
            : Object.values(modes)[number];
          expect(mode & 0o777).toBe(wanted);
        }
      });
    try {
      write(directory, '1', { env: 'x', 'files/a': 'x', 'files/b': 'x' });
      write(directory, '2', { env: 'y', 'files/a': 'y', 'files/b': 'y' });
    } finally {
      process.umask(before);
      life.after = () => {};
    }
    expect(looked).toBeGreaterThan(20);
  }
});

test('a set in two directories has no marker while one of them is changed', () => {
  const [state, run] = [temporaryDirectory(), temporaryDirectory()];
  const both = (text: string): void => {
    const file = (path: string) => [{ path, content: text, mode: 0o600 }];
    writeSet(
      [
        {
          directory: state,
          files: file('credentials/c'),
          managed: [],
          subdirectories: { credentials: 0o700 },
        },
        { directory: run, files: file('env'), managed: ['env'], subdirectories: {} },
      ],
      { directory: state, name: '.ok-1' },
    );
  };
  both('1');
  life.after = () =>
    immortal(() => {
      const marked = readdirSync(state).includes('.ok-1');
      const texts = [join(state, 'credentials/c'), join(run, 'env')].map((path) =>
        readFileSync(path, 'utf8'),
      );
      if (marked) expect(texts[0]).toBe(texts[1]);
    });
  try {
    both('2');
  } finally {
    life.after = () => {};
  }
  expect(readFileSync(join(run, 'env'), 'utf8')).toBe('2');
});
