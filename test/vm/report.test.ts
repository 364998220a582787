import { expect, test } from 'vitest';
import { digestOf, type Report } from './qemu.ts';
import { type Expected, median, problemsOf, timesOf } from './report.ts';

const digests = new Map([['APP_TOKEN', digestOf('right')]]);
const expected: Expected = { secrets: true, generator: true, digests };

const unit = (name: string, ...lines: readonly string[]): string => `Unit=${name}\n${lines.join('\n')}\n`;
const active = 'ActiveState=active';

/** What a machine reports on which all is well. */
const good: Readonly<Record<string, string>> = {
  state: 'running\n',
  failed: '',
  kernel: '6.12.1-amd64\n',
  manager: [
    'UserspaceTimestampMonotonic=9000000',
    'GeneratorsStartTimestampMonotonic=10000000',
    'GeneratorsFinishTimestampMonotonic=10250000',
    'UnitsLoadStartTimestampMonotonic=10250000',
    'UnitsLoadFinishTimestampMonotonic=10300000',
    'FinishTimestampMonotonic=29000000',
    '',
  ].join('\n'),
  units: [
    ...['web', 'db', 'web-secrets', 'db-secrets', 'db-config', 'plain'].map((name) =>
      unit(`${name}.service`, active, 'ActiveEnterTimestampMonotonic=20000000'),
    ),
    unit('multi-user.target', active, 'ActiveEnterTimestampMonotonic=28000000'),
    unit('basic.target', active, 'ActiveEnterTimestampMonotonic=15000000'),
    unit('ssh-key-setup@ada.service', 'ActiveState=inactive', 'ExecMainExitTimestampMonotonic=21000000'),
    unit('ssh.service', active, 'ExecMainStartTimestampMonotonic=22000000'),
  ].join('\n'),
  digests: `digest APP_TOKEN ${digestOf('right')}\n`,
  ssh: 'logged in as ada\n',
  mounts: '/ ext4 rw\n/run/unit-secrets tmpfs rw,nosuid,nodev,noexec,mode=711,noswap\n',
  modes:
    '711 0:0 d /run/unit-secrets\n755 0:0 d /run/unit-secrets/secrets\n600 0:0 f /run/unit-secrets/secrets/web/env\n640 0:100 f /run/unit-secrets/config/db/database.yaml\n',
  found: [
    'journal control-journal',
    'file:/run/control/swap control-swap',
    'file:/var/lib/boot-report/control control-disk',
    'file:/var/log/journal/7f/system.journal control-journal',
    'file:/run/unit-secrets/secrets/web/env now-environment',
    'file:/run/credentials/db.service/repo.key now-file',
    'file:/run/unit-secrets/token/1password-token token-begin',
    'file:/home/ada/.ssh/id_ed25519 now-key',
    '',
  ].join('\n'),
};

/** The same with one file changed. */
function changed(name: string, change: (text: string) => string): Report {
  const text = change(good[name] ?? '');
  expect(text).not.toBe(good[name]);
  return new Map(Object.entries({ ...good, [name]: text }));
}

const report: Report = new Map(Object.entries(good));

test('a good boot has no problems', () => {
  expect(problemsOf(report, expected)).toEqual([]);
});

test('an empty report has', () => {
  expect(problemsOf(new Map(), expected).length).toBeGreaterThan(10);
});

test.each<[file: string, change: (text: string) => string, problem: string]>([
  ['state', () => 'starting\n', 'the system is starting'],
  ['failed', () => 'db-config.service\n', 'db-config.service has failed'],
  ['units', (text) => text.replace(active, 'ActiveState=inactive'), 'web.service is inactive'],
  ['units', (text) => text.replace('Unit=plain.service', 'Unit=x'), 'plain.service is not in the report'],
  [
    'units',
    (text) => text.replace('=22000000', '=20000000'),
    'sshd was started before the SSH key was in place',
  ],
  ['ssh', () => 'Permission denied\n', 'the SSH key does not log in'],
  ['digests', () => `digest APP_TOKEN ${digestOf('wrong')}\n`, 'APP_TOKEN is another value'],
  ['digests', () => '', 'APP_TOKEN is missing'],
  ['mounts', (text) => text.replace(',noswap', ''), 'not on a tmpfs with noswap'],
  ['kernel', () => '6.1.0-50-amd64\n', 'not on a ramfs'],
  ['modes', (text) => text.replace('600', '604'), '/run/unit-secrets/secrets/web/env has mode 604'],
  ['modes', (text) => text.replace('640 0:100', '644 0:100'), 'database.yaml has mode 644'],
  ['modes', (text) => text.replace('600 0:0', '600 7:0'), 'is owned by 7:0'],
  [
    'found',
    (text) => text.replace('journal control-journal\n', ''),
    'the search cannot find: journal control-journal',
  ],
  [
    'found',
    (text) => text.replace(/.*control-disk\n/, ''),
    'the search cannot find: file:/var/lib/boot-report/control',
  ],
  ['found', (text) => `${text}journal now-file\n`, 'now-file is in journal'],
  ['found', (text) => `${text}file:/tmp/x token-end\n`, 'token-end is in file:/tmp/x'],
  [
    'found',
    (text) => `${text}file:/run/unit-secrets/secrets/web/env former-environment\n`,
    'former-environment is in',
  ],
])('%s: what is wrong is found (%#)', (file, change, problem) => {
  expect(problemsOf(changed(file, change), expected)).toEqual([expect.stringContaining(problem)]);
});

test('where there can be no secrets, services must be down', () => {
  const problems = problemsOf(report, { ...expected, secrets: false });
  expect(problems).toContain('web.service is active without its secrets');
  const down = changed('units', (text) =>
    text
      .replace(`Unit=web.service\n${active}`, 'Unit=web.service\nActiveState=inactive')
      .replace(`Unit=db.service\n${active}`, 'Unit=db.service\nActiveState=failed'),
  );
  expect(problemsOf(down, { ...expected, secrets: false })).toEqual([]);
});

test('an entry with an error is told of, and kept down', () => {
  const broken = { ...expected, brokenEntry: true };
  expect(problemsOf(report, broken)).toHaveLength(2);
  const units = `${good['units']}\n${unit('broken-secrets.service', 'LoadState=loaded')}`;
  const journal =
    '[ 9.1] host unit-secrets-generator[220]: /etc/unit-secrets/manifest.json:1:99: $.services.broken.enviroment: unknown\n';
  expect(problemsOf(new Map(Object.entries({ ...good, units, journal })), broken)).toEqual([]);
});

test('what may fail is named', () => {
  const failed = changed('failed', () => 'systemd-random-seed.service\n');
  expect(problemsOf(failed, { ...expected, mayFail: [/^systemd-/] })).toEqual([]);
});

test('an sshd that has waited to the end may be early', () => {
  const late = changed('units', (text) =>
    text.replace('=21000000', '=90000000').replace('=22000000', '=41000000'),
  );
  expect(problemsOf(late, expected)).toEqual([]);
});

test('times count from the start of PID 1', () => {
  const { userspace, generators, load, until } = timesOf(report);
  expect({ userspace, generators, load }).toEqual({ userspace: 20_000, generators: 250, load: 50 });
  expect([...until]).toEqual([
    ['basic.target', 6000],
    ['plain.service', 11_000],
    ['web.service', 11_000],
    ['db.service', 11_000],
    ['multi-user.target', 19_000],
  ]);
});

test.each([
  [[3], 3],
  [[1, 9, 2], 2],
  [[4, 1, 3, 2], 2.5],
])('the median of %j is %d', (values, middle) => {
  expect(median(values)).toBe(middle);
});
