import { describe, expect, test } from 'vitest';
import { bootMachine, journalOf, manifestPath, vaultManifest } from './machine.ts';

const keys = { privateKey: 'op://Vault/Item/field', authorize: true };
const environment = { KEY: 'op://Vault/Item/field' };
const files = { '/etc/unit-secrets/templates/app.conf': 'a=${KEY}\n' };
const app = {
  environment,
  files: { key: 'op://Vault/Item/field' },
  configs: { 'app.conf': { template: '/etc/unit-secrets/templates/app.conf' } },
  group: 'shared',
  runtimeDirectory: 'app',
};
const users = 'groupadd shared; useradd --create-home ada';

/** What a unit is exposed to at most: those that run the SDK need network and a JIT compiler. */
const bounds: Readonly<Record<string, number>> = {
  'app-secrets': 1.6,
  'plain-secrets': 1.5,
  'app-config': 0.8,
  'bad-secrets': 0.7,
  'unit-secrets-token': 0.8,
  'unit-secrets-manifest': 0.7,
  'gone-secrets': 0.7,
  'ssh-key-setup@ada': 0.6,
  'ssh-key-setup-secrets@ada': 1.5,
  'ssh-key-setup-retry@ada': 0.7,
  'ssh-key-setup@bad\\x2done': 0.7,
  'ssh-key-setup-secrets@bad\\x2done': 0.7,
};

describe.each(['bullseye', 'bookworm', 'trixie', 'sid'] as const)('the sandbox on %s', (suite) => {
  test('exposes no generated service to more than it needs', async () => {
    await using machine = await bootMachine({
      suite,
      files,
      manifest: JSON.stringify({
        version: 1,
        token: { file: '/run/token' },
        services: { app, plain: { environment }, bad: { environment: { KEY: 'op://' } }, 'a b': {} },
        sshKeys: { ada: keys, 'bad-one': { privateKey: 'op://' } },
      }),
      setup: users,
    });
    // left by a service that is not in the manifest any more
    await machine.exec('mkdir -p /run/unit-secrets/secrets/gone && systemctl daemon-reload');
    const { stdout: all } = await machine.exec('cd /run/systemd/generator && ls -d *.service');
    const generated = all.split('\n').filter((name) => name !== '');
    expect(
      Object.keys(bounds)
        .map((name) => `${name}.service`)
        .sort(),
    ).toEqual(generated.sort());
    for (const [unit, bound] of Object.entries(bounds)) {
      const { stdout } = await machine.exec(['systemd-analyze', '--no-pager', 'security', `${unit}.service`]);
      const exposure = Number(/Overall exposure level for \S+: (\d+\.\d+)/.exec(stdout)?.[1]);
      expect(exposure, stdout).toBeLessThanOrEqual(bound);
    }
    // an age vault needs no SDK, and so no network
    await machine.writeFile(manifestPath, vaultManifest({ app, plain: { environment } }));
    await machine.exec('systemctl daemon-reload');
    for (const unit of ['app-secrets', 'plain-secrets']) {
      const { stdout } = await machine.exec(['systemd-analyze', '--no-pager', 'security', `${unit}.service`]);
      expect(stdout).toMatch(/Overall exposure level for \S+: 0\.[0-8]/);
    }
  });

  test('hides the secrets of other services, and what no unit has to do with', async () => {
    // three commands, as each has a sandbox of its own
    const look = `[Service]
ExecStartPost=-/bin/sh -c "cd /run/unit-secrets && find . -mindepth 2 -maxdepth 2; cat /run/app/env /run/other/env"
ExecStartPost=-/bin/sh -c "touch /run/x /etc/x /var/x /run/unit-secrets/x"
ExecStartPost=-/bin/sh -c "sed -n 's/ *\\([a-z0-9]*\\):.*/interface \\1/p' /proc/net/dev"
`;
    await using machine = await bootMachine({
      suite,
      manifest: vaultManifest(
        { app, other: { ...app, runtimeDirectory: 'other' }, plain: { environment } },
        { sshKeys: { ada: keys } },
      ),
      vault: { Vault: { Item: { field: 's3nt1nel' } } },
      services: { app: undefined, other: undefined, plain: undefined },
      files: {
        ...files,
        '/etc/systemd/system/app-secrets.service.d/look.conf': look,
        '/etc/systemd/system/app-config.service.d/look.conf': look,
        '/etc/systemd/system/plain-secrets.service.d/look.conf': look,
        // all are there before any of these begins to look
        '/etc/systemd/system/app.service.d/order.conf': '[Unit]\nAfter=other.service\n',
        '/etc/systemd/system/app-secrets.service.d/order.conf': '[Unit]\nAfter=other.service\n',
        '/etc/systemd/system/plain-secrets.service.d/order.conf': '[Unit]\nAfter=app.service other.service\n',
      },
      setup: users,
    });
    const seen = {
      secrets: await journalOf(machine, 'app-secrets.service'),
      config: await journalOf(machine, 'app-config.service'),
      plain: await journalOf(machine, 'plain-secrets.service'),
    };
    for (const [unit, text] of Object.entries(seen)) {
      const own = unit === 'plain' ? 'plain' : 'app';
      expect(text).toContain(`./secrets/${own}\n`);
      expect(text).not.toMatch(new RegExp(`\\./(secrets|config)/(?!${own}\\n)`));
      expect(text).toContain('/run/other/env: Permission denied');
      for (const path of ['/run/x', '/etc/x', '/var/x', '/run/unit-secrets/x'])
        expect(text).toContain(`touch: cannot touch '${path}': Read-only file system`);
    }
    expect(seen.secrets).toContain('KEY="s3nt1nel"');
    expect(seen.plain).toContain('/run/app/env: Permission denied');
    // all of this is with a vault, whose reader needs no network either
    for (const text of Object.values(seen)) expect(text.match(/^interface .*$/gm)).toEqual(['interface lo']);
  });
});
