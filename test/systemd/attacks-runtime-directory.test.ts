/** A service that has the directory of its secrets for itself, by mistake, and leaves things in it for root to find. */
import { expect, test } from 'vitest';
import { bootMachine, journalOf, stateOf, vaultManifest } from './machine.ts';

const environment = { KEY: 'op://Vault/Item/field' };

/** The mistake: systemd gives /run/app to its user when it starts. */
const service = `[Service]
User=daemon
RuntimeDirectory=app
ExecStart=/bin/sh /opt/plant
[Install]
WantedBy=multi-user.target
`;

const plant = `cd /run/app && rm -rf env files .unit-secrets-new &&
ln -s /etc/shadow env &&
ln -s /run/unit-secrets/queue files &&
ln -s /run/unit-secrets/secrets/other .unit-secrets-new &&
touch /tmp/planted
exec sleep infinity
`;

test.each(['bookworm', 'sid'] as const)(
  'on %s, links that it leaves lead root nowhere when it is reloaded',
  async (suite) => {
    await using machine = await bootMachine({
      suite,
      manifest: vaultManifest({
        app: { environment, files: { key: 'op://Vault/Item/field' }, runtimeDirectory: 'app' },
        other: { environment },
      }),
      vault: { Vault: { Item: { field: 's3nt1nel' } } },
      services: { app: service, other: undefined },
      files: { '/opt/plant': plant },
    });
    await machine.waitFor(['test', '-e', '/tmp/planted'], 'the links to be there');
    const look = async () =>
      (
        await machine.exec(
          'sha256sum /etc/shadow; stat --format="%n %a %U %i" /etc/shadow /run/unit-secrets/queue /run/unit-secrets/secrets/other; ' +
            'find /run/unit-secrets/secrets/other /run/unit-secrets/queue -printf "%p %m %u\\n" | grep -v "/app.service.state" | sort',
        )
      ).stdout;
    const before = await look();
    expect(before).toContain('/run/unit-secrets/queue/');
    await machine.exec('systemctl reload app-secrets', { check: false });
    expect(await look(), await journalOf(machine, 'app-secrets.service')).toBe(before);
    expect((await machine.exec('cat /run/app/env')).stdout).toBe('KEY="s3nt1nel"\n');
    expect((await machine.exec('stat --format="%F %U" /run/app/env /run/app/files')).stdout).toBe(
      'regular file root\ndirectory root\n',
    );
    expect(await stateOf(machine, 'other.service')).toBe('active');
  },
);
