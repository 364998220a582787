import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootMachine, environmentOf, manifestPath, stateOf, vaultManifest, vaultPath } from './machine.ts';

const vault = { Vault: { Item: { field: 'value' } } };
const good = { environment: { KEY: 'op://Vault/Item/field' } };

describe.each(['bookworm', 'trixie'] as const)('a manifest with errors on %s', (suite) => {
  let machine: Container;
  const status = async (unit: string): Promise<string> =>
    (await machine.exec(['systemctl', 'status', '--no-pager', '--full', unit], { check: false })).stdout;
  const load = async (manifest: string): Promise<void> => {
    await machine.writeFile(manifestPath, manifest);
    await machine.exec('systemctl daemon-reload');
  };

  beforeAll(async () => {
    machine = await bootMachine({
      suite,
      manifest: vaultManifest({
        good,
        bad: { environment: { KEY: 'op://Vault/Item' } },
        unknown: { environment: { KEY: 'op://Vault/Itme/field' } },
      }),
      vault,
      services: { good: undefined, bad: undefined, unknown: undefined, bystander: undefined },
    });
  });
  afterAll(() => machine.kill());

  test('costs only the service whose entry is wrong', async () => {
    expect((await environmentOf(machine, 'good.service')).get('KEY')).toBe('value');
    expect(await stateOf(machine, 'bystander.service')).toBe('active');
    expect(await stateOf(machine, 'bad.service')).toBe('inactive');
  });

  test('the status of its secrets unit says what is wrong and where', async () => {
    expect(await status('bad-secrets.service')).toContain(
      '/etc/unit-secrets/manifest.json:14:16: $.services.bad.environment.KEY: a secret reference has three or four parts',
    );
  });

  test('an unknown item is named, with the nearest name, and not retried', async () => {
    const text = await status('unknown-secrets.service');
    expect(text).toContain('"op://Vault/Itme/field"');
    expect(text).toContain('Item');
    expect(text).toMatch(/status=65\/DATAERR/);
    expect(text).not.toContain('try 2 of');
  });

  test('a service that runs goes on running while its entry is broken, and starts again when it is mended', async () => {
    await load(vaultManifest({ good: { environment: { KEY: 'op://' } } }));
    expect((await environmentOf(machine, 'good.service')).get('KEY')).toBe('value');
    expect((await machine.exec('systemctl restart good', { check: false })).code).not.toBe(0);
    expect(await stateOf(machine, 'good.service')).not.toBe('active');
    await load(vaultManifest({ good }));
    await machine.waitFor('systemctl start good', 'good to start again');
    expect((await environmentOf(machine, 'good.service')).get('KEY')).toBe('value');
  });

  test('a file that is not JSON keeps every service down that it names, and says where', async () => {
    await load(
      `{"version": 1, "services": {\n  "good": { "environment": { "KEY": "op://Vault/Item/field" },\n`,
    );
    expect((await environmentOf(machine, 'good.service')).get('KEY')).toBe('value');
    expect((await machine.exec('systemctl restart good', { check: false })).code).not.toBe(0);
    expect(await status('good-secrets.service')).toContain(
      '/etc/unit-secrets/manifest.json:3:1: not valid JSON',
    );
    await machine.exec('systemctl start unit-secrets-manifest.service', { check: false });
    expect(await status('unit-secrets-manifest.service')).toContain('manifest.json:3:1: not valid JSON');
    expect((await machine.exec('systemctl restart bystander', { check: false })).code).toBe(0);
  });

  test('an empty file keeps known services down as well', async () => {
    await load('');
    expect((await machine.exec('systemctl start good', { check: false })).code).not.toBe(0);
    expect(await status('good-secrets.service')).toContain(
      'manifest.json:1:1: not valid JSON: the file is empty',
    );
  });

  test('the next boot is not stopped by it', async () => {
    await machine.cutPower();
    await machine.start();
    expect(await stateOf(machine, 'multi-user.target')).toBe('active');
    // known from /var, where it was noted
    expect(await stateOf(machine, 'good.service')).toBe('inactive');
    expect(await stateOf(machine, 'unit-secrets-manifest.service')).toBe('failed');
    await load(vaultManifest({ good }));
    await machine.exec('systemctl start good');
  });

  test('a damaged or missing vault is told apart, and the service comes up when it is mended', async () => {
    await machine.exec('systemctl stop good');
    await load(vaultManifest({ good }, { fetch: { tries: 1, timeout: '5s', retryEvery: '1s' } }));
    await machine.exec(`cp ${vaultPath} /root/vault && echo damaged >${vaultPath}`);
    await machine.exec('systemctl start good', { check: false });
    expect(await status('good-secrets.service')).toContain(vaultPath);
    await machine.exec(`rm ${vaultPath}`);
    await machine.waitFor(
      async () => (await status('good-secrets.service')).includes('status=66/NOINPUT'),
      'the missing vault to be reported',
    );
    await machine.exec(`cp /root/vault ${vaultPath}`);
    await machine.waitFor(['systemctl', 'is-active', 'good'], 'good to come up by itself');
  });

  test('a manifest that is removed leaves nothing behind', async () => {
    await machine.exec(`rm ${manifestPath} && systemctl daemon-reload`);
    await machine.waitFor('test -z "$(ls -A /run/unit-secrets/secrets)"', 'all secrets to be wiped');
    expect(await stateOf(machine, 'good.service')).toBe('active');
  });
});
