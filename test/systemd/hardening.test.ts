import { expect, test } from 'vitest';
import { bootMachine, vaultManifest } from './machine.ts';

test.each(['bookworm', 'trixie'] as const)(
  'every generated service is sandboxed well on %s',
  async (suite) => {
    await using machine = await bootMachine({
      suite,
      manifest: JSON.stringify({
        version: 1,
        token: { file: '/run/token' },
        services: {
          app: { environment: { KEY: 'op://a/b/c' } },
          bad: { environment: { KEY: 'op://' } },
          'a b': {},
        },
      }),
    });
    const units = ['app-secrets', 'bad-secrets', 'unit-secrets-token', 'unit-secrets-manifest'];
    for (const unit of units) {
      const { stdout } = await machine.exec(['systemd-analyze', '--no-pager', 'security', `${unit}.service`]);
      const exposure = Number(/Overall exposure level for \S+: (\d+\.\d+)/.exec(stdout)?.[1]);
      expect(exposure, stdout).toBeLessThanOrEqual(1.7);
    }
  },
);

test('a unit that fetches sees the secrets of its own service only', async () => {
  await using machine = await bootMachine({
    manifest: vaultManifest({
      app: { environment: { KEY: 'op://Vault/Item/field' } },
      other: { environment: { KEY: 'op://Vault/Item/field' } },
    }),
    vault: { Vault: { Item: { field: 'value' } } },
    services: { app: undefined, other: undefined },
    files: {
      '/etc/systemd/system/app-secrets.service.d/look.conf':
        '[Service]\nExecStartPost=/bin/sh -c "ls -A /run/unit-secrets/secrets; touch /run/x /etc/x /var/x || :"\n',
    },
  });
  const { stdout } = await machine.exec('journalctl --no-pager --output=cat --unit=app-secrets.service');
  expect(stdout).toMatch(/^app$/m);
  expect(stdout).not.toMatch(/^other$/m);
  expect(stdout.match(/Read-only file system/g)).toHaveLength(3);
});
