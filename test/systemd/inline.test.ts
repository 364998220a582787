import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootEmulated, type EmulatedMachine } from './emulated.ts';
import { listing, readableBy, statusOf, users } from './looking.ts';
import { environmentOf, journalOf, manifestPath, stateOf, waitUntilGone } from './machine.ts';

const value = 's3nt1nel "q" $HOME \\ %n\n🔑';
const directory = '/run/unit-secrets/inline/app';
const manifest = (reference: string) =>
  `${JSON.stringify({
    version: 1,
    fetch: { tries: 12, timeout: '4min', retryEvery: '1h' },
    services: {
      app: {
        dynamicUser: 'inline',
        environment: { KEY: reference },
        files: { 'tls.key': 'op://Homelab/App/key' },
      },
    },
  })}\n`;

/** Has runtime directories of its own, one of them for others to reach. */
const service = `[Unit]
StartLimitIntervalSec=0
[Service]
DynamicUser=yes
RuntimeDirectory=app app/nested
RuntimeDirectoryMode=0755
Restart=on-failure
RestartSec=1s
ExecStart=/bin/sh -c 'umask 022; cat "$$UNIT_SECRETS_DIRECTORY/files/tls.key" >/run/app/copy; exec sleep infinity'
[Install]
WantedBy=multi-user.target
`;

// not on 247, which gives no credentials to ExecStartPre= (docs/notes/systemd.md)
describe.each(['bookworm', 'trixie', 'sid'] as const)('a service that fetches itself, on %s', (suite) => {
  let emulated: EmulatedMachine;
  let machine: Container;
  const systemctl = (...args: readonly string[]) => machine.exec(['systemctl', ...args], { check: false });

  beforeAll(async () => {
    emulated = await bootEmulated({
      suite,
      manifest: manifest('op://Homelab/App/value'),
      items: { App: { value, key: value } },
      services: { app: service },
      setup: users,
    });
    machine = emulated.machine;
  });
  afterAll(() => machine?.kill());

  test('has its environment and files, as a user that systemd makes up', async () => {
    expect(await stateOf(machine, 'app.service'), await statusOf(machine, 'app.service')).toBe('active');
    const environment = await environmentOf(machine, 'app.service');
    expect(environment.get('KEY')).toBe(value);
    expect(environment.get('UNIT_SECRETS_DIRECTORY')).toBe(directory);
    expect(await machine.readFile('/run/app/copy')).toBe(value);
  });

  test('has files that nobody else can read, in directories with the mode that it gives them', async () => {
    const lines = await listing(machine, directory, '/run/app/');
    expect(lines.map((line) => line.replace(/ \S+:\S+ /, ' '))).toEqual([
      '0755 /run/app/',
      '0644 /run/app/copy',
      '0755 /run/app/nested',
      `0755 ${directory}`,
      `0600 ${directory}/env`,
      `0700 ${directory}/files`,
      `0400 ${directory}/files/tls.key`,
    ]);
    const paths = [`${directory}/env`, `${directory}/files`, `${directory}/files/tls.key`, '/run/app/copy'];
    expect(await readableBy(machine, 'stranger', paths)).toEqual(['/run/app/copy']);
  });

  test('keeps its value over a restart only by fetching again, and loses it when stopped', async () => {
    expect((await systemctl('restart', 'app')).code, await statusOf(machine, 'app.service')).toBe(0);
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe(value);
    await systemctl('stop', 'app');
    await waitUntilGone(machine, directory);
  });

  test('fails where its secret does not exist, and says why', async () => {
    await machine.writeFile(manifestPath, manifest('op://Homelab/App/nothing'));
    await systemctl('daemon-reload');
    expect((await systemctl('start', 'app')).code).not.toBe(0);
    const told = await journalOf(machine, 'app.service');
    expect(told).toContain('"op://Homelab/App/nothing": no field of that name in the item');
    expect(told).toContain('status=65/DATAERR');
    await systemctl('stop', 'app');
    await machine.writeFile(manifestPath, manifest('op://Homelab/App/value'));
    await systemctl('daemon-reload');
  });

  test('is brought up by its own Restart= when 1Password is back', async () => {
    await systemctl('stop', 'op-emulator');
    await systemctl('start', '--no-block', 'app');
    await machine.waitFor(
      async () => (await journalOf(machine, 'app.service')).includes('1Password could not be reached'),
      'the first try to fail',
    );
    await systemctl('start', 'op-emulator');
    await machine.waitFor(['systemctl', 'is-active', 'app.service'], 'app to come up by itself', 60_000);
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe(value);
  });
});

test('ends within 75 s of waiting for an answer that does not come', async () => {
  await using emulated = await bootEmulated({
    manifest: manifest('op://Homelab/App/value'),
    items: { App: { value, key: value } },
    services: { app: service.replace('Restart=on-failure', 'Restart=no').replace('WantedBy=', '#') },
    files: {},
  });
  const { machine, control } = emulated;
  await control('POST', '/control/faults', { kind: 'hang' });
  const began = performance.now();
  const { code } = await machine.exec('systemctl start app', { check: false });
  expect(code).not.toBe(0);
  expect(performance.now() - began).toBeLessThan(75_000);
  expect(await statusOf(machine, 'app.service')).toMatch(/status=75\/TEMPFAIL|status=75/);
});
