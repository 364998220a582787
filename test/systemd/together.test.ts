import { expect, test } from 'vitest';
import { bootEmulated } from './emulated.ts';
import { environmentOf, idleService } from './machine.ts';

const count = 20;
const names = Array.from({ length: count }, (_, at) => `app${at}`);

/** Their sandboxes take seconds to be made, so that some ask long after the first ones could be answered. */
test.each(['bookworm', 'trixie'] as const)(
  'services that start together are fetched with one sign-in on %s',
  async (suite) => {
    await using emulated = await bootEmulated({
      suite,
      items: Object.fromEntries(names.map((name) => [name, { password: `of ${name}` }])),
      manifest: JSON.stringify({
        version: 1,
        services: Object.fromEntries(
          names.map((name) => [name, { environment: { PASSWORD: `op://Homelab/${name}/password` } }]),
        ),
      }),
      files: Object.fromEntries(names.map((name) => [`/etc/systemd/system/${name}.service`, idleService])),
    });
    const { machine, control } = emulated;
    await machine.exec(['systemctl', 'start', ...names]);
    for (const name of names) expect((await environmentOf(machine, name)).get('PASSWORD')).toBe(`of ${name}`);
    const requests = [...(await control('GET', '/control/requests')).matchAll(/"name":"([^"]*)"/g)].map(
      ([, name]) => name,
    );
    expect(requests.filter((name) => name === 'auth-start')).toHaveLength(1);
    // those that came before the sandbox of others was ready, and the others
    expect(requests.filter((name) => name === 'overviews').length).toBeLessThanOrEqual(2);
  },
);

test('nobody waits for a unit that never asks, but for a moment after its start', async () => {
  const others = ['app0', 'app1'];
  await using emulated = await bootEmulated({
    items: Object.fromEntries(others.map((name) => [name, { password: `of ${name}` }])),
    manifest: JSON.stringify({
      version: 1,
      services: Object.fromEntries(
        others.map((name) => [name, { environment: { PASSWORD: `op://Homelab/${name}/password` } }]),
      ),
    }),
    files: {
      ...Object.fromEntries(others.map((name) => [`/etc/systemd/system/${name}.service`, idleService])),
      // another generator's, whose units are beside ours
      '/etc/systemd/system-generators/other': {
        content:
          '#!/bin/sh\nprintf "[Service]\\nExecStart=/bin/sleep infinity\\n" >"$1/foo-secrets.service"\n',
        mode: 0o755,
      },
      '/etc/systemd/system/app1-secrets.service.d/late.conf': '[Service]\nExecStartPre=/bin/sleep infinity\n',
    },
  });
  const { machine } = emulated;
  await machine.exec('systemctl start foo-secrets && systemctl start --no-block app1');
  const took = async (): Promise<number> => {
    const begin = performance.now();
    await machine.exec('systemctl restart app0-secrets && systemctl start app0');
    return performance.now() - begin;
  };
  // within a moment it is waited for, which has an end
  expect(await took()).toBeLessThan(20_000);
  await machine.waitFor(
    [
      'bash',
      '-c',
      '[ $(($(date +%s) - $(stat -c %Y /sys/fs/cgroup/system.slice/app1-secrets.service))) -gt 10 ]',
    ],
    'the start to be long ago',
  );
  const lines = async () => (await machine.exec('journalctl -u app0-secrets -o json --no-pager')).stdout;
  const before = (await lines()).split('\n').length;
  await took();
  const waited = (await lines())
    .split('\n')
    .slice(before - 1)
    .flatMap((line) => (/"UNIT_SECRETS_DURATION_MS":"(\d+)"/.exec(line) ?? []).slice(1).map(Number));
  expect(waited).toHaveLength(1);
  // six more, were it waited for
  expect(waited[0]).toBeLessThan(5_500);
});
