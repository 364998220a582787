/** Commands of root's that we add to a service have the service's environment, which its user may be able to write. */
import { expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootEmulated } from './emulated.ts';
import { bootMachine, manifestPath, stateOf, vaultManifest, waitUntilGone } from './machine.ts';

const environment = { KEY: 'op://Homelab/App/value' };
/** glibc's loader writes there as whoever runs the program: as good a sign as LD_PRELOAD= doing something. */
const hostile = 'LD_DEBUG=all\nLD_DEBUG_OUTPUT=/etc/taken-over\n';
const service = `[Service]
User=daemon
EnvironmentFile=-/srv/app/environment
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
`;
const files = { '/srv/app/environment': '' };
const setup = 'chown -R daemon /srv/app';

/** What the service's user can do to its environment. */
async function takeOver(machine: Container): Promise<void> {
  const write = 'printf "$0" >/srv/app/environment';
  await machine.exec(['runuser', '-u', 'daemon', '--', 'sh', '-c', write, hostile]);
}

test.each(['bullseye', 'bookworm', 'trixie', 'sid'] as const)(
  'on %s, a service whose entry is broken cannot make root run anything when it stops',
  async (suite) => {
    await using machine = await bootMachine({
      suite,
      manifest: vaultManifest({ app: { environment } }),
      vault: { Homelab: { App: { value: 's3nt1nel' } } },
      services: { app: service },
      files,
      setup,
    });
    await machine.writeFile(manifestPath, vaultManifest({ app: { environment: { KEY: 'op://' } } }));
    await machine.exec('systemctl daemon-reload');
    expect(await stateOf(machine, 'app.service')).toBe('active');
    await takeOver(machine);
    await machine.exec('systemctl stop app');
    // the command did its work, so it was run
    await waitUntilGone(machine, '/run/unit-secrets/secrets/app');
    expect((await machine.exec('find /etc -name "taken-over*"')).stdout).toBe('');
  },
);

test('a service that fetched for itself, and has no entry any more, cannot either', async () => {
  await using emulated = await bootEmulated({
    manifest: JSON.stringify({ version: 1, services: { app: { dynamicUser: 'inline', environment } } }),
    items: { App: { value: 's3nt1nel' } },
    services: { app: service },
    files,
    setup,
  });
  const { machine } = emulated;
  expect(await stateOf(machine, 'app.service')).toBe('active');
  await machine.writeFile(manifestPath, JSON.stringify({ version: 1, services: {} }));
  await machine.exec('systemctl daemon-reload');
  await takeOver(machine);
  await machine.exec('systemctl stop app');
  await waitUntilGone(machine, '/run/unit-secrets/inline/app');
  expect((await machine.exec('find /etc -name "taken-over*"')).stdout).toBe('');
});
