import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonFast } from '../../src/domain/json-text.ts';
import { formatProblem } from '../../src/domain/problem.ts';
import { type ManifestSource, readManifestFiles } from '../../src/effects/read-manifest.ts';
import { paths } from '../../src/unit/paths.ts';
import { manifest, manifestPath } from '../support/manifests.ts';
import { temporaryDirectory, temporaryTree } from '../support/temporary.ts';
import { wrong } from '../support/wrong-manifests.ts';

function readFrom(root: string): Promise<ManifestSource> {
  return readManifestFiles(root, paths);
}

function readText(text: string | Uint8Array): Promise<ManifestSource> {
  return readFrom(temporaryTree({ [manifestPath]: text }));
}

function messages(source: ManifestSource): readonly string[] {
  return source.kind === 'missing' ? [] : source.manifest.problems.map(formatProblem);
}

/** Whether a manifest of which something cannot be told keeps all of its services down. */
function expectUnreadable(source: ManifestSource): void {
  if (source.kind === 'missing') expect.fail('is missing');
  expect(source.manifest.general.length).toBeGreaterThan(0);
  const { general, partial, problems } = source.manifest;
  expect([...general, ...partial]).toEqual(problems);
  expect(source.manifest).toMatchObject({ services: [], sshKeys: [], broken: [] });
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
        if (source.kind === 'missing') expect.fail('is missing');
        // doubts have places
        const { doubts, ...read } = source.manifest;
        results.push({ ...read, doubts: doubts.map(({ path }) => path) });
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
    expectUnreadable(source);
    expect(messages(source)).toEqual([`${manifestPath}: ${message}`]);
  });

  test.each(['nowhere', 'file/nowhere'])(
    'a directory of it that is a link to nowhere: %s',
    async (target) => {
      const root = temporaryTree({ '/etc/file': '' });
      symlinkSync(target, join(root, '/etc/unit-secrets'));
      expectUnreadable(await readFrom(root));
    },
  );

  test('a file that is not UTF-8, of which the names are still seen', async () => {
    const text = JSON.stringify({ version: 1, services: { app: { environment: { A: '?' } } } });
    const source = await readText(Buffer.from(text.replace('?', '\xff'), 'latin1'));
    expect(messages(source)).toEqual([`${manifestPath}:1:${text.indexOf('?') + 1}: is not valid UTF-8`]);
    expect(visible(source)).toEqual(['app']);
  });

  test.each<[string, Buffer, string]>([
    ['none', Buffer.from('{\n"\ufffd😀": ÿ'), ''],
    ['cut off', Buffer.concat([Buffer.from('{\n"\ufffd\ufffdü'), Buffer.from([0xe2, 0x82])]), '2:5'],
    ['in the middle', Buffer.concat([Buffer.from('{\r\n"😀ü\ufffd": '), Buffer.from([0xff, 0x22])]), '2:9'],
    ['a surrogate', Buffer.concat([Buffer.from('\ufffd'), Buffer.from([0xed, 0xa0, 0x80])]), '1:2'],
  ])('of a file that is not UTF-8 the first place: %s', async (_, bytes, place) => {
    const told = messages(await readText(bytes)).map((message) => message.replace(/^[^:]*:/, ''));
    if (place === '') expect(told.join()).not.toContain('UTF-8');
    else expect(told).toEqual([`${place}: is not valid UTF-8`]);
  });

  test('a file whose name is not UTF-8', async () => {
    const root = temporaryTree({ '/etc/unit-secrets/manifest.d/': '' });
    const directory = Buffer.from(`${root}/etc/unit-secrets/manifest.d/caf`);
    writeFileSync(Buffer.concat([directory, Buffer.from([0xe9]), Buffer.from('.json')]), '{}');
    const source = await readFrom(root);
    if (source.kind === 'missing') expect.fail('is missing');
    expect(source.manifest.partial.map(({ message }) => message)).toEqual([
      'has a name that is not valid UTF-8 (rename it)',
    ]);
  });

  test('a file that is nested without end', async () => {
    const source = await readText(
      `{"$schema":"]\\"{]","services":{\n"app":{"environment":${'['.repeat(100_000)}`,
    );
    expect(messages(source)).toEqual([`${manifestPath}:2:119: is nested too deeply to be read`]);
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
    if (source.kind === 'missing') return source.kind;
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
      expectUnreadable(source);
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

  test.each(['app:', 'app":', '"app:', "'app':", '"app" ', '"app" =', 'app =', '\u201capp\u201d:'])(
    'in a name that has lost a quote or a colon: %s {',
    async (name) => {
      const entry = '{"environment":{"A":"op://v/i/f","B":"x://user:{{ op://v/i/g }}@h"}}';
      const source = await readText(`{"version":1,"services":{ ${name}${entry}, "two":${entry}}}`);
      expectUnreadable(source);
      expect(visible(source)).toEqual(expect.arrayContaining(['app', 'two']));
      expect(visible(source)).not.toContain('user');
    },
  );

  test('with escapes, in a name that has lost a quote', async () => {
    expect(visible(await readText('{"services":{ "a\\\\x2db@c:d: {}}}'))).toContain('a\\x2db@c:d');
  });

  test.each(['utf-16le', 'utf-16be'])('in a file in %s', async (encoding) => {
    const little = Buffer.from('\ufeff{"version":1,"services":{"app":{"environment":{}}}}', 'utf16le');
    const bytes = encoding === 'utf-16le' ? little : little.swap16();
    const source = await readText(bytes);
    expect(visible(source)).toEqual(['app']);
    expect(source).toMatchObject({ manifest: { general: [{ message: 'is UTF-16' }] } });
  });

  test.each(['servces', 'Services', 'units'])('below a member that is called %s', async (member) => {
    const source = await readText(JSON.stringify({ version: 1, [member]: { app: { environment: {} } } }));
    expect(source).toMatchObject({ kind: 'read', manifest: { services: [], general: [{ path: [member] }] } });
    expect(visible(source)).toContain('app');
  });
});

