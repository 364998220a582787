import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { statusOf } from './looking.ts';
import { bootMachine, environmentOf, idleService, manifestPath, stateOf, vaultManifest } from './machine.ts';

const longest = `a${'b'.repeat(238)}`;
const entry = {
  environment: { KEY: 'op://Vault/Item/field' },
  files: { f: { value: 'op://Vault/Item/field' } },
};
const rendered = { ...entry, configs: { c: { template: '/etc/template.json' } } };
const tooLong = `a${'d'.repeat(240)}`;
/** Leaves room for `unit-secrets-renew@X.service`. */
const renewed = `a${'c'.repeat(227)}`;

// version 247 does not load units of such names: "File name too long"
describe.each(['bookworm', 'trixie', 'sid'] as const)('names of services on %s', (suite) => {
  let machine: Container;
  const systemctl = (...args: readonly string[]) => machine.exec(['systemctl', ...args], { check: false });

  beforeAll(async () => {
    machine = await bootMachine({
      suite,
      manifest: vaultManifest({
        [longest]: rendered,
        [renewed]: rendered,
        [tooLong]: entry,
        'tmpl@': entry,
        'tmpl@a': entry,
      }),
      vault: { Vault: { Item: { field: 'value' } } },
      services: Object.fromEntries(
        [longest, renewed, tooLong, 'tmpl@a', 'tmpl@b'].map((name) => [name, undefined]),
      ),
      files: { '/etc/template.json': '{"key": "${KEY}"}\n', '/etc/systemd/system/late.service': idleService },
    });
  });
  afterAll(() => machine?.kill());

  test.each([longest, renewed])('the longest ones get secrets', async (name) => {
    expect(
      await stateOf(machine, `${name}.service`),
      await statusOf(machine, `${name}-secrets.service`),
    ).toBe('active');
    expect((await environmentOf(machine, `${name}.service`)).get('KEY')).toBe('value');
    expect((await systemctl('reload', `${name}-secrets.service`)).code).toBe(0);
    expect((await systemctl('restart', `${name}.service`)).code).toBe(0);
  });

  test.each([tooLong, 'tmpl@b'])(
    'a name that is refused, or an instance of it, is kept down',
    async (name) => {
      expect(await stateOf(machine, `${name}.service`)).toBe('inactive');
      expect((await systemctl('start', `${name}.service`)).stderr).toContain('Assertion failed');
      expect(await stateOf(machine, 'unit-secrets-manifest.service')).toBe('failed');
    },
  );

  test('an instance with an entry is started, though its template is refused', async () => {
    expect((await environmentOf(machine, 'tmpl@a.service')).get('KEY')).toBe('value');
  });

  test('a service that is new since the boot is kept down when the manifest cannot be read at the next one', async () => {
    await machine.writeFile(manifestPath, vaultManifest({ late: entry }));
    await systemctl('daemon-reload');
    expect((await systemctl('start', 'late.service')).code).toBe(0);
    await machine.writeFile(manifestPath, '');
    await machine.powerOff();
    await machine.start();
    expect((await systemctl('start', 'late.service')).code).not.toBe(0);
    expect(await stateOf(machine, 'late.service')).toBe('inactive');
  });
});
