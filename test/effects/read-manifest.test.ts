import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonFast } from '../../src/domain/json-text.ts';
import { formatProblem } from '../../src/domain/problem.ts';
import { type ManifestSource, readManifestFile } from '../../src/effects/read-manifest.ts';
import { manifest, manifestPath } from '../support/manifests.ts';
import { temporaryDirectory, temporaryTree } from '../support/temporary.ts';
import { wrong } from '../support/wrong-manifests.ts';

function readFrom(root: string): Promise<ManifestSource> {
  return readManifestFile(root, manifestPath);
}

function readText(text: string | Uint8Array): Promise<ManifestSource> {
  return readFrom(temporaryTree({ [manifestPath]: text }));
}

function messages(source: ManifestSource): readonly string[] {
  const problems =
    source.kind === 'missing' ? [] : source.kind === 'read' ? source.manifest.problems : source.problems;
  return problems.map(formatProblem);
}

const visible = (source: ManifestSource): readonly string[] =>
  source.kind === 'missing' ? [] : source.visibleNames;

test.each(wrong)('$what is told with its place', async ({ text, problems }) => {
  expect(messages(await readText(text))).toEqual(problems.map((problem) => `${manifestPath}:${problem}`));
});

test('a manifest in order is read in the same way however it is laid out', async () => {
  const root = temporaryTree({ '/etc/unit-secrets/': '' });
  await fc.assert(
    fc.asyncProperty(manifest, async (whole) => {
      const dense = JSON.stringify(whole);
      const results: unknown[] = [];
      // an escape that need not be is for the slow parser
      const slow = dense.replace('"version"', '"\\u0076ersion"');
      expect(parseJsonFast(slow)).toBeUndefined();
      for (const text of [dense, JSON.stringify(whole, undefined, 2), slow]) {
        writeFileSync(join(root, manifestPath), text);
        const source = await readFrom(root);
        results.push(source.kind === 'read' ? source.manifest : messages(source));
      }
      expect(results[1]).toEqual(results[0]);
      expect(results[2]).toEqual(results[0]);
      expect(results[0]).toMatchObject({ problems: [] });
    }),
    { numRuns: 50 },
  );
});

describe('the manifest is missing', () => {
  test.each([
    ['without its directory', {}],
    ['in its directory', { '/etc/unit-secrets/': '' }],
    ['when its directory is a file', { '/etc/unit-secrets': '' }],
  ])('%s', async (_, tree) => {
    expect(await readFrom(temporaryTree(tree))).toEqual({ kind: 'missing' });
  });
});

describe('an entry that is there and cannot be read is an error', () => {
  const link = (target: string) => (path: string) => symlinkSync(target, path);

  test.each<[what: string, make: (path: string) => void, message: string]>([
    [
      'a dangling link',
      link('nowhere.json'),
      'is a symbolic link to something that does not exist (mend the link; if it leads to a file system that is mounted later than generators run, move the file)',
    ],
    ['a link to itself', link('manifest.json'), 'is a loop of symbolic links'],
    ['a directory', (path) => mkdirSync(path), 'is a directory, not a file'],
  ])('%s', async (_, make, message) => {
    const root = temporaryTree({ '/etc/unit-secrets/': '' });
    make(join(root, manifestPath));
    const source = await readFrom(root);
    expect(source.kind).toBe('unreadable');
    expect(messages(source)).toEqual([`${manifestPath}: ${message}`]);
  });

  test.each(['nowhere', 'file/nowhere'])(
    'a directory of it that is a link to nowhere: %s',
    async (target) => {
      const root = temporaryTree({ '/etc/file': '' });
      symlinkSync(target, join(root, '/etc/unit-secrets'));
      expect(await readFrom(root)).toMatchObject({ kind: 'unreadable' });
    },
  );

  test('a file that is not UTF-8, of which the names are still seen', async () => {
    const text = JSON.stringify({ version: 1, services: { app: { environment: { A: '?' } } } });
    const source = await readText(Buffer.from(text.replace('?', '\xff'), 'latin1'));
    expect(messages(source)).toEqual([`${manifestPath}: is not valid UTF-8`]);
    expect(visible(source)).toEqual(['app']);
  });

  test('a file that is nested without end', async () => {
    const source = await readText(`{"services":{"app":{"environment":${'['.repeat(100_000)}`);
    expect(messages(source)).toEqual([`${manifestPath}: is nested too deeply to be read`]);
    expect(visible(source)).toEqual(['app']);
  });
});

