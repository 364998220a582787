import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/domain/json-text.ts';
import { readManifest } from '../../src/domain/manifest-reader.ts';
import { type Problem, quoteName } from '../../src/domain/problem.ts';
import { directoryName, parseServiceName } from '../../src/domain/service-name.ts';
import { readXSecrets } from '../../src/effects/ini.ts';
import { shortHash } from '../../src/effects/short-hash.ts';
import { type GeneratorInput, planUnits, type UnitPlan } from '../../src/unit/plan-units.ts';
import { xSecretsText } from '../../src/unit/x-secrets.ts';
import { manifest, nothingLeft, read, serviceName, value, variableName } from '../support/manifests.ts';

const machine = {
  executable: '/usr/bin/unit-secrets',
  memory: 'tmpfs-noswap',
  privateUsers: true,
} as const;
const nothing: GeneratorInput = { ...nothingLeft, manifest: readManifest(undefined, []) };
const problem: Problem = { file: '/m', message: 'wrong' };
/** A manifest of which nothing can be read. */
const unreadable = readManifest(
  { file: '/m', value: undefined, problems: [problem], locate: () => undefined },
  [],
);
/** What services left that have been started, without directories of their own below /run. */
const left = (...names: readonly string[]): Pick<GeneratorInput, 'secretsDirectories'> => ({
  secretsDirectories: names.map((directory) => ({ directory, runtimeDirectories: [] })),
});

function planOf(input: Partial<GeneratorInput>, executable: string = machine.executable): UnitPlan {
  return planUnits({ ...nothing, ...input }, { ...machine, executable }, shortHash);
}

function planOfServices(services: Json, more: Readonly<Record<string, Json>> = {}): UnitPlan {
  return planOf({ manifest: read({ version: 1, ...more, services }) });
}

/** What a manifest gives a service for which it does not matter. */
const some = { environment: { A: 'op://v/i/f' } };

function contentOf(plan: UnitPlan, path: string): string {
  const found = plan.files.filter((file) => file.path === path);
  expect(found).toHaveLength(1);
  return found[0]?.content ?? '';
}

/** The values of a setting, in all sections. */
function settings(plan: UnitPlan, path: string, name: string): string[] {
  const lines = contentOf(plan, path).split('\n');
  return lines.filter((line) => line.startsWith(`${name}=`)).map((line) => line.slice(name.length + 1));
}

const secretsUnit = (name: string): string => `${name.replace(/(?=@|$)/, '-secrets')}.service`;
const dropIn = (name: string): string => `${name}.service.d/50-unit-secrets.conf`;

function errorsFor(plan: UnitPlan, name: string): readonly string[] {
  return readXSecrets(contentOf(plan, secretsUnit(name)))?.get('Error') ?? [];
}

/** Services that can never start: an assertion that cannot hold and, beside it, why. */
function down(plan: UnitPlan): string[] {
  const names: string[] = [];
  for (const { path, content } of plan.files) {
    const name = /^(.*)\.service\.d\//.exec(path)?.[1];
    if (name === undefined || !content.includes('\nAssertPathExists=!/\n')) continue;
    expect(content).toContain(`\nRequires=${secretsUnit(name)}\nAfter=${secretsUnit(name)}\n`);
    expect(errorsFor(plan, name).length).toBeGreaterThan(0);
    names.push(name);
  }
  return names.sort();
}

function up(plan: UnitPlan): string[] {
  return plan.files
    .flatMap(({ path }) => /^(.*)-retry(.*)\.timer$/.exec(path)?.slice(1).join('') ?? [])
    .sort();
}

const marker = (plan: UnitPlan, name: string): string | undefined =>
  settings(plan, dropIn(name), 'AssertPathExists')[0]?.split('/').at(-1);

const names = fc.uniqueArray(
  serviceName.filter((name) => !/-(secrets|config)(@|$)/.test(name)),
  { minLength: 1, maxLength: 4 },
);

const general = ['run-unit\\x2dsecrets.mount', 'unit-secrets-wanted@.target', 'unit-secrets-token.service'];

test('without services there is what is for all of them', () => {
  const plan = planOf({ manifest: read({ version: 1 }) });
  expect(plan.files.map(({ path }) => path)).toEqual(general);
  expect(plan).toMatchObject({ links: [], orphans: [], problems: [] });
  expect(settings(plan, 'unit-secrets-token.service', 'StopWhenUnneeded')).toEqual([]);
});

test('without a manifest the token is wiped', () => {
  const plan = planOf({ removed: true });
  expect(settings(plan, 'unit-secrets-token.service', 'StopWhenUnneeded')).toEqual(['yes']);
  expect(plan.orphans).toEqual(['unit-secrets/token']);
});

test('a service is given a drop-in, a unit that fetches and a timer that tries again', () => {
  const plan = planOfServices({ 'backup@nas': some });
  expect(plan.files.map(({ path }) => path)).toEqual([
    'backup@nas.service.d/50-unit-secrets.conf',
    'backup-secrets@nas.service',
    'backup-retry@nas.timer',
    'run-unit\\x2dsecrets.mount',
    'unit-secrets-wanted@.target',
    'unit-secrets-token.service',
  ]);
  expect(settings(plan, 'backup-retry@nas.timer', 'Unit')).toEqual(['backup@nas.service']);
  expect(settings(plan, 'unit-secrets-token.service', 'KnownService')).toEqual(['"backup@nas.service"']);
});