/** A manifest, or a file of manifest.d, that gives these services something. */
const giving = (...names: readonly string[]): string =>
  JSON.stringify({ version: 1, services: Object.fromEntries(names.map((name) => [name, { files: {} }])) });

const fragment = (name: string): string => `${paths.manifestDirectory}/${name}`;

/** Names of services: those that can be used, those that are kept down, and those that can be seen. */
function outcome(source: ManifestSource): { up: string[]; down: string[]; seen: readonly string[] } {
  if (source.kind === 'missing') expect.fail('is missing');
  const { services, sshKeys, broken } = source.manifest;
  return {
    up: [...services, ...sshKeys].map(({ name }) => name.name),
    down: broken.map(({ name }) => name.name),
    seen: source.visibleNames,
  };
}

describe('the files of manifest.d', () => {
  test('are read with manifest.json as one, in the order of their names', async () => {
    const root = temporaryTree({
      [fragment('20-b.json')]: giving('b'),
      [fragment('9-c.json')]: giving('c'),
      [fragment('10-a.json')]: JSON.stringify({ sshKeys: { alice: { privateKey: 'op://v/i/k' } } }),
      [fragment('Z.json')]: giving('z', 'y'),
      [manifestPath]: JSON.stringify({ ...JSON.parse(giving('m')), fetch: { tries: 3 } }),
    });
    const source = await readFrom(root);
    expect(outcome(source)).toEqual({
      up: ['m', 'b', 'c', 'z', 'y', 'ssh-key-setup@alice'],
      down: [],
      seen: [],
    });
    expect(source).toMatchObject({
      manifest: {
        fetch: { tries: 3 },
        services: [
          { file: manifestPath },
          { file: fragment('20-b.json') },
          { file: fragment('9-c.json') },
          {},
          {},
        ],
        sshKeys: [{ file: fragment('10-a.json') }],
      },
    });
  });

  test('are enough without manifest.json, whose settings then have their defaults', async () => {
    const source = await readFrom(temporaryTree({ [fragment('a.json')]: giving('a') }));
    expect(outcome(source)).toEqual({ up: ['a'], down: [], seen: [] });
    expect(source).toMatchObject({ manifest: { fetch: { tries: 12 }, provider: { type: '1password' } } });
  });

  test('need say nothing, not even a version', async () => {
    expect(messages(await readFrom(temporaryTree({ [fragment('a.json')]: '{}' })))).toEqual([]);
  });

  test('end in .json and are not hidden; others are left alone, be they what they may', async () => {
    const root = temporaryTree({
      [fragment('.hidden.json')]: '{',
      [fragment('a.json~')]: '{',
      [fragment('a.json.bak')]: '{',
      [fragment('README.md')]: 'x',
      [fragment('more/a.json')]: '{',
    });
    expect(outcome(await readFrom(root))).toEqual({ up: [], down: [], seen: [] });
    writeFileSync(join(root, fragment('a.json')), giving('a'));
    expect(outcome(await readFrom(root))).toEqual({ up: ['a'], down: [], seen: [] });
  });

  test('may be links, and their directory too', async () => {
    const root = temporaryTree({
      '/repo/b.json': giving('b'),
      '/repo/d/a.json': giving('a'),
      '/etc/unit-secrets/': '',
    });
    symlinkSync(join(root, '/repo/d'), join(root, paths.manifestDirectory));
    symlinkSync(join(root, '/repo/b.json'), join(root, fragment('b.json')));
    expect(outcome(await readFrom(root)).up).toEqual(['a', 'b']);
  });

  test('are a manifest without entries where their directory is empty', async () => {
    const source = await readFrom(temporaryTree({ [`${paths.manifestDirectory}/`]: '' }));
    expect(outcome(source)).toEqual({ up: [], down: [], seen: [] });
    expect(messages(source)).toEqual([]);
  });
});

