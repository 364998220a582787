import { expect, test } from 'vitest';
import type { Json } from '../../src/domain/json-text.ts';
import { readManifest } from '../../src/domain/manifest-reader.ts';
import { type LeftDirectory, planUnits } from '../../src/unit/plan-units.ts';

const machine = { executable: '/usr/bin/unit-secrets', memory: 'ramfs', privateUsers: true } as const;

/** What is written for services: path → content. */
function unitsFor(
  services: Readonly<Record<string, Json>>,
  left: readonly LeftDirectory[] = [],
  inline: readonly string[] = [],
) {
  const file = '/etc/unit-secrets/manifest.json';
  const value = { version: 1, services };
  const plan = planUnits(
    {
      manifest: readManifest({ file, value, locate: () => undefined }, []),
      visibleNames: [],
      secretsDirectories: left,
      configDirectories: [],
      inlineDirectories: inline,
      listed: [],
    },
    machine,
    (text) => String(text.length),
  );
  return { ...plan, units: new Map(plan.files.map(({ path, content }) => [path, content])) };
}

const entry = { environment: { KEY: 'op://Vault/Item/field' }, configs: { a: { template: '/etc/a.json' } } };
const dropIn = 'app.service.d/50-unit-secrets.conf';
const markerOf = (text = '') => /AssertPathExists=.*\/(\.ok-\d+)$/m.exec(text)?.[1] ?? '';

test('a service makes itself wanted, and is tried again only while it is', () => {
  const { units } = unitsFor({ app: entry });
  const target = 'unit-secrets-wanted@app.target';
  expect(units.get(dropIn)).toContain(`\nWants=${target}\n`);
  expect(units.get('app-retry.timer')).toContain(`\nRequisite=${target}\nAfter=${target}\n`);
  expect(units.get('unit-secrets-wanted@.target')).toContain('\nPartOf=%i.service\nStopWhenUnneeded=yes\n');
});

test.each([
  [228, true],
  [229, false],
])('a name of %i characters leaves room for the target: %s', (length, fits) => {
  const name = 'a'.repeat(length);
  const { units } = unitsFor({ [name]: entry });
  const wants = /^Wants=(.*)$/m.exec(units.get(`${name}.service.d/50-unit-secrets.conf`) ?? '');
  expect(wants !== null).toBe(fits);
  expect(wants?.[1]?.length ?? 0).toBeLessThanOrEqual(255);
  expect(units.get(`${name}-retry.timer`)?.includes('Requisite=')).toBe(fits);
});

test('a set of another edition is renewed before the service starts and before its files are rendered', () => {
  const renewal = 'unit-secrets-renew@app.service';
  const directory = { directory: 'app', runtimeDirectories: [] };
  const marker = markerOf(unitsFor({ app: entry }).units.get(dropIn));
  const { units } = unitsFor({ app: entry }, [{ ...directory, marker: '.ok-another' }]);
  expect(units.get(dropIn)).toContain(`Requires=app-secrets.service ${renewal} app-config.service\n`);
  expect(units.get('app-config.service')).toContain(`After=app-secrets.service ${renewal}\n`);
  expect(units.get(renewal)).toContain(`ConditionPathExists=!/run/unit-secrets/secrets/app/${marker}\n`);
  expect(units.get(renewal)).toContain('\nExecStart=+systemctl reload app-secrets.service\n');
  // an incomplete one as well
  expect(unitsFor({ app: entry }, [directory]).units.has(renewal)).toBe(true);
  // and the right one, or none, is left alone
  expect(unitsFor({ app: entry }, [{ ...directory, marker }]).units.has(renewal)).toBe(false);
  expect(unitsFor({ app: entry }).units.has(renewal)).toBe(false);
});

test('what has left the manifest is told, and nothing else', () => {
  const left = [
    { directory: 'app', runtimeDirectories: [] },
    { directory: 'gone', runtimeDirectories: ['gone'] },
  ];
  expect(unitsFor({ app: entry }, left).orphans).toEqual(['unit-secrets/secrets/gone', 'gone']);
});

test('a service that fetched for itself is wiped at its end, whatever has become of its entry', () => {
  const wipe = 'app.service.d/49-unit-secrets-wipe.conf';
  const inline = { dynamicUser: 'inline', environment: entry.environment };
  expect(unitsFor({}, [], ['app']).units.get(wipe)).toContain(
    '\nRuntimeDirectory=unit-secrets/inline/app\nRuntimeDirectoryPreserve=no\n',
  );
  expect(unitsFor({ app: entry }, [], ['app']).units.has(wipe)).toBe(true);
  expect(unitsFor({ app: inline }, [], ['app']).units.has(wipe)).toBe(false);
});

test('what a service had in its environment stays for its further commands when its entry breaks', () => {
  const broken = { environment: { A: 'op://' } };
  const left = { directory: 'app', runtimeDirectories: [] as string[] };
  const complete = { ...left, marker: '.ok-any' };
  const ofBroken = (directory: typeof left) => unitsFor({ app: broken }, [directory]).units.get(dropIn);
  expect(ofBroken(complete)).toContain('\nEnvironmentFile=-/run/unit-secrets/secrets/app/env\n');
  expect(ofBroken({ ...complete, runtimeDirectories: ['named'] })).toContain(
    '\nEnvironmentFile=-/run/named/env\n',
  );
  expect(ofBroken({ ...complete, runtimeDirectories: ['named', 'other'] })).not.toContain('EnvironmentFile=');
  expect(ofBroken(left)).not.toContain('EnvironmentFile=');
  // and of one that fetched for itself
  expect(
    unitsFor({ app: broken }, [], ['app']).units.get('app.service.d/49-unit-secrets-wipe.conf'),
  ).toContain(
    '\nEnvironmentFile=-/run/unit-secrets/inline/app/env\nReadOnlyPaths=-/run/unit-secrets/inline/app/env\nEnvironment=UNIT_SECRETS_DIRECTORY=/run/unit-secrets/inline/app\n',
  );
});