test('every file says who wrote it, every unit from what and where to read more', () => {
  const plan = planOf({
    manifest: read({ version: 1, services: { a: some, b: {}, 'c d': {} } }),
    ...left('gone'),
  });
  for (const { path, content } of plan.files) {
    expect(content).toMatch(
      /^# Generated by unit-secrets-generator from \/etc\/unit-secrets\/manifest\.json;/,
    );
    expect(content).toContain('\nSourcePath=/etc/unit-secrets/manifest.json\n');
    if (!path.endsWith('.conf')) expect(content).toContain('\nDocumentation=man:');
  }
});

test('all drop-ins come first: one without its unit keeps its service down', () => {
  fc.assert(
    fc.property(manifest, fc.boolean(), (whole, broken) => {
      const paths = planOf({
        manifest: { ...read(whole), general: broken ? [problem] : [] },
        ...left('gone', 'a'),
        configDirectories: ['gone', 'a', 'b'],
        listed: ['a.service'],
      }).files.map(({ path }) => path);
      const kinds = paths.map((path) => path.endsWith('.conf'));
      expect(kinds).toEqual(kinds.toSorted((a, b) => Number(b) - Number(a)));
      expect(new Set(paths).size).toBe(paths.length);
    }),
  );
});

test('the same input gives the same bytes', () => {
  fc.assert(
    fc.property(manifest, (whole) => {
      expect(planOf({ manifest: read(structuredClone(whole)) })).toEqual(planOf({ manifest: read(whole) }));
    }),
  );
});

test('no file has a name that a file system or systemd would refuse', () => {
  const longest = 'x'.repeat(239);
  for (const { path } of planOfServices({ [longest]: some }).files)
    for (const part of path.split('/')) expect(part.length).toBeLessThanOrEqual(255);
});

test.each([
  [183, true],
  [184, false],
  [239, false],
])('a name of %i characters leaves room for what PrivateTmp= makes: %s', (length, fits) => {
  const plan = planOfServices({ ['a'.repeat(length)]: some });
  const unit = `${'a'.repeat(length)}-secrets.service`;
  expect(`systemd-private-${'0'.repeat(32)}-${unit}-XXXXXX`.length <= 255).toBe(fits);
  expect(settings(plan, unit, 'PrivateTmp')).toEqual(fits ? ['yes'] : []);
  expect(settings(plan, unit, 'TemporaryFileSystem').some((value) => value.startsWith('/tmp'))).toBe(!fits);
});

describe('an entry with an error', () => {
  test('costs only its own service', () => {
    const plan = planOfServices({ a: some, b: { environment: { A: 'op://x' } }, c: some, 'd e': some });
    expect(up(plan)).toEqual(['a', 'c']);
    expect(down(plan)).toEqual(['b']);
    expect(plan.problems).toHaveLength(2);
  });

  test('changes no byte of what the others are given', () => {
    const bad: Json[] = [
      1,
      {},
      { environment: { A: 1 } },
      { environments: {} },
      { environment: { 'A-B': '' } },
    ];
    fc.assert(
      fc.property(names, fc.constantFrom(...bad), ([first = '', ...others], entry) => {
        const good = Object.fromEntries(others.map((name) => [name, some]));
        const without = planOfServices(good).files.filter(
          ({ path }) => !path.startsWith('unit-secrets-token'),
        );
        const plan = planOfServices({ ...good, [first]: entry });
        expect(plan.files).toEqual(expect.arrayContaining([...without]));
        expect(down(plan)).toEqual([first]);
      }),
    );
  });

  test('is told by its own unit, which keeps the directory and does not try again', () => {
    const plan = planOfServices({ 'a:b': { environment: { A: 1, B: 'op://x' } } });
    expect(errorsFor(plan, 'a:b')).toEqual([
      '/etc/unit-secrets/manifest.json: $.services["a:b"].environment.A: must be a string, this is a number (put it in double quotes)',
      expect.stringContaining('$.services["a:b"].environment.B: a secret reference has three or four parts'),
    ]);
    expect(settings(plan, 'a:b-secrets.service', 'RuntimeDirectory')).toEqual(['unit-secrets/secrets/a,b']);
    expect(settings(plan, 'a:b-secrets.service', 'OnFailure')).toEqual([]);
    expect(plan.links).toEqual([]);
  });

  test('in its name is told by a unit of its own, wanted by multi-user.target', () => {
    const plan = planOfServices({ 'a b': some });
    expect(contentOf(plan, 'unit-secrets-manifest.service')).toContain('\\"a b\\" is not a unit name');
    expect(plan.links).toEqual([
      {
        path: 'multi-user.target.wants/unit-secrets-manifest.service',
        target: '../unit-secrets-manifest.service',
      },
    ]);
  });
});

describe('an entry for a unit that others have', () => {
  test.each(['app-config', 'app-config.service'])('keeps %s down where there is none of ours', (key) => {
    const plan = planOfServices({ app: some, [key]: some });
    expect(settings(plan, 'app-config.service.d/50-unit-secrets.conf', 'AssertPathExists')).toEqual(['!/']);
    expect(contentOf(plan, 'unit-secrets-manifest.service')).toContain('app-config');
    expect(up(plan)).toEqual(['app']);
  });

  test.each(['app-config', 'app-secrets'])('leaves %s alone where it is generated', (key) => {
    const plan = planOfServices({ app: { configs: { a: { template: '/a' } } }, [key]: some });
    expect(plan.files.map(({ path }) => path)).not.toContain(`${key}.service.d/50-unit-secrets.conf`);
    expect(up(plan)).toEqual(['app']);
  });
});

