/** What could be done from within the sandbox of a unit of root's, by a program in it that was taken over. */
import { describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootEmulated } from './emulated.ts';
import { bootMachine, journalOf, vaultManifest } from './machine.ts';

const attempt = (name: string, command: string) =>
  `ExecStartPost=-/bin/sh -c "${command} && echo ${name} got out"\n`;
/** In the unit that fetches; each command has the sandbox of the unit. */
const files = {
  '/etc/systemd/system/app-secrets.service.d/escape.conf': [
    '[Service]\n',
    'ExecStartPost=/bin/echo attacks begin\n',
    attempt('systemctl', 'systemctl --no-block start victim.service'),
    attempt('systemd-run', 'systemd-run --no-block touch /etc/taken-over'),
    attempt('set-environment', 'systemctl set-environment TAKEN=over'),
    attempt(
      'busctl',
      'busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager Reload',
    ),
  ].join(''),
  '/etc/systemd/system/victim.service': '[Service]\nExecStart=/bin/touch /etc/taken-over\n',
};
const environment = { KEY: 'op://Homelab/Item/field' };

async function expectNoEscape(machine: Container): Promise<void> {
  const told = await journalOf(machine, 'app-secrets.service');
  expect(told).toContain('attacks begin');
  expect(told).not.toContain('got out');
  expect((await machine.exec('find /etc -name taken-over; systemctl show-environment')).stdout).not.toContain(
    'over',
  );
}

describe.each(['bullseye', 'bookworm', 'trixie', 'sid'] as const)(
  'on %s, systemd starts nothing',
  (suite) => {
    test('for what fetches from a vault', async () => {
      await using machine = await bootMachine({
        suite,
        manifest: vaultManifest({ app: { environment } }),
        vault: { Homelab: { Item: { field: 's3nt1nel' } } },
        services: { app: undefined },
        files,
      });
      await expectNoEscape(machine);
    });

    test('for what fetches from 1Password', async () => {
      await using emulated = await bootEmulated({
        suite,
        manifest: JSON.stringify({ version: 1, services: { app: { environment } } }),
        items: { Item: { field: 's3nt1nel' } },
        services: { app: undefined },
        files,
      });
      await expectNoEscape(emulated.machine);
    });
  },
);
