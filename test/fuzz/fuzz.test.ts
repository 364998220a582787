/** A little of each kind, with one seed; scripts/fuzz does more. */
import { expect, test } from 'vitest';
import { fuzzAge } from './age.ts';
import { fuzzAnswers } from './answers.ts';
import { parseCommandLine } from './command-line.ts';
import { fuzzEnvironment } from './environment.ts';
import { fuzzManifests } from './manifests.ts';
import { fuzzReferences } from './references.ts';
import type { FuzzOptions, Report } from './report.ts';
import { fuzzTemplates } from './templates.ts';
import { pathProblem, unitProblems } from './unit-oracle.ts';
import { fuzzUnits } from './units.ts';
import { UnitSample } from './verify.ts';

const seed = 1;

/** What was tried must have been tried: each kind names counts that cannot be 0. */
test.each<
  [
    kind: string,
    run: (options: FuzzOptions) => Report | Promise<Report>,
    count: number,
    tried: readonly string[],
  ]
>([
  [
    'manifests',
    fuzzManifests,
    400,
    ['services fetched for', 'services kept down', 'unit files judged', 'bytes, alone'],
  ],
  ['references', fuzzReferences, 2000, ['references', 'near references', 'values', 'values refused']],
  [
    'units',
    fuzzUnits,
    200,
    [
      'services there and back',
      'damaged units refused',
      'damaged units that can be read',
      'damaged units through the program',
    ],
  ],
  [
    'templates',
    fuzzTemplates,
    1000,
    ['judged by Python', 'judged by the model of systemd', 'yaml refused', 'toml rendered'],
  ],
  ['age', fuzzAge, 60, ['opened', 'refused', 'judged by age']],
  ['answers', fuzzAnswers, 3, []],
  [
    'environment',
    (options) => fuzzEnvironment({ ...options, suites: ['trixie'] }),
    1000,
    ['values', 'values refused here', 'systemd 257 (trixie): values compared'],
  ],
])(
  '%s',
  async (_, run, count, tried) => {
    const { counts, findings } = await run({ seed, count });
    expect(findings).toEqual([]);
    for (const what of tried)
      expect(counts, what).toMatchObject({ [what]: expect.toSatisfy((number) => number > 0) });
  },
  600_000,
);

test('the real judge sees what is wrong', async () => {
  const sample = new UnitSample(1);
  sample.add(new Map([['a.service.d/50-unit-secrets.conf', Buffer.from('[Unit]\nFoo=a\n')]]));
  expect((await sample.verify('trixie')).join()).toMatch(/Unknown key.*Foo/);
}, 600_000);

test('systemd-analyze verify has nothing to say of what becomes of manifests', async () => {
  const sample = new UnitSample(100);
  await fuzzManifests({ seed: 2, count: 300, onOutput: (output) => sample.add(output) });
  expect(sample.services).toBe(100);
  expect(await sample.verify('trixie')).toEqual([]);
}, 600_000);

test.each([
  ['[Unit]\nDescription=a', 'does not end with a line end'],
  ['[Unit]\nDescription=a\x01\n', 'control character'],
  ['[Unit]\nDescription=a\uffff\n', 'noncharacter'],
  ['[Unit]\nDescription=100%\n', 'specifier'],
  ['[Unit]\nDescription=a\\\nAfter=b.service\n', 'next line'],
  [`[Unit]\nDescription=${'x'.repeat(1 << 20)}\n`, 'has a line of 1048588 bytes'],
  ['[Unit]\nFoo=a\n', 'has the setting'],
  ['[Foo]\nDescription=a\n', 'has the section'],
  ['[Service]\nExecStart=/a "b\n', 'not closed'],
  ['[Service]\nExecStart=/a $b\n', 'a single $'],
  ['[Service]\nRuntimeDirectory=unit-secrets/secrets/a ..\n', 'has ".."'],
  ['[Service]\nRuntimeDirectory=systemd\n', "the system's"],
  ['[X-Secrets]\nEnvironment=A=b\n', 'not quoted'],
  ['Description=a\n', 'has the line'],
])('the judge of units sees what is wrong with %j', (text, problem) => {
  expect(unitProblems('a.service', Buffer.from(text)).join()).toContain(problem);
});

test('the judge of units has nothing to say of one that is right', () => {
  const text =
    '# a\n\n[Unit]\nDescription=100%% of a\n\n[Service]\nType=oneshot\nExecStart=/a "b %% \\x01"\n';
  expect(unitProblems('a.service', Buffer.from(text))).toEqual([]);
  expect(parseCommandLine('/a "b %% $$ \\x01\\"" c', { dollars: true })).toEqual(['/a', 'b % $ \x01"', 'c']);
});

test.each(['../a.service', 'a.service.d/x.conf', 'a/b.service', 'a.socket', `${'x'.repeat(250)}.service`])(
  'no unit of ours is at %s',
  (path) => {
    expect(pathProblem(path)).toBeDefined();
  },
);