test('of thousands of errors a unit tells a hundred', () => {
  const names = Array.from({ length: 150 }, (_, index) => [`not a name ${index}`, some]);
  const plan = planOfServices({
    ...Object.fromEntries(names),
    a: { environment: Object.fromEntries(names.map(([name]) => [name, 1])) },
  });
  for (const path of ['unit-secrets-manifest.service', 'a-secrets.service']) {
    const errors = settings(plan, path, 'Error');
    expect(errors).toHaveLength(101);
    expect(errors.at(-1)).toMatch(/^"and \d+ more; unit-secrets check shows all"$/);
  }
});

test.each([
  ['token', { file: '/a\n[Service]\nExecStart=/b' }],
  ['token', { credential: 'a\n[Service]\nExecStart=/b' }],
  ['provider', { type: 'age-vault', path: '/a\n[Service]\nExecStart=/b' }],
])('a %s that is refused gets into no unit: %j', (member, setting) => {
  const plan = planOfServices({ a: some }, { [member]: setting });
  expect(down(plan)).toEqual(['a']);
  for (const { content } of plan.files) expect(content).not.toContain('ExecStart=/b');
});

test.each(['/m/\uffff.json', '/m/\x9b.json', '/m/a\\'])(
  'no name of a file gets into a unit as it is: %j',
  (file) => {
    const manifestOf = (value: Json) => readManifest(undefined, [{ file, value, locate: () => undefined }]);
    const plan = planOf({ manifest: manifestOf({ services: { a: some, b: {}, 'c d': some } }) });
    expect(plan.files.length).toBeGreaterThan(5);
    for (const { content } of plan.files) {
      expect(content).not.toMatch(/[\x7f-\x9f]|\p{Noncharacter_Code_Point}|\\$/mu);
      expect(content).toContain('SourcePath=/etc/unit-secrets/manifest.json\n');
    }
  },
);

describe('a name that is refused', () => {
  const unit = (name: string) => `${name}.service.d/50-unit-secrets.conf`;

  test.each(['tmpl@', 'tmpl@.service', 'x'.repeat(240), 'x'.repeat(245)])(
    'keeps its unit down: %s',
    (key) => {
      const name = key.replace(/\.service$/, '');
      const plan = planOfServices({ [key]: some, 'tmpl@a': some });
      expect(settings(plan, unit(name), 'AssertPathExists')).toEqual(['!/']);
      expect(unit(name).indexOf('/')).toBeLessThanOrEqual(255);
      expect(contentOf(plan, 'unit-secrets-manifest.service')).toContain(name);
      expect(up(plan)).toEqual(['tmpl@a']);
      expect(contentOf(planOf({ manifest: unreadable, visibleNames: [key, key] }), unit(name))).toContain(
        '!/',
      );
    },
  );

  test('keeps a unit down whose name looks like one of ours, but for those that are', () => {
    const ours = ['unit-secrets-token', 'unit-secrets-manifest.service', 'unit-secrets-renew@app'];
    const keys = ['unit-secrets-exporter', 'unit-secrets@x', ...ours];
    const plan = planOfServices(Object.fromEntries(keys.map((key) => [key, some])));
    expect(plan.files.map(({ path }) => path).filter((path) => path.endsWith('.conf'))).toEqual([
      unit('unit-secrets-exporter'),
      unit('unit-secrets@x'),
    ]);
    const seen = planOf({ manifest: unreadable, visibleNames: keys });
    expect(seen.files.map(({ path }) => path).filter((path) => path.endsWith('.conf'))).toEqual([
      unit('unit-secrets-exporter'),
      unit('unit-secrets@x'),
    ]);
  });

  test.each(['x'.repeat(246), 'a/b', 'foo-', 'a.socket'])(
    'writes nothing for what is no unit of its own: %s',
    (key) => {
      expect(planOfServices({ [key]: some }).files.map(({ path }) => path)).toEqual([
        ...general,
        'unit-secrets-manifest.service',
      ]);
    },
  );
});

describe('an error that concerns all', () => {
  test('keeps every service down that the manifest names, with its own errors too', () => {
    const plan = planOfServices({ a: some, b: { environment: { A: 1 } } }, { fetch: { tries: 0 } });
    expect(up(plan)).toEqual([]);
    expect(down(plan)).toEqual(['a', 'b']);
    expect([errorsFor(plan, 'a').length, errorsFor(plan, 'b').length]).toEqual([1, 2]);
    expect(contentOf(plan, 'unit-secrets-manifest.service')).toContain('$.fetch.tries');
  });

  test('keeps down what can be seen, what has a directory and what was noted', () => {
    const plan = planOf({
      manifest: unreadable,
      visibleNames: ['seen', 'bad name', 'seen.service'],
      ...left('running', 'a,b', 'my+x20disk', 'ssh.socket', 'deep.service'),
      listed: ['noted.service', 'running.service', '', '@', 'once@more.service'],
    });
    expect(down(plan)).toEqual(
      ['seen', 'running', 'a:b', 'my\\x20disk', 'ssh.socket', 'deep.service', 'noted', 'once@more'].sort(),
    );
    expect(errorsFor(plan, 'noted')).toEqual(['/m: wrong']);
    expect(contentOf(plan, 'unit-secrets-manifest.service')).toContain('Error="/m: wrong"');
    expect(settings(plan, 'unit-secrets-token.service', 'KnownService')).toHaveLength(8);
  });

  test('is reported even if no service is known', () => {
    expect(planOf({ manifest: unreadable }).files.map(({ path }) => path)).toEqual([
      ...general,
      'unit-secrets-manifest.service',
    ]);
  });

  test('wipes nothing', () => {
    const plan = planOf({ manifest: unreadable, ...left('running') });
    expect(contentOf(plan, 'running-secrets.service')).not.toContain('/bin/false');
  });
});

