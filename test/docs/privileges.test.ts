/** SECURITY.md says what each generated unit may do: it is what the units say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Json } from '../../src/domain/json-text.ts';
import { shortHash } from '../../src/effects/short-hash.ts';
import { type GeneratorInput, planUnits } from '../../src/unit/plan-units.ts';
import { nothingLeft, read } from '../support/manifests.ts';

const document = readFileSync(join(import.meta.dirname, '../../SECURITY.md'), 'utf8');
const machine = { executable: '/usr/bin/unit-secrets', memory: 'tmpfs-noswap', privateUsers: true } as const;

type Settings = ReadonlyMap<string, readonly string[]>;

/** The settings of the `[Service]` section of each unit and drop-in. */
function servicesOf(
  manifest: Readonly<Record<string, Json>>,
  left: Partial<GeneratorInput> = {},
): Map<string, Settings> {
  const input = { ...nothingLeft, ...left, manifest: read({ version: 1, ...manifest }) };
  const found = new Map<string, Settings>();
  for (const { path, content } of planUnits(input, machine, shortHash).files) {
    const section = /\n\[Service\]\n([^[]*)/.exec(content)?.[1];
    if (section === undefined) continue;
    const settings = new Map<string, string[]>();
    for (const line of section.trim().split('\n')) {
      const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(line) ?? [];
      settings.set(name, [...(settings.get(name) ?? []), value]);
    }
    found.set(path, settings);
  }
  return found;
}

const environment = { A: 'op://v/i/f' };
const app = {
  environment,
  configs: { c: { template: '/t' } },
  group: 'shared',
  runtimeDirectory: 'NAME',
};
const sshKeys = { U: { privateKey: 'op://v/i/f' }, V: { privateKey: 'op://' } };
const whole = servicesOf(
  {
    services: {
      X: app,
      plain: { environment },
      broken: { environment: { A: 'op://' } },
      inline: { dynamicUser: 'inline', environment },
    },
    sshKeys,
  },
  {
    secretsDirectories: ['X', 'gone'].map((directory) => ({
      directory,
      runtimeDirectories: [],
      marker: '.ok-old',
    })),
    configDirectories: ['broken', 'gone'],
    inlineDirectories: ['former'],
  },
);
const withVault = servicesOf({
  provider: { type: 'age-vault' },
  services: { X: app, plain: { environment } },
});
const wrong = servicesOf({ services: { 'a b': {} } });

/** Every unit with commands, by what the document calls it. */
const kinds: readonly (readonly [string, Settings | undefined])[] = [
  ['`X-secrets`', whole.get('plain-secrets.service')],
  ['`X-secrets`, with configs, a group and a `runtimeDirectory`', whole.get('X-secrets.service')],
  ['`X-secrets`, from a vault', withVault.get('plain-secrets.service')],
  ['`X-secrets`, from a vault, with configs and so on', withVault.get('X-secrets.service')],
  ['`X-config`', whole.get('X-config.service')],
  ['`unit-secrets-token`', whole.get('unit-secrets-token.service')],
  ['`unit-secrets-renew@X`', whole.get('unit-secrets-renew@X.service')],
  ['`ssh-key-setup-secrets@U`', whole.get('ssh-key-setup-secrets@U.service')],
  ['`ssh-key-setup@U`', whole.get('ssh-key-setup@U.service')],
  ['`ssh-key-setup-retry@U`', whole.get('ssh-key-setup-retry@U.service')],
  ['`X-secrets`, of a broken entry', whole.get('broken-secrets.service')],
  ['`X-config`, of a broken entry', whole.get('broken-config.service')],
  ['`ssh-key-setup@U`, of a broken entry', whole.get('ssh-key-setup@V.service')],
  ['`ssh-key-setup-secrets@U`, of a broken entry', whole.get('ssh-key-setup-secrets@V.service')],
  ['`X-secrets`, of an entry that is gone', whole.get('gone-secrets.service')],
  ['`X-config`, of an entry that is gone', whole.get('gone-config.service')],
  ['`unit-secrets-manifest`', wrong.get('unit-secrets-manifest.service')],
];
const dropIns: readonly (readonly [string, Settings | undefined])[] = [
  ['`X.service.d`', whole.get('plain.service.d/50-unit-secrets.conf')],
  ['`X.service.d`, inline', whole.get('inline.service.d/50-unit-secrets.conf')],
  [
    '`X.service.d`, inline, of an entry that is gone',
    whole.get('former.service.d/49-unit-secrets-wipe.conf'),
  ],
  ['`X.service.d`, of a broken entry', whole.get('broken.service.d/50-unit-secrets.conf')],
];

function must(settings: Settings | undefined, what: string): Settings {
  if (settings === undefined) throw new Error(`there is no unit of the kind ${what}`);
  return settings;
}

const first = (settings: Settings, name: string): string => settings.get(name)?.[0] ?? '';

function row([what, found]: readonly [string, Settings | undefined]): string {
  const settings = must(found, what);
  const writes = [
    ...first(settings, 'RuntimeDirectory').split(' '),
    ...(settings.get('BindPaths') ?? []).map((path) => path.replace(/^-?\/run\//, '')),
  ].filter((path) => path !== '');
  const state = (settings.get('ReadWritePaths') ?? []).map((path) => path.replace(/^-/, ''));
  const home = first(settings, 'ProtectHome');
  const commands = [...settings].flatMap(([name, values]) => (/^Exec/.test(name) ? values : []));
  const cells = [
    what,
    first(settings, 'User') || 'root',
    first(settings, 'RestrictAddressFamilies').replaceAll('AF_', ''),
    settings.has('MemoryDenyWriteExecute') ? 'no' : 'yes',
    home === 'yes' ? 'hidden' : home,
    [...writes.map((path) => `/run/${path}`), ...state, ...(home === 'no' ? ['what U may'] : [])].join(
      ', ',
    ) || 'nothing',
    commands.some((command) => /^[-@:]*[+!]/.test(command)) ? 'yes' : 'no',
  ];
  return `| ${cells.join(' | ')} |`;
}

const header = [
  '| unit | user | address families | JIT | homes | may write | leaves the sandbox |',
  '| --- | --- | --- | --- | --- | --- | --- |',
];

/** Without the blanks that align a table. */
const tight = (text: string): string =>
  text
    .replace(/ *\| */g, ' | ')
    .replace(/-{3,}/g, '---')
    .trim();

test('SECURITY.md says what each unit may do', () => {
  const table = [...header, ...kinds.map(row)].map(tight);
  const lines = document.split('\n').map(tight);
  const start = lines.indexOf(table[0] ?? '');
  expect(start, table.join('\n')).toBeGreaterThanOrEqual(0);
  expect(lines.slice(start, start + table.length)).toEqual(table);
});

test('SECURITY.md knows every kind of unit', () => {
  const known = [
    /^(X|plain|broken|gone)-secrets\.service$/,
    /^(X|broken|gone)-config\.service$/,
    /^unit-secrets-(token|manifest|renew@X)\.service$/,
    /^ssh-key-setup(-secrets|-retry)?@[UV]\.service$/,
    /^[^/]*\.service\.d\/(49-unit-secrets-wipe|50-unit-secrets)\.conf$/,
  ];
  const all = [whole, withVault, wrong].flatMap((units) => [...units.keys()]);
  expect(all.filter((path) => !known.some((kind) => kind.test(path)))).toEqual([]);
  for (const kind of known)
    expect(
      all.some((path) => kind.test(path)),
      String(kind),
    ).toBe(true);
});

test('SECURITY.md names what all units have in common', () => {
  const [any, ...others] = kinds.map(([what, settings]) => must(settings, what));
  const common = [...(any ?? new Map())].filter(
    ([name, values]) =>
      !name.startsWith('Exec') &&
      !['Type', 'UMask', 'TimeoutStopSec'].includes(name) &&
      others.every((other) => JSON.stringify(other.get(name)) === JSON.stringify(values)),
  );
  const text = document.slice(document.indexOf('## What each unit may do'));
  const missing = common
    .map(([name, values]) => `${name}=${name === 'UnsetEnvironment' ? '' : (values as string[])[0]}`)
    .filter(
      (setting) => !text.includes(`\`${setting}\``) && !text.includes(`\`${setting.replace(/=.*/, '=')}\``),
    );
  expect(missing).toEqual([]);
  // what the document relies on
  for (const [name, value] of [
    ['CapabilityBoundingSet', ''],
    ['NoNewPrivileges', 'yes'],
    ['ReadOnlyPaths', '/run'],
    ['MemorySwapMax', '0'],
    ['LimitCORE', '0'],
  ] as const)
    expect(common.find(([one]) => one === name)?.[1]).toEqual([value]);
});

test('drop-ins give a service nothing but its secrets, and run nothing as root but what SECURITY.md names', () => {
  for (const [what, found] of dropIns) {
    const settings = must(found, what);
    const asRoot = [...settings.values()].flat().filter((value) => /^[-@:!]*[+!]/.test(value));
    expect(asRoot, what).toEqual(
      what.endsWith('of a broken entry') ? ['-+systemctl --no-block stop broken-secrets.service'] : [],
    );
    for (const name of settings.keys())
      expect(
        [
          'EnvironmentFile',
          'Environment',
          'LoadCredential',
          'RuntimeDirectory',
          'RuntimeDirectoryPreserve',
          'ReadOnlyPaths',
          'ExecStartPre',
          'ExecStopPost',
          'UnsetEnvironment',
        ],
        what,
      ).toContain(name);
  }
});
