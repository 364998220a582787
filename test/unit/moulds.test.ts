import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultFetch, defaultToken, type Service } from '../../src/domain/manifest.ts';
import { parseServiceName } from '../../src/domain/service-name.ts';
import type { UnitContext } from '../../src/unit/context.ts';
import { generatedFile } from '../../src/unit/generated-file.ts';
import { castDropIn, castRetry, castSecrets, Moulds } from '../../src/unit/moulds.ts';
import { retryTimer } from '../../src/unit/retry-timer.ts';
import { secretsUnit } from '../../src/unit/secrets-unit.ts';
import { serviceDropIn } from '../../src/unit/service-drop-in.ts';
import { serviceName, value, variableName } from '../support/manifests.ts';

const context: UnitContext = {
  executable: '/usr/bin/unit-secrets',
  memory: 'tmpfs-noswap',
  privateUsers: true,
  runtimeDirectories: ['of-another'],
  provider: { type: '1password' },
  token: defaultToken,
  fetch: defaultFetch,
};
const vault: UnitContext = {
  ...context,
  provider: { type: 'age-vault', path: '/etc/unit-secrets/vault 50%.age', identities: ['/etc/key'] },
};
const noConfigs = { configs: [], inline: false } as const;
const values = fc.array(fc.tuple(variableName, value), { maxLength: 3 });
const file = fc.constantFrom('/etc/unit-secrets/manifest.json', '/etc/unit-secrets/manifest.d/10 %n.json');
const service: fc.Arbitrary<Service> = fc
  .record({
    key: fc.oneof(serviceName, fc.stringMatching(/^[A-Za-z0-9_]([A-Za-z0-9_-]{0,160}[A-Za-z0-9_])?$/)),
    file,
    environment: values,
    credentials: values,
    files: fc.array(
      fc.record({
        name: variableName,
        value,
        mode: fc.constantFrom(0o400, 0o640),
        credential: fc.boolean(),
      }),
      { maxLength: 2 },
    ),
    group: fc.option(fc.constantFrom('web', 'www-data'), { nil: undefined }),
  })
  .chain(({ key, group, ...rest }) => {
    const parsed = parseServiceName(key);
    const more = { ...noConfigs, ...rest, ...(group === undefined ? {} : { group }) };
    return parsed.ok ? fc.constant({ ...more, name: parsed.service }) : fc.constant(undefined);
  })
  .filter((one) => one !== undefined);

test.each([
  ['1Password', context],
  ['a vault', vault],
])('units from a mould are those that are built one by one: %s', (_, shared) => {
  let cast = 0;
  fc.assert(
    fc.property(fc.array(service, { minLength: 1, maxLength: 6 }), (services) => {
      const moulds = new Moulds(shared);
      for (const one of services) {
        const mould = moulds.of(one);
        if (!mould) continue;
        cast++;
        expect(castSecrets(mould, one)).toEqual(
          generatedFile(secretsUnit(one, shared, { formerDirectories: [] })),
        );
        expect(castRetry(mould, one)).toEqual(generatedFile(retryTimer(one.name, one.file, shared)));
        const dropIn = castDropIn(mould, one, '.ok-0123456789abcdef');
        if (dropIn) expect(dropIn).toEqual(generatedFile(serviceDropIn(one, '.ok-0123456789abcdef')));
      }
    }),
  );
  expect(cast).toBeGreaterThan(50);
});

const plain: Service = {
  ...noConfigs,
  name: { name: 'app', base: 'app' },
  file: '/etc/unit-secrets/manifest.json',
  environment: [['TOKEN', 'op://v/i/f']],
  credentials: [],
  files: [],
};

test.each<[string, Partial<Service>]>([
  ['an instance', { name: { name: 'a@b', base: 'a', instance: 'b' } }],
  ['a name that paths cannot carry', { name: { name: 'a:b', base: 'a:b' } }],
  ['a name that a key cannot carry', { name: { name: 'a.socket', base: 'a.socket' } }],
  ['a name too long for PrivateTmp=', { name: { name: 'a'.repeat(184), base: 'a'.repeat(184) } }],
  ['a directory of its own', { runtimeDirectory: 'app' }],
])('no mould fits %s', (_, more) => {
  const moulds = new Moulds(context);
  expect(moulds.of(plain)).toBeDefined();
  expect(moulds.of({ ...plain, ...more })).toBeUndefined();
});

const standIn = 'this-stands-for-the-name-of-a-service';

test('no mould is made of what has the stand-in in it', () => {
  expect(new Moulds({ ...context, executable: `/opt/${standIn}/bin/us` }).of(plain)).toBeUndefined();
  expect(new Moulds(context).of({ ...plain, file: `/etc/${standIn}.json` })).toBeUndefined();
});

test('a service may be called like the stand-in', () => {
  const one = { ...plain, name: { name: standIn, base: standIn } };
  const mould = new Moulds(context).of(one);
  expect(mould && castSecrets(mould, one)).toEqual(
    generatedFile(secretsUnit(one, context, { formerDirectories: [] })),
  );
});