describe('a directory without an entry', () => {
  test('is given a stub, by which systemd removes it, and no drop-in', () => {
    const plan = planOf({
      manifest: read({ version: 1, services: { a: some } }),
      ...left('a', 'gone@1', 'b,c'),
    });
    const stub = 'gone-secrets@1.service';
    expect(settings(plan, stub, 'RuntimeDirectory')).toEqual(['unit-secrets/secrets/gone@1']);
    expect(settings(plan, stub, 'ExecStart')).toEqual(['/bin/false']);
    expect(settings(plan, stub, 'StopWhenUnneeded')).toEqual(['yes']);
    expect(settings(plan, 'b:c-secrets.service', 'RuntimeDirectory')).toEqual(['unit-secrets/secrets/b,c']);
    expect(plan.files.filter(({ path }) => path.endsWith('.conf'))).toHaveLength(1);
    expect(plan.problems).toEqual([]);
  });

  test('of a service that is called like another type of unit is found again', () => {
    const plan = planOf({ ...left('ssh.socket', 'app.service') });
    for (const name of ['ssh.socket', 'app.service'])
      expect(settings(plan, `${name}-secrets.service`, 'RuntimeDirectory')).toEqual([
        `unit-secrets/secrets/${name}`,
      ]);
  });

  test('of a service that is kept down is left to its own unit', () => {
    const plan = planOf({ manifest: read({ version: 1, services: { a: {} } }), ...left('a') });
    expect(down(plan)).toEqual(['a']);
    expect(contentOf(plan, 'a-secrets.service')).not.toContain('/bin/false');
  });

  test('that no service can have is left alone', () => {
    expect(planOf({ ...left('a b', '..', 'unit-secrets') }).files.map(({ path }) => path)).toEqual([
      'run-unit\\x2dsecrets.mount',
      'unit-secrets-wanted@.target',
      'unit-secrets-token.service',
    ]);
  });
});

describe('the marker that a service asserts', () => {
  const environment = fc.dictionary(variableName, value, { minKeys: 1, maxKeys: 3 });

  test('changes exactly when [X-Secrets] changes', () => {
    const settingsOf = fc.record(
      {
        tries: fc.integer({ min: 1, max: 3 }),
        timeout: fc.constantFrom('60s', '1min', '61s'),
        retryEvery: fc.constantFrom('1s', '2s'),
      },
      { requiredKeys: [] },
    );
    const one = fc.tuple(fc.oneof(environment, fc.constant({ A: 'x' })), settingsOf);
    fc.assert(
      fc.property(one, one, (...both) => {
        const plans = both.map(([given, fetch]) => planOfServices({ a: { environment: given } }, { fetch }));
        const [texts, markers] = [
          plans.map((plan) => xSecretsText(contentOf(plan, 'a-secrets.service'))),
          plans.map((plan) => marker(plan, 'a')),
        ];
        expect(markers[0] === markers[1]).toBe(texts[0] === texts[1]);
      }),
    );
  });

  test.each<[what: string, services: Json, more: Readonly<Record<string, Json>>, changes: boolean]>([
    ['another reference', { a: { environment: { A: 'op://v/i/g' } } }, {}, true],
    ['another name', { a: { environment: { B: 'op://v/i/f' } } }, {}, true],
    ['another provider', { a: some }, { provider: { type: 'age-vault' } }, true],
    ['other tries', { a: some }, { fetch: { tries: 3 } }, true],
    ['another time until the next retry', { a: some }, { fetch: { retryEvery: '7s' } }, false],
    ['another place of the token', { a: some }, { token: { file: '/t' } }, false],
    ['another service', { a: some, b: some }, {}, false],
  ])('%s', (_, services, more, changes) => {
    const before = marker(planOfServices({ a: some }), 'a');
    expect(before).toMatch(/^\.ok-[0-9a-f]{16}$/);
    expect(marker(planOfServices(services, more), 'a') !== before).toBe(changes);
  });

  test('is in the directory that the fetching unit makes', () => {
    fc.assert(
      fc.property(names, ([name = '']) => {
        const plan = planOfServices({ [name]: some });
        const directory = `unit-secrets/secrets/${directoryName(name)}`;
        expect(settings(plan, secretsUnit(name), 'RuntimeDirectory')).toEqual([directory]);
        expect(settings(plan, dropIn(name), 'AssertPathExists')[0]).toBe(
          `/run/${directory}/${marker(plan, name)}`,
        );
        expect(settings(plan, dropIn(name), 'EnvironmentFile')).toEqual([`/run/${directory}/env`]);
      }),
    );
  });
});

test('a service without variables has no environment file', () => {
  const plan = planOfServices({ a: { environment: {} } });
  expect(settings(plan, dropIn('a'), 'EnvironmentFile')).toEqual([]);
  expect(marker(plan, 'a')).toBeDefined();
});

test('a value is in the [X-Secrets] section of its own service’s unit and nowhere else', () => {
  const plan = planOfServices({
    a: { environment: { A: 'text-of-a' } },
    b: { environment: { B: 'text-of-b' } },
  });
  for (const { path, content } of plan.files) {
    const own = path === 'a-secrets.service';
    expect(content.replace(own ? xSecretsText(content) : '', '')).not.toContain('text-of-a');
    if (own) expect(xSecretsText(content)).toContain('text-of-a');
  }
});