describe('a name given in two files', () => {
  test.each([
    ['app', `"app" stands in ${manifestPath}, too (keep one of them)`],
    ['app.service', `"app.service" is the same service as "app" in ${manifestPath} (keep one of them)`],
  ])('keeps that service down, and no other: %s', async (name, message) => {
    const root = temporaryTree({
      [manifestPath]: giving('app', 'other'),
      [fragment('a.json')]: giving('more', name),
    });
    const source = await readFrom(root);
    expect(outcome(source)).toEqual({ up: ['other', 'more'], down: ['app'], seen: [] });
    const column = 26 + '"more":{"files":{}},'.length;
    expect(messages(source)).toEqual([
      `${fragment('a.json')}:1:${column}: ${name === 'app' ? '$.services.app' : '$.services["app.service"]'}: ${message}`,
    ]);
  });

  test('names the first of three files in both of the others', async () => {
    const root = temporaryTree({
      [fragment('a.json')]: giving('app'),
      [fragment('b.json')]: giving('app'),
      [fragment('c.json')]: giving('app'),
    });
    const source = await readFrom(root);
    expect(outcome(source)).toEqual({ up: [], down: ['app'], seen: [] });
    expect(messages(source)).toEqual(
      ['b.json', 'c.json'].map(
        (file) =>
          `${fragment(file)}:1:26: $.services.app: "app" stands in ${fragment('a.json')}, too (keep one of them)`,
      ),
    );
  });

  test('may be that of a user', async () => {
    const keys = JSON.stringify({ sshKeys: { alice: { privateKey: 'x' } } });
    const root = temporaryTree({ [fragment('a.json')]: keys, [fragment('b.json')]: keys });
    expect(outcome(await readFrom(root))).toEqual({ up: [], down: ['ssh-key-setup@alice'], seen: [] });
  });

  test('may be that of a generated unit, or a directory: both files are named', async () => {
    const directory = (name: string): string =>
      JSON.stringify({ services: { [name]: { files: {}, runtimeDirectory: 'x' } } });
    const root = temporaryTree({
      [manifestPath]: giving('app'),
      [fragment('a.json')]: giving('app-secrets'),
      [fragment('b.json')]: directory('b'),
      [fragment('c.json')]: directory('c'),
    });
    const source = await readFrom(root);
    expect(outcome(source)).toEqual({ up: ['app', 'b'], down: ['c'], seen: [] });
    expect(messages(source)).toEqual([
      expect.stringMatching(/a\.json:.*generated for "app" in \/etc\/unit-secrets\/manifest\.json /),
      expect.stringMatching(/c\.json:.*\/run\/x is already that of "b" in .*\/b\.json /),
    ]);
  });
});

