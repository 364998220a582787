import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { readXSecrets } from '../../src/effects/ini.ts';
import { shortHash } from '../../src/effects/short-hash.ts';
import { errorsOf, readPlan } from '../../src/fetch/read-plan.ts';
import { planUnits } from '../../src/unit/plan-units.ts';
import { manifest, read } from '../support/manifests.ts';

const written = {
  Service: ['app.service'],
  Provider: ['1password'],
  Tries: ['12'],
  Timeout: ['240'],
  Environment: ['A=op://v/i/f', 'B==x=', 'C='],
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

test('what the generator writes for a service is what its fetcher reads', () => {
  fc.assert(
    fc.property(manifest, (whole) => {
      const source = read(whole);
      const { files } = planUnits(
        { manifest: source, problems: [], visibleNames: [], directories: [], listed: [] },
        { executable: '/usr/bin/unit-secrets', memory: 'ramfs' },
        shortHash,
      );
      const plans = files
        .filter(({ path }) => /-secrets(@.*)?\.service$/.test(path))
        .map(({ content }) => readPlan(readXSecrets(content) ?? new Map()));
      const { tries, timeout } = source.fetch;
      expect(plans).toEqual(
        source.services.map(({ name, environment }) => ({
          fetch: { service: `${name.name}.service`, tries, timeout, environment },
          provider: source.provider,
        })),
      );
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