test('the units of a service call it by a name that leads back to it', () => {
  for (const name of ['a', 'ssh.socket', 'deep.service']) {
    for (const services of [{ [`${name}.service`]: some }, { [`${name}.service`]: {} }]) {
      const [command = ''] = settings(planOfServices(services), `${name}-secrets.service`, 'ExecStart');
      const parsed = parseServiceName(command.split(' ').at(-1) ?? '');
      expect(parsed.ok && parsed.service.name).toBe(name);
    }
  }
});

describe('odd characters in paths', () => {
  const odd = '/opt/100%/a "b"\\c$d';

  test('are escaped where systemd would take them for something else', () => {
    const plan = planOf(
      {
        manifest: read({
          version: 1,
          provider: { type: 'age-vault', path: `${odd}/vault`, identity: ['/id 1', '/id%2'] },
          services: { 'a\\x2db': some },
        }),
      },
      odd,
    );
    const quoted = '"/opt/100%%/a \\"b\\"\\\\c$d';
    expect(settings(plan, 'a\\x2db-secrets.service', 'ExecStart')).toEqual([`${quoted}" fetch "a\\\\x2db"`]);
    expect(settings(plan, 'a\\x2db-secrets.service', 'RequiresMountsFor')).toEqual([
      `/run/unit-secrets ${quoted}/vault" "/id 1" "/id%%2"`,
    ]);
    expect(settings(plan, 'unit-secrets-token.service', 'ExecStart')).toEqual([`${quoted}" token open`]);
    expect(readXSecrets(contentOf(plan, 'a\\x2db-secrets.service'))?.get('Vault')).toEqual([`${odd}/vault`]);
  });

  test('of the token are escaped as well', () => {
    const plan = planOfServices({ a: some }, { token: { age: odd, identity: '/key%' } });
    const [mounts = ''] = settings(plan, 'unit-secrets-token.service', 'RequiresMountsFor');
    expect(mounts).toBe('/run/unit-secrets /var/lib/unit-secrets "/opt/100%%/a \\"b\\"\\\\c$d" "/key%%"');
    expect(settings(plan, 'unit-secrets-token.service', 'TokenAge')).toEqual([quoteName(odd)]);
  });
});

test.each<[what: string, more: Readonly<Record<string, Json>>, token: Record<string, string[]>]>([
  [
    'a sealed token',
    { token: { age: '/t', identity: '/k' } },
    { TokenAge: ['"/t"'], TokenFile: [], Identity: ['"/k"'] },
  ],
  ['a token file', { token: { file: '/t' } }, { TokenAge: [], TokenFile: ['"/t"'], Identity: [] }],
  ['a vault', { provider: { type: 'age-vault' } }, { TokenAge: [], TokenFile: [], Identity: [] }],
])('the token unit is told where the token is: %s', (_, more, expected) => {
  const plan = planOfServices({ a: some }, more);
  for (const [name, values] of Object.entries(expected))
    expect(settings(plan, 'unit-secrets-token.service', name)).toEqual(values);
});

test('a vault needs neither network nor token', () => {
  const plan = planOfServices({ a: some }, { provider: { type: 'age-vault' } });
  const unit = contentOf(plan, 'a-secrets.service');
  expect(unit).not.toMatch(/network-online|1password-token/);
  expect(unit).toContain('\nPrivateNetwork=yes\n');
});

test.each([
  ['tmpfs-noswap', 'tmpfs', 'mode=0711,nosuid,nodev,noexec,noswap,size=64M'],
  ['ramfs', 'ramfs', 'mode=0711,nosuid,nodev,noexec'],
] as const)('the memory is %s', (memory, type, options) => {
  const plan = planUnits(
    { ...nothing, manifest: read({ version: 1, services: { a: some } }) },
    { ...machine, memory },
    shortHash,
  );
  expect(settings(plan, 'run-unit\\x2dsecrets.mount', 'Type')).toEqual([type]);
  expect(settings(plan, 'run-unit\\x2dsecrets.mount', 'Options')).toEqual([options]);
});

const secretReference = 'op://v/i/f';
const oneService = (entry: Json): UnitPlan => planOfServices({ app: entry });

