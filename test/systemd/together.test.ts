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