describe('a file of manifest.d that is not right as a whole keeps down only what may be in it', () => {
  const others = { [manifestPath]: giving('main'), [fragment('good.json')]: giving('good') };

  async function readWith(bad: string | Uint8Array): Promise<ManifestSource> {
    const source = await readFrom(temporaryTree({ ...others, [fragment('bad.json')]: bad }));
    expect(source).toMatchObject({ manifest: { general: [] } });
    if (source.kind === 'read') expect(source.manifest.partial.length).toBeGreaterThan(0);
    return source;
  }

  test.each([
    ['is cut off', giving('a', 'b').slice(0, -3)],
    ['is empty', ''],
    ['is an array', '[]'],
    ['is not UTF-8', Buffer.from(giving('a', 'b').replace('version', '\xff'), 'latin1')],
  ])('when it %s', async (what, bad) => {
    const { up, down, seen } = outcome(await readWith(bad));
    expect([up, down]).toEqual([['main', 'good'], []]);
    expect(seen).toEqual(/cut|UTF/.test(what) ? ['a', 'b'] : []);
  });

  test.each(['provider', 'token', 'fetch'])(
    'when it has the setting %s, which is for all',
    async (setting) => {
      const bad = JSON.stringify({ ...JSON.parse(giving('a')), [setting]: {} });
      const source = await readWith(bad);
      expect(outcome(source)).toMatchObject({ up: ['main', 'good'], down: ['a'] });
      expect(messages(source)).toEqual([
        expect.stringContaining(
          `$.${setting}: "${setting}" is for all services and stands in manifest.json only (move it there)`,
        ),
      ]);
    },
  );

  test.each([
    ['an unknown member', { servces: { b: { files: {} } } }, ['a', 'b']],
    ['another version', { version: 2 }, ['a']],
    ['services in a list', { sshKeys: [] }, ['a']],
  ])('when it has %s', async (_, more, seen) => {
    const source = await readWith(JSON.stringify({ ...JSON.parse(giving('a')), ...more }));
    const { up, down, seen: names } = outcome(source);
    expect([up, down]).toEqual([['main', 'good'], ['a']]);
    expect(names).toEqual(expect.arrayContaining(seen));
  });

  test('when a member is given twice', async () => {
    const source = await readWith(giving('a').replace(/\}$/, ',"services":{"b":{"files":{}}}}'));
    expect(outcome(source).up).toEqual(['main', 'good']);
    expect([...outcome(source).down, ...outcome(source).seen]).toEqual(expect.arrayContaining(['a', 'b']));
  });

  test('but an error in one of its entries costs only that', async () => {
    const bad = JSON.stringify({ services: { a: { files: 1 }, b: { files: {} } } });
    const source = await readFrom(temporaryTree({ ...others, [fragment('bad.json')]: bad }));
    expect(outcome(source)).toEqual({ up: ['main', 'b', 'good'], down: ['a'], seen: [] });
    expect(source).toMatchObject({ manifest: { general: [], partial: [] } });
  });

  test.each<[what: string, make: (path: string) => void, message: string]>([
    [
      'a dangling link',
      (path) => symlinkSync('nowhere', path),
      'is a symbolic link to something that does not exist (mend the link; if it leads to a file system that is mounted later than generators run, move the file)',
    ],
    ['a directory', (path) => mkdirSync(path), 'is a directory, not a file'],
    ['a pipe', (path) => execFileSync('mkfifo', [path]), 'is not a regular file'],
    ['something that cannot be read', (path) => symlinkSync('/proc/self/mem', path), 'cannot be read (EIO)'],
  ])('when it is %s', async (_, make, message) => {
    const root = temporaryTree(others);
    make(join(root, fragment('bad.json')));
    const source = await readFrom(root);
    expect(outcome(source)).toEqual({ up: ['main', 'good'], down: [], seen: [] });
    expect(messages(source)).toEqual([`${fragment('bad.json')}: ${message}`]);
    expect(source).toMatchObject({ manifest: { general: [], partial: [{ file: fragment('bad.json') }] } });
  });

  test.each<[what: string, make: (path: string) => void, message: string]>([
    ['a file', (path) => writeFileSync(path, ''), 'is not a directory'],
    ['a dangling link', (path) => symlinkSync('nowhere', path), 'is a symbolic link to something'],
    ['a link to itself', (path) => symlinkSync('manifest.d', path), 'is a loop of symbolic links'],
  ])('when manifest.d itself is %s', async (_, make, message) => {
    for (const tree of [{ [manifestPath]: giving('main') }, { '/etc/unit-secrets/': '' }]) {
      const root = temporaryTree(tree);
      make(join(root, paths.manifestDirectory));
      const source = await readFrom(root);
      expect(outcome(source).up).toEqual(Object.hasOwn(tree, manifestPath) ? ['main'] : []);
      expect(messages(source)).toEqual([expect.stringMatching(`^${paths.manifestDirectory}: ${message}`)]);
      expect(source).toMatchObject({ manifest: { general: [], partial: [{}] } });
    }
  });

  test('a manifest.json that cannot be read concerns all of them', async () => {
    const root = temporaryTree({
      [manifestPath]: giving('main').slice(0, -1),
      [fragment('a.json')]: giving('a'),
    });
    const source = await readFrom(root);
    expect(source).toMatchObject({ manifest: { general: [{ file: manifestPath }], partial: [] } });
    expect(outcome(source)).toMatchObject({ seen: ['main'] });
  });
});

test('messages do not name the root', async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, manifestPath), { recursive: true });
  expect(messages(await readFrom(directory)).join()).not.toContain(directory);
});

test.each([
  ['files', '"a":{"files":{"k":{"value":"x"},"m":{"value":"y"}}'],
  ['configs', '"a":{"configs":{"k":{"template":"/t"},"m":{"template":"/u"}}'],
])(
  'behind a brace too few after its %s the other services are still seen, and no file is taken for one',
  async (_, entry) => {
    const text = `{"version":1,"services":{${entry},"b":{"environment":{"A":"x"}},"c":{"files":{"n":{"value":"z"}}}}}`;
    const seen = visible(await readText(text));
    expect(seen).toEqual(expect.arrayContaining(['a', 'b', 'c']));
    // one brace less still
    const fewer = visible(await readText(text.replace('}},"b"', '},"b"')));
    expect(fewer).toEqual(expect.arrayContaining(['a', 'b', 'c']));
    expect(fewer).not.toContain('k');
  },
);