describe('what a service is given reaches it', () => {
  const state = '/run/unit-secrets/secrets/app';

  test('as credentials: one LoadCredential= for each, and for files and configs that ask for it', () => {
    const plan = oneService({
      credentials: { 'tls.key': secretReference, b: 'x' },
      files: { plain: 'x', given: { value: 'x', credential: true } },
      configs: { 'a.yaml': { template: '/a.yaml', credential: true }, quiet: { template: '/b' } },
    });
    expect(settings(plan, dropIn('app'), 'LoadCredential')).toEqual([
      `tls.key:${state}/credentials/tls.key`,
      `b:${state}/credentials/b`,
      `given:${state}/files/given`,
      'a.yaml:/run/unit-secrets/config/app/a.yaml',
    ]);
    expect(settings(plan, dropIn('app'), 'EnvironmentFile')).toEqual([]);
  });

  test('but never the token, unless it fetches itself', () => {
    fc.assert(
      fc.property(manifest, (whole) => {
        const { services, token } = read(whole);
        for (const { path, content } of planOf({ manifest: read(whole) }).files) {
          const service = services.find(({ name }) => path === dropIn(name.name));
          if (service) expect(content.includes('LoadCredential=1password-token:')).toBe(service.inline);
        }
        expect(token).toBeDefined();
      }),
    );
  });

  test.each([
    [{}, [], '0700', '0700', '0077'],
    [{ group: 'litellm' }, ['litellm'], '0710', '0750', '0027'],
  ])('by the modes and the group of the units: %j', (more, group, secretsMode, configMode, umask) => {
    const plan = oneService({ environment: {}, configs: { c: { template: '/c' } }, ...more });
    for (const [unit, mode] of [
      ['app-secrets.service', secretsMode],
      ['app-config.service', configMode],
    ] as const) {
      expect(settings(plan, unit, 'RuntimeDirectoryMode')).toEqual([mode]);
      expect(settings(plan, unit, 'UMask')).toEqual([umask]);
      // [X-Secrets] tells the group, too
      const said = settings(plan, unit, 'Group').filter((value) => !value.startsWith('"'));
      expect(said).toEqual(group);
    }
  });

  test('in a directory of a name for people: environment, files and configs, never the marker', () => {
    const plan = oneService({
      environment: { A: 'x' },
      credentials: { id: 'x' },
      files: { f: { value: 'x', credential: true } },
      configs: { c: { template: '/c', credential: true } },
      runtimeDirectory: 'litellm',
    });
    expect(settings(plan, 'app-secrets.service', 'RuntimeDirectory')).toEqual([
      'unit-secrets/secrets/app litellm',
      '"litellm"',
    ]);
    expect(settings(plan, 'app-config.service', 'RuntimeDirectory')).toEqual([
      'unit-secrets/config/app litellm/config',
    ]);
    expect(settings(plan, dropIn('app'), 'EnvironmentFile')).toEqual(['/run/litellm/env']);
    expect(settings(plan, dropIn('app'), 'LoadCredential')).toEqual([
      `id:${state}/credentials/id`,
      'f:/run/litellm/files/f',
      'c:/run/litellm/config/c',
    ]);
    for (const path of settings(plan, dropIn('app'), 'AssertPathExists'))
      expect(path).toMatch(/^\/run\/unit-secrets\/(?:secrets|config)\/app\/\.ok-/);
  });

  test('as configs: after a unit that renders them, without network, beside no other’s secrets', () => {
    const plan = oneService({
      environment: { A: secretReference },
      configs: { c: { template: '/srv/a b%.yaml' } },
    });
    const chain = 'app-secrets.service app-config.service';
    expect(settings(plan, dropIn('app'), 'Requires')).toEqual([chain]);
    expect(settings(plan, dropIn('app'), 'After')).toEqual([chain]);
    expect(settings(plan, dropIn('app'), 'AssertPathExists')).toHaveLength(2);
    const config = 'app-config.service';
    expect(settings(plan, config, 'Requires')).toEqual(['app-secrets.service']);
    expect(settings(plan, config, 'After')).toEqual(['app-secrets.service']);
    expect(settings(plan, config, 'PrivateNetwork')).toEqual(['yes']);
    expect(settings(plan, config, 'MemoryDenyWriteExecute')).toEqual(['yes']);
    expect(settings(plan, config, 'TemporaryFileSystem')).toEqual(['/run/unit-secrets:ro']);
    expect(settings(plan, config, 'BindReadOnlyPaths')).toEqual([state]);
    for (const command of ['ExecStart', 'ExecReload'])
      expect(settings(plan, config, command)).toEqual(['/usr/bin/unit-secrets render app']);
    expect(settings(plan, 'app-secrets.service', 'PropagatesReloadTo')).toEqual([config]);
    for (const unit of [config, 'app-secrets.service'])
      expect(settings(plan, unit, 'RequiresMountsFor')).toEqual(['/run/unit-secrets "/srv/a b%%.yaml"']);
  });

  test('and every config makes another marker of what its template, format, mode and values are', () => {
    const markers = [
      {},
      { format: 'text' },
      { mode: '0400' },
      { values: { A: 'x' } },
      { values: { A: 'y' } },
      { template: '/d' },
    ].map((change) => marker(oneService({ configs: { c: { template: '/c', ...change } } }), 'app'));
    expect(new Set([...markers.slice(1), markers[0]]).size).toBe(markers.length - 1);
  });
});

describe('a service that fetches its secrets itself', () => {
  const plan = planOfServices({
    'weather@a:b': { dynamicUser: 'inline', environment: { A: secretReference }, files: { k: 'x' } },
  });

  test('is given a drop-in with all that it needs, and no unit of root’s', () => {
    expect(plan.files.map(({ path }) => path)).toEqual([
      dropIn('weather@a:b'),
      'run-unit\\x2dsecrets.mount',
      'unit-secrets-wanted@.target',
      'unit-secrets-token.service',
    ]);
    const directory = 'unit-secrets/inline/weather@a,b';
    for (const [name, values] of Object.entries({
      Wants: ['unit-secrets-token.service', 'network-online.target'],
      After: ['unit-secrets-token.service', 'network-online.target nss-lookup.target time-set.target'],
      LoadCredential: ['1password-token:/run/unit-secrets/token/1password-token'],
      RuntimeDirectory: [directory],
      RuntimeDirectoryMode: [],
      ExecStartPre: ['/usr/bin/unit-secrets fetch --inline weather@a:b'],
      EnvironmentFile: [`-/run/${directory}/env`],
      Environment: [`UNIT_SECRETS_DIRECTORY=/run/${directory}`, `"A=${secretReference}"`],
      Requires: [],
      AssertPathExists: [],
      User: [],
    }))
      expect([name, settings(plan, dropIn('weather@a:b'), name)]).toEqual([name, values]);
  });

  test('is noted, so that it is kept down when the manifest cannot be read', () => {
    expect(settings(plan, 'unit-secrets-token.service', 'KnownService')).toEqual(['"weather@a:b.service"']);
    expect(down(planOf({ manifest: unreadable, listed: ['weather@a:b.service'] }))).toEqual(['weather@a:b']);
  });

  test('has what it was given before wiped', () => {
    const before = planOf({
      manifest: read({ version: 1, services: { app: { dynamicUser: 'inline', files: {} } } }),
      ...left('app'),
      configDirectories: ['app'],
    });
    for (const unit of ['app-secrets.service', 'app-config.service'])
      expect(settings(before, unit, 'ExecStart')).toEqual(['/bin/false']);
  });
});

