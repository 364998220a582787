import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootEmulated, type EmulatedMachine } from './emulated.ts';
import { filesWith, needlePath } from './looking.ts';
import { stateOf } from './machine.ts';

/** Each place has a value of its own, so that a find tells where it came from. */
const sentinel = (what: string): string => `s3nt1nel-${what}-7f3a9c`;
const places = ['environment', 'credential', 'file', 'config', 'inline', 'nested', 'groupfile'] as const;
const reference = (what: (typeof places)[number]): string => `op://Homelab/App/${what}`;

const manifest = `${JSON.stringify({
  version: 1,
  services: {
    app: {
      environment: { KEY: reference('environment') },
      credentials: { key: reference('credential') },
      files: { key: reference('file') },
      configs: {
        'app.conf': {
          template: '/etc/unit-secrets/templates/app.conf',
          values: { NESTED: reference('nested') },
        },
      },
    },
    grouped: { files: { key: reference('groupfile') }, group: 'shared', runtimeDirectory: 'grouped' },
    weather: { dynamicUser: 'inline', environment: { KEY: reference('inline') } },
  },
  sshKeys: { ada: { privateKey: 'op://Homelab/Ada/private key?ssh-format=openssh' } },
})}\n`;

/** Watches from before the first of our programs runs: every command line that there is at a time. */
const watcher = `[Unit]
DefaultDependencies=no
Before=unit-secrets-token.service app-secrets.service grouped-secrets.service op-emulator.service
[Service]
ExecStart=/bin/bash -c 'while :; do cat /proc/[0-9]*/cmdline >>/run/cmdlines; ls /tmp /var/tmp /dev/shm >>/run/temporary; sleep 0.02; done 2>/dev/null'
[Install]
WantedBy=sysinit.target
`;

/** Where the tests' own emulator keeps what it serves; it is no part of what is tested. */
const exceptions = ['/etc/op', '/proc', '/sys', '/run/cmdlines'];

describe.each(['bookworm', 'trixie'] as const)('secrets and token on %s', (suite) => {
  let emulated: EmulatedMachine;
  let machine: Container;
  let needles: string[];

  beforeAll(async () => {
    emulated = await bootEmulated({
      suite,
      manifest,
      items: {
        App: Object.fromEntries(places.map((place) => [place, sentinel(place)])),
        Ada: { 'private key': { type: 'sshKey' } },
      },
      services: {
        app: '[Service]\nDynamicUser=yes\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n',
        grouped: undefined,
        weather:
          '[Service]\nDynamicUser=yes\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n',
      },
      files: {
        '/etc/unit-secrets/templates/app.conf': 'a=${KEY} b=${NESTED} c={{ op://Homelab/App/config }}\n',
        '/etc/systemd/system/watcher.service': watcher,
      },
      setup: 'groupadd shared; useradd --create-home ada; systemctl --quiet enable watcher.service',
    });
    machine = emulated.machine;
    // the whole token is in no line: pieces of it would do as well
    needles = ['s3nt1nel', emulated.token.slice(40, 80), emulated.token.slice(-60, -20)];
  });
  afterAll(() => machine?.kill());

  /** Files on the disk and in memory that have a secret in them. */
  const finds = (needle: string) => filesWith(machine, [needle], { except: exceptions });
  /** What anybody may ask systemd and the journal. */
  const told = async () => {
    const { stdout, stderr } = await machine.exec(
      `systemctl show '*'; systemctl show-environment; systemctl cat 'app*' 'grouped*' 'weather*' 'unit-*' 'ssh-key*'
       systemctl status --no-pager --full --lines=1000 '*'; journalctl --no-pager --all --output=export
       for unit in app weather grouped app-secrets app-config unit-secrets-token ssh-key-setup@ada ssh-key-setup-secrets@ada; do
         path=$(busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager LoadUnit s "$unit.service" | cut -d'"' -f2)
         busctl call org.freedesktop.systemd1 "$path" org.freedesktop.DBus.Properties GetAll s ''
       done`,
      { check: false },
    );
    expect(stdout).toContain('ExecReload');
    // an answer of D-Bus for each of them
    expect(stdout.match(/^a\{sv\} /gm)).toHaveLength(8);
    return stdout + stderr;
  };

  test('all is up', async () => {
    for (const name of ['app', 'grouped', 'weather'])
      expect(await stateOf(machine, `${name}.service`)).toBe('active');
    expect(await machine.readFile('/home/ada/.ssh/id_ed25519')).toContain('OPENSSH PRIVATE KEY');
  });

  test('are in memory, where they belong, and nowhere else', async () => {
    const [secrets = '', ...ofToken] = needles;
    const found = await finds(secrets);
    expect(found).toEqual(
      [
        ...(found.includes('/run/credentials/app.service/key') ? ['/run/credentials/app.service/key'] : []),
        '/run/grouped/files/key',
        '/run/unit-secrets/config/app/app.conf',
        '/run/unit-secrets/inline/weather/env',
        '/run/unit-secrets/secrets/app/.values.json',
        '/run/unit-secrets/secrets/app/credentials/key',
        '/run/unit-secrets/secrets/app/env',
        '/run/unit-secrets/secrets/app/files/key',
      ].sort(),
    );
    for (const part of ofToken) {
      const places = (await finds(part)).filter((path) => !path.startsWith('/run/credentials/'));
      expect(places).toEqual(['/run/unit-secrets/token/1password-token']);
    }
  });

  test('are readable by nobody else', async () => {
    await machine.writeFile(needlePath, 's3nt1nel\n');
    const script = `find /run /tmp /var/tmp /dev/shm /var/lib /var/log -type f -readable ! -path ${needlePath} -print0 2>/dev/null | xargs -0 grep -laF -f ${needlePath}; :`;
    expect((await machine.exec(['runuser', '-u', 'ada', '--', 'sh', '-c', script])).stdout).toBe('');
    const { stdout } = await machine.exec(
      "find /run/unit-secrets /run/grouped ! -type d -perm /o=rwx -printf '%m %p\\n'; find /run/unit-secrets -type d -perm /o=w -printf '%m %p\\n'",
    );
    expect(stdout).toBe('');
  });

  test('are in nothing that systemd, the journal or D-Bus tells', async () => {
    const text = await told();
    expect([...needles, 'OPENSSH PRIVATE KEY'].filter((needle) => text.includes(needle))).toEqual([]);
  });

  test('were on no command line, and in no temporary directory', async () => {
    const programs = ['fetch app', 'token open', 'resolve-child', 'fetch --inline weather', 'render app'];
    const watched = async () => (await machine.readFile('/run/cmdlines')).replaceAll('\0', ' ');
    // the watcher looks now and then, and some of them are quick: again, until it has seen each of them
    await machine.waitFor(
      async () => {
        await machine.exec(
          'systemctl reload unit-secrets-token app-secrets grouped-secrets && systemctl restart weather',
        );
        const lines = await watched();
        return programs.every((program) => lines.includes(`unit-secrets ${program}`));
      },
      `command lines of ${programs.join(', ')}`,
    );
    const lines = await watched();
    expect(needles.filter((needle) => lines.includes(needle))).toEqual([]);
    expect(await machine.readFile('/run/temporary')).not.toMatch(/unit-secrets(?!-)|1password|\.wasm/);
  });

  test('are gone with the power', async () => {
    await machine.powerOff();
    for (const needle of needles) expect(await finds(needle)).toEqual([]);
  });
});
