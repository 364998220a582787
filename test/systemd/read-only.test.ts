import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootMachine, environmentOf, journalOf, stateOf, vaultManifest } from './machine.ts';

const readOnly = `[Unit]
DefaultDependencies=no
After=local-fs-pre.target
Before=local-fs.target
[Mount]
What=/var
Where=/var
Type=none
Options=bind,ro
[Install]
WantedBy=local-fs.target
`;

describe.each(['bullseye', 'bookworm', 'trixie'] as const)(
  'a disk that cannot be written to, on %s',
  (suite) => {
    let machine: Container;

    beforeAll(async () => {
      machine = await bootMachine({
        suite,
        manifest: vaultManifest({ app: { environment: { KEY: 'op://Homelab/App/key' } } }),
        vault: { Homelab: { App: { key: 'value' } } },
        services: { app: undefined },
        files: { '/etc/systemd/system/var.mount': readOnly },
        setup: 'systemctl --quiet enable var.mount',
      });
    });
    afterAll(() => machine?.kill());

    test('is no reason for a service to have no secrets', async () => {
      await machine.waitFor(['systemctl', 'is-active', 'app.service'], 'app to be up');
      expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe('value');
      expect(await stateOf(machine, 'unit-secrets-token.service')).toBe('active');
    });

    test('is told of', async () => {
      expect(await journalOf(machine, 'unit-secrets-token.service')).toContain(
        'cannot note the names of services in /var/lib/unit-secrets/services (E',
      );
    });
  },
);