describe('the SSH keys of a user', () => {
  const keysOf = (sshKeys: Json, more: Readonly<Record<string, Json>> = {}): UnitPlan =>
    planOf({ manifest: read({ version: 1, sshKeys, ...more }) });
  const plan = keysOf({
    'al-ice': { privateKey: secretReference, publicKey: secretReference, authorize: true, file: 'id_x' },
  });
  const unit = 'ssh-key-setup@al\\x2dice.service';
  const fetching = 'ssh-key-setup-secrets@al\\x2dice.service';
  const directory = 'unit-secrets/secrets/ssh-key-setup@al+x2dice';

  test('are put in place by a unit that runs as the user and is never required', () => {
    for (const [name, values] of Object.entries({
      User: ['al-ice'],
      Type: ['oneshot'],
      RemainAfterExit: [],
      ProtectHome: ['no'],
      Requires: [fetching],
      After: [`${fetching} ssh-key-setup-retry@al\\x2dice.service remote-fs.target nss-user-lookup.target`],
      Before: ['sshd.service ssh.service'],
      LoadCredential: [
        `private-key:/run/${directory}/credentials/private-key`,
        `public-key:/run/${directory}/credentials/public-key`,
      ],
      ExecStart: ['/usr/bin/unit-secrets install-keys --authorize "--file=id_x" al-ice'],
    }))
      expect([name, settings(plan, unit, name)]).toEqual([name, values]);
    expect(plan.links).toEqual(
      ['multi-user.target', 'ssh.service', 'sshd.service'].map((by) => ({
        path: `${by}.wants/${unit}`,
        target: `../${unit}`,
      })),
    );
    // a lockout, it would be
    expect(plan.links.filter(({ path }) => path.includes('.requires/'))).toEqual([]);
    expect(plan.files.filter(({ path }) => path.endsWith('.conf'))).toEqual([]);
  });

  test('are fetched by root, waiting neither for the network nor for the clock, within 30 s', () => {
    const early = keysOf({ alice: { privateKey: secretReference } }, { fetch: { timeout: '10min' } });
    const path = 'ssh-key-setup-secrets@alice.service';
    expect(contentOf(early, path)).not.toMatch(/network-online|time-s|nss-lookup/);
    const seconds = settings(early, path, 'TimeoutStartSec').map((text) => Number.parseFloat(text));
    expect(seconds[0]).toBeLessThanOrEqual(30);
    expect(Number(JSON.parse(settings(early, path, 'Timeout')[0] ?? ''))).toBeLessThan(seconds[0] ?? 0);
    expect(settings(early, path, 'OnFailure')).toEqual(['ssh-key-setup-retry@alice.timer']);
    expect(settings(early, 'ssh-key-setup-retry@alice.timer', 'Unit')).toEqual([
      'ssh-key-setup-retry@alice.service',
    ]);
  });

  test('with an error are told by their own unit, and those of others are set up', () => {
    const both = keysOf({ a: { privateKey: 1 }, b: { privateKey: 'x' } });
    expect(errorsFor(both, 'ssh-key-setup@a')).toEqual([expect.stringContaining('$.sshKeys.a.privateKey')]);
    expect(settings(both, 'ssh-key-setup@a.service', 'AssertPathExists')).toEqual(['!/']);
    expect(settings(both, 'ssh-key-setup@b.service', 'User')).toEqual(['b']);
    expect(both.files.filter(({ path }) => path.startsWith('unit-secrets-manifest'))).toEqual([]);
  });

  test('are not among the services that are noted', () => {
    expect(settings(plan, 'unit-secrets-token.service', 'KnownService')).toEqual([]);
  });
});

