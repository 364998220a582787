import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { companionName } from '../../src/domain/service-name.ts';
import { readXSecrets } from '../../src/effects/ini.ts';
import { shortHash } from '../../src/effects/short-hash.ts';
import { errorsOf, readPlan } from '../../src/fetch/read-plan.ts';
import { planUnits } from '../../src/unit/plan-units.ts';
import { manifest, nothingLeft, read } from '../support/manifests.ts';

const written = {
  Service: ['app.service'],
  Provider: ['1password'],
  Tries: ['12'],
  Timeout: ['240'],
  Environment: ['A=op://v/i/f', 'B==x=', 'C='],
  Credential: ['tls.key=op://v/i/k', 'b=a=\nb'],
  File: ['0440 repo.key=op://v/i/r', '0400 x= '],
  Config: ['0640 yaml config.yaml=/etc/a b=c.yaml', '0400 text z=/z'],
  FileCredential: ['repo.key'],
  ConfigCredential: ['z'],
  ConfigValue: ['config.yaml PORT=80', 'config.yaml NAME=a b=\n', 'z PORT=81'],
};

function planFrom(changes: Readonly<Record<string, readonly string[] | undefined>>) {
  const settings = new Map<string, readonly string[]>();
  for (const [name, values] of Object.entries({ ...written, ...changes }))
    if (values) settings.set(name, values);
  return readPlan(settings);
}

test('the settings of a unit are its plan', () => {
  expect(planFrom({})).toEqual({
    fetch: {
      service: 'app.service',
      tries: 12,
      timeout: 240,
      environment: [
        ['A', 'op://v/i/f'],
        ['B', '=x='],
        ['C', ''],
      ],
      credentials: [
        ['tls.key', 'op://v/i/k'],
        ['b', 'a=\nb'],
      ],
      files: [
        { name: 'repo.key', value: 'op://v/i/r', mode: 0o440, credential: true },
        { name: 'x', value: ' ', mode: 0o400, credential: false },
      ],
      configs: [
        {
          name: 'config.yaml',
          template: '/etc/a b=c.yaml',
          format: 'yaml',
          mode: 0o640,
          values: [
            ['PORT', '80'],
            ['NAME', 'a b=\n'],
          ],
          credential: false,
        },
        {
          name: 'z',
          template: '/z',
          format: 'text',
          mode: 0o400,
          values: [['PORT', '81']],
          credential: true,
        },
      ],
      grouped: false,
      runtimeDirectory: undefined,
    },
    provider: { type: '1password' },
  });
});

test('a vault has a path and identities', () => {
  expect(planFrom({ Provider: ['age-vault'], Vault: ['/v'], Identity: ['/a', '/b'] }).provider).toEqual({
    type: 'age-vault',
    path: '/v',
    identities: ['/a', '/b'],
  });
});

test('a group and a directory are told', () => {
  expect(planFrom({ Group: ['app'], RuntimeDirectory: ['app'] }).fetch).toMatchObject({
    grouped: true,
    runtimeDirectory: 'app',
  });
});

test('what the generator writes for a service is what its fetcher reads', () => {
  fc.assert(
    fc.property(manifest, (whole) => {
      const source = read(whole);
      const { files } = planUnits(
        { ...nothingLeft, manifest: source },
        { executable: '/usr/bin/unit-secrets', memory: 'ramfs', privateUsers: true },
        shortHash,
      );
      const { tries, timeout } = source.fetch;
      for (const service of source.services) {
        const unit = service.inline
          ? `${service.name.name}.service.d/50-unit-secrets.conf`
          : `${companionName(service.name, 'secrets')}.service`;
        const text = files.find(({ path }) => path === unit)?.content ?? '';
        expect(readPlan(readXSecrets(text) ?? new Map())).toEqual({
          fetch: {
            service: `${service.name.name}.service`,
            tries,
            timeout,
            environment: service.environment,
            credentials: service.credentials,
            files: service.files,
            configs: service.configs.map(({ formatGiven: _, ...config }) => config),
            grouped: service.group !== undefined,
            runtimeDirectory: service.runtimeDirectory,
          },
          provider: source.provider,
        });
      }
    }),
  );
});

test.each([
  ['Service', undefined],
  ['Service', ['a', 'b']],
  ['Provider', undefined],
  ['Provider', ['hashicorp']],
  ['Tries', undefined],
  ['Tries', ['many']],
  ['Tries', ['0']],
  ['Timeout', ['Infinity']],
  ['Timeout', ['-1']],
  ['Environment', ['=x']],
  ['Environment', ['A']],
  ['Credential', ['=x']],
  ['File', ['440 a=x']],
  ['File', ['0440 a']],
  ['Config', ['0640 a=/x']],
  ['Config', ['0640 xml a=/x']],
  ['ConfigValue', ['PORT=80']],
  ['RuntimeDirectory', ['a', 'b']],
])('a setting that is not as this version writes it is named: %s %j', (name, values) => {
  expect(() => planFrom({ [name]: values })).toThrow(
    expect.objectContaining({
      failure: expect.objectContaining({
        exitCode: exitCodes.configuration,
        message: expect.stringContaining(`the setting ${name}= `),
      }),
    }),
  );
});

test('errors that the generator found are kept apart from what there is to fetch', () => {
  expect(errorsOf(new Map([['Error', ['one', 'two']]]))).toEqual(['one', 'two']);
  expect(errorsOf(new Map())).toEqual([]);
});

test.each([
  ['File', '0400 ../../etc/cron.d/x=y'],
  ['File', '0400 a/b=y'],
  ['File', '0400 .ok-0123=y'],
  ['File', '0644 a=y'],
  ['File', '4400 a=y'],
  ['Credential', '../a=y'],
  ['Environment', 'A B=y'],
  ['Environment', 'A\nB=y'],
  ['Config', '0640 yaml ../a=/t'],
  ['Config', '0666 yaml a=/t'],
  ['Config', '0640 yaml a=t'],
  ['Config', '0640 yaml a=/t/../../etc/shadow'],
  ['ConfigValue', 'config.yaml A-B=y'],
  ['RuntimeDirectory', '../etc'],
  ['RuntimeDirectory', 'systemd'],
])(
  'nothing is read that would lead out of the directory of a service or open it wide: %s="%s"',
  (name, text) => {
    expect(() => planFrom({ [name]: [text] })).toThrow(
      expect.objectContaining({ failure: expect.objectContaining({ exitCode: exitCodes.configuration }) }),
    );
  },
);

test.each(['Vault', 'Identity'])('a path that is none is not read: %s=', (name) => {
  const vault = { Provider: ['age-vault'], Vault: ['/a'], Identity: ['/b'] };
  expect(planFrom(vault).provider).toMatchObject({ path: '/a', identities: ['/b'] });
  for (const path of ['a', '/a/../b', '/a\0b', ''])
    expect(() => planFrom({ ...vault, [name]: [path] })).toThrow(`the setting ${name}= in [X-Secrets]`);
});