describe('a link is followed', () => {
  test.each([
    ['of the file', '/etc/unit-secrets/manifest.json', '/repo/etc/manifest.json'],
    ['of the directory', '/etc/unit-secrets', '/repo/etc'],
  ])('%s', async (_, from, to) => {
    const root = temporaryTree({ '/repo/etc/manifest.json': '{"version":1}', '/etc/unit-secrets/../': '' });
    mkdirSync(join(root, from, '..'), { recursive: true });
    symlinkSync(join(root, to), join(root, from));
    expect((await readFrom(root)).kind).toBe('read');
  });
});

describe('a member given twice', () => {
  const service = '{"environment":{"A":"x"}}';
  const services = (entries: string): string => `{"version":1,"services":{${entries}}}`;

  async function outcome(text: string): Promise<unknown> {
    const source = await readText(text);
    if (source.kind !== 'read') return source.kind;
    const { manifest } = source;
    return {
      up: manifest.services.map(({ name }) => name.name),
      down: manifest.broken.map(({ name, problems }) => [name.name, problems.length]),
      general: manifest.general.length,
    };
  }

  test.each([
    ['a service', `"a":${service},"b":${service},"a":${service}`],
    ['a variable', `"a":{"environment":{"A":"x","A":"y"}},"b":${service}`],
    ['a member of a service', `"a":{"environment":{},"environment":{}},"b":${service}`],
    ['a variable of a service with its type', `"a.service":{"environment":{"A":"x","A":"y"}},"b":${service}`],
  ])('costs only the service that it is in: %s', async (_, entries) => {
    expect(await outcome(services(entries))).toEqual({ up: ['b'], down: [['a', 1]], general: 0 });
  });

  test('adds to the other errors of its service', async () => {
    expect(await outcome(services(`"a":{"environment":{"A":1,"A":"y"}}`))).toEqual({
      up: [],
      down: [['a', 2]],
      general: 0,
    });
  });

  test.each([
    ['with a bad name', `"a b":${service},"a b":${service},"b":${service}`, ['b']],
    ['that is generated for another', `"b-secrets":{"environment":{"A":"x","A":"y"}},"b":${service}`, ['b']],
  ])('in a service %s costs no other', async (_, entries, up) => {
    expect(await outcome(services(entries))).toEqual({ up, down: [], general: 0 });
  });

  test('outside of all services concerns all, also those that only the second one names', async () => {
    const source = await readText(`{"version":1,"services":{"a":${service}},"services":{"b":${service}}}`);
    expect(source).toMatchObject({ kind: 'read', manifest: { general: [{ path: ['services'] }] } });
    expect(visible(source)).toEqual(['a', 'b']);
  });
});

describe('the names of services can still be seen', () => {
  const names = ['litellm', 'backup@nas', 'my\\x20disk', 'files', 'grafana'];
  const entries = Object.fromEntries(
    names.map((name) => [name, { environment: { KEY: 'op://Home/{a}/"b"' } }]),
  );
  const lines = JSON.stringify({ version: 1, fetch: { tries: 3 }, services: entries }, undefined, 2).split(
    '\n',
  );

  test('in front of the place where the file was cut off', async () => {
    for (let count = 1; count < lines.length; count++) {
      const whole = lines.slice(0, count).join('\n');
      const source = await readText(whole);
      expect(source.kind).toBe('unreadable');
      expect(visible(source).toSorted()).toEqual(
        names.filter((name) => whole.includes(`${JSON.stringify(name)}: {`)).toSorted(),
      );
    }
  });

  test('on all other lines, whatever happened to one', async () => {
    const spoil = [
      (line: string) => line.replace(/[{}]/, ''),
      (line: string) => line.replace(/"/, ''),
      (line: string) => line.replace(/,$/, ''),
      (line: string) => `${line}}`,
      (line: string) => `${line}"`,
      (line: string) => `<<<<<<< ${line}`,
      () => '',
    ];
    for (const [index, line] of lines.entries()) {
      for (const change of spoil) {
        const source = await readText(lines.with(index, change(line)).join('\n'));
        if (source.kind === 'read' && source.manifest.general.length === 0) continue;
        // a word of the format's own is a service only where the tree has it as one
        const expected = names.filter((name) => name !== 'files' && !line.includes(JSON.stringify(name)));
        expect(visible(source)).toEqual(expect.arrayContaining(expected));
      }
    }
  });

  test.each(['servces', 'Services', 'units'])('below a member that is called %s', async (member) => {
    const source = await readText(JSON.stringify({ version: 1, [member]: { app: { environment: {} } } }));
    expect(source).toMatchObject({ kind: 'read', manifest: { services: [], general: [{ path: [member] }] } });
    expect(visible(source)).toContain('app');
  });
});

test('messages do not name the root', async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, manifestPath), { recursive: true });
  expect(messages(await readFrom(directory)).join()).not.toContain(directory);
});