describe('what an entry had before', () => {
  const given = (runtimeDirectory: string | undefined): Json =>
    runtimeDirectory === undefined ? some : { ...some, runtimeDirectory };

  test.each<[string, string | undefined, string[], string]>([
    ['another directory', 'new', ['old'], 'unit-secrets/secrets/app new old'],
    ['a directory', undefined, ['old', 'older'], 'unit-secrets/secrets/app old older'],
    ['the same directory', 'new', ['new'], 'unit-secrets/secrets/app new'],
    ['a directory that another service has now', undefined, ['taken'], 'unit-secrets/secrets/app'],
  ])('is wiped with the rest: %s', (_, now, runtimeDirectories, expected) => {
    const plan = planOf({
      manifest: read({ version: 1, services: { app: given(now), other: given('taken') } }),
      secretsDirectories: [
        { directory: 'app', runtimeDirectories },
        { directory: 'other', runtimeDirectories: ['taken'] },
      ],
    });
    expect(settings(plan, 'app-secrets.service', 'RuntimeDirectory')[0]).toBe(expected);
    expect(down(plan)).toEqual([]);
  });

  test.each<[string, Json]>([
    ['has another one now', { app: given('new'), other: given('rdir') }],
    ['has none now', { app: some, other: given('rdir') }],
    ['has left the manifest', { other: given('rdir') }],
  ])('is not given to another service before it is stopped, be it that it %s', (_, services) => {
    const manifest = read({ version: 1, services });
    const held = planOf({
      manifest,
      secretsDirectories: [{ directory: 'app', runtimeDirectories: ['rdir'] }],
    });
    expect(down(held)).toEqual(['other']);
    const said =
      'm.json: $.services.other.runtimeDirectory: /run/rdir still has secrets of app.service (stop app.service, then run systemctl daemon-reload)';
    expect(errorsFor(held, 'other').map((text) => text.replace(/^.*?: /, 'm.json: '))).toEqual([said]);
    expect(held.problems.map(({ service }) => service)).toEqual(['other']);
    // app's own unit wipes it
    expect(settings(held, 'app-secrets.service', 'RuntimeDirectory')[0]).toMatch(/ rdir$/);
    const freed = planOf({ manifest, secretsDirectories: [{ directory: 'app', runtimeDirectories: [] }] });
    expect(down(freed)).toEqual([]);
    expect(freed.problems).toEqual([]);
  });

  test('is wiped when it has left the manifest, and when its entry is broken', () => {
    const before = { secretsDirectories: [{ directory: 'app', runtimeDirectories: ['old'] }] };
    for (const manifestNow of [
      read({ version: 1 }),
      read({ version: 1, services: { app: {} } }),
      unreadable,
    ]) {
      const plan = planOf({ manifest: manifestNow, ...before });
      expect(settings(plan, 'app-secrets.service', 'RuntimeDirectory')).toEqual([
        'unit-secrets/secrets/app old',
      ]);
    }
  });

  test('changes no marker: what is fetched is the same', () => {
    const app = read({ version: 1, services: { app: some } });
    const plan = planOf({
      manifest: app,
      secretsDirectories: [{ directory: 'app', runtimeDirectories: ['old'] }],
    });
    expect(marker(plan, 'app')).toBe(marker(planOf({ manifest: app }), 'app'));
  });

  test('as configs is wiped where there are none any more, one stub for each directory', () => {
    const plan = planOf({
      manifest: read({ version: 1, services: { app: some } }),
      ...left('app', 'gone@1'),
      configDirectories: ['app', 'gone@1', 'a,b'],
    });
    const stubs = plan.files.filter(({ content }) => content.includes('\nExecStart=/bin/false\n'));
    expect(stubs.map(({ path }) => path).sort()).toEqual(
      ['app-config.service', 'gone-config@1.service', 'gone-secrets@1.service', 'a:b-config.service'].sort(),
    );
    expect(settings(plan, 'a:b-config.service', 'RuntimeDirectory')).toEqual(['unit-secrets/config/a,b']);
  });

  test('as configs stays until a running service with an error stops', () => {
    const plan = planOf({
      manifest: read({ version: 1, services: { app: { configs: 1 } } }),
      ...left('app'),
      configDirectories: ['app'],
    });
    const chain = 'app-secrets.service app-config.service';
    expect(settings(plan, dropIn('app'), 'Requires')).toEqual([chain]);
    expect(settings(plan, dropIn('app'), 'AssertPathExists')).toEqual(['!/']);
    expect(settings(plan, 'app-config.service', 'RuntimeDirectory')).toEqual(['unit-secrets/config/app']);
    expect(settings(plan, 'app-config.service', 'Requires')).toEqual(['app-secrets.service']);
  });
});

describe('a file of manifest.d that cannot be read', () => {
  const text = (file: string, value: Json | undefined) => ({
    file,
    value,
    locate: () => undefined,
    ...(value === undefined ? { problems: [{ ...problem, file }] } : {}),
  });
  const main = text('/m', { version: 1, services: { a: some } });
  const fine = text('/d/fine', { services: { b: some } });

  test('keeps down what may be in it: what can be seen, runs or was noted, and nothing that others have', () => {
    const plan = planOf({
      manifest: readManifest(main, [text('/d/bad', undefined), fine]),
      visibleNames: ['seen', 'a'],
      ...left('running', 'b'),
      listed: ['noted.service', 'a.service'],
    });
    expect(up(plan)).toEqual(['a', 'b']);
    expect(down(plan)).toEqual(['noted', 'running', 'seen']);
    expect(contentOf(plan, 'unit-secrets-manifest.service')).toContain('/d/bad: wrong');
  });

  test('does not cost a service whose generated unit it names', () => {
    const plan = planOf({
      manifest: readManifest(main, [text('/d/bad', undefined)]),
      visibleNames: ['a-secrets', 'a-config'],
    });
    expect(up(plan)).toEqual(['a']);
    expect(down(plan)).not.toContain('a-secrets');
    const paths = plan.files.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
  });

  test('is the source of none of the others’ units', () => {
    const plan = planOf({ manifest: readManifest(main, [fine]) });
    expect(settings(plan, 'a-secrets.service', 'SourcePath')).toEqual(['/m']);
    expect(settings(plan, 'b-secrets.service', 'SourcePath')).toEqual(['/d/fine']);
    expect(contentOf(plan, dropIn('b'))).toContain(' from /d/fine;');
  });
});

test('a token in a credential is decrypted by systemd, for the token unit alone', () => {
  const plan = planOfServices({ a: some }, { token: { credential: '1password-token' } });
  const unit = 'unit-secrets-token.service';
  expect(settings(plan, unit, 'LoadCredentialEncrypted')).toEqual([
    '1password-token:/etc/credstore.encrypted/1password-token',
  ]);
  expect(settings(plan, unit, 'TokenCredential')).toEqual(['"1password-token"']);
  expect(settings(plan, unit, 'RequiresMountsFor')).toEqual([
    '/run/unit-secrets /var/lib/unit-secrets /etc/credstore.encrypted/1password-token',
  ]);
  expect(settings(plan, 'a-secrets.service', 'LoadCredentialEncrypted')).toEqual([]);
});
