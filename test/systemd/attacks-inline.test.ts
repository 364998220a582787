/** What a service that was taken over could do to systemd and to others through the files that it owns itself. */
import { expect, test } from 'vitest';
import { bootEmulated } from './emulated.ts';
import { environmentOf, journalOf, stateOf, waitUntilGone } from './machine.ts';

const directory = '/run/unit-secrets/inline/app';
const manifest = JSON.stringify({
  version: 1,
  services: {
    app: { dynamicUser: 'inline', environment: { KEY: 'op://Homelab/App/value' } },
    other: { environment: { OTHER: 'op://Homelab/Other/value' } },
  },
});

/** Systemd reads the environment file again for its reload command, as root. */
const service = `[Service]
DynamicUser=yes
RuntimeDirectory=app
RuntimeDirectoryPreserve=yes
ExecStart=/bin/sh /opt/attack
ExecReload=/bin/sh -c 'env >/run/app/seen; ls -l ${directory} >>/run/app/seen'
`;

/** Tries to put something else in the place of its environment file, in every way that its user has. */
const attack = (what: string) => `cd ${directory}
try() { "$@" 2>>/run/app/log && echo "$1 worked" >>/run/app/log; }
try unshare --user --map-root-user --mount sh -c 'umount env; mount --bind . /mnt && rm /mnt/env'
try unshare --user --map-root-user --mount sh -c 'umount --recursive ${directory}; rm ${directory}/env'
try sh -c 'echo LD_PRELOAD=/run/app/evil.so >>env'
try mv ${directory} /run/unit-secrets/inline/gone
try mv env old
try rm env
${what}
echo done >>/run/app/log
exec sleep infinity
`;

// not on 247, which gives no credentials to ExecStartPre= (docs/notes/systemd.md)
test.each([
  ['bookworm', 'a link', 'try ln -sf /run/unit-secrets/secrets/other/env env'],
  ['bookworm', 'a pipe', 'try mkfifo env'],
  ['trixie', 'a link', 'try ln -sf /run/unit-secrets/secrets/other/env env'],
  ['sid', 'a link', 'try ln -sf /run/unit-secrets/secrets/other/env env'],
] as const)('on %s, a service cannot put %s in the place of its environment file', async (suite, _, what) => {
  await using emulated = await bootEmulated({
    suite,
    manifest,
    items: { App: { value: 'mine' }, Other: { value: 's3nt1nel' } },
    services: { app: `${service}[Install]\nWantedBy=multi-user.target\n`, other: undefined },
    files: { '/opt/attack': attack(what) },
  });
  const { machine } = emulated;
  expect(await stateOf(machine, 'app.service'), await journalOf(machine, 'app.service')).toBe('active');
  expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe('mine');
  await machine.waitFor(['grep', '-q', 'done', '/run/app/log'], 'the attack to end');
  const log = await machine.readFile('/run/app/log');
  const reload = await machine.exec('timeout 20 systemctl reload app', { check: false });
  const seen = await machine.exec('cat /run/app/seen', { check: false });
  expect(seen.stdout).not.toContain('s3nt1nel');
  expect(reload.code, `${reload.stderr}${log}`).toBe(0);
  expect(seen.stdout).toContain('KEY=mine');
  expect(log).not.toContain('worked');
  // though the service would keep its directories, its secrets go with it
  await machine.exec('systemctl stop app');
  await waitUntilGone(machine, directory);
  await machine.exec('systemctl start app');
  expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe('mine');
});
