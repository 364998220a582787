import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootEmulated, type EmulatedMachine } from './emulated.ts';
import { listing, statusOf } from './looking.ts';
import {
  bootMachine,
  hostKeyPath,
  journalOf,
  makeHostKey,
  manifestPath,
  stateOf,
  vaultManifest,
  waitUntilGone,
} from './machine.ts';

interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

function makeKey(...options: readonly string[]): KeyPair {
  const directory = mkdtempSync(join(tmpdir(), 'unit-secrets-key-'));
  try {
    const path = join(directory, 'key');
    execFileSync('ssh-keygen', ['-q', '-N', '', '-C', 'from the vault', '-f', path, ...options]);
    return { privateKey: readFileSync(path, 'utf8'), publicKey: readFileSync(`${path}.pub`, 'utf8').trim() };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const ed25519 = makeKey('-t', 'ed25519');
const other = makeKey('-t', 'ed25519');
const rsa = makeKey('-t', 'rsa', '-b', '2048');
const foreignLine =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA0000000000000000000000000000000000000000000 somebody else';

/** Homes in which nothing may be done, and what is said about them. */
const hostile: Readonly<Record<string, { readonly setup: string; readonly message: RegExp }>> = {
  linkeddir: {
    setup: 'mkdir -m 700 /srv/elsewhere && chown linkeddir /srv/elsewhere && ln -s /srv/elsewhere $HOME/.ssh',
    message: /\.ssh is a symbolic link: keys are not written through one/,
  },
  linkedfile: {
    setup:
      'install -d -m 700 -o linkedfile $HOME/.ssh && touch /srv/file && chown linkedfile /srv/file && ln -s /srv/file $HOME/.ssh/authorized_keys',
    message: /authorized_keys is a symbolic link/,
  },
  fifo: {
    setup:
      'install -d -m 700 -o fifo $HOME/.ssh && mkfifo $HOME/.ssh/id_ed25519 && chown fifo $HOME/.ssh/id_ed25519',
    message: /id_ed25519 is not a regular file/,
  },
  rootsdir: {
    setup: 'install -d -m 755 $HOME/.ssh',
    message: /\.ssh is owned by the user 0, not by the user \d+/,
  },
  rootsfile: {
    setup: 'install -d -m 700 -o rootsfile $HOME/.ssh && echo >$HOME/.ssh/authorized_keys',
    message: /authorized_keys is owned by the user 0/,
  },
  othershome: { setup: 'chown ada $HOME', message: /owned by the user \d+, not by/ },
  nohome: { setup: 'rm -r $HOME', message: /\/home\/nohome: the home directory does not exist/ },
  readonly: { setup: ':', message: /\.ssh: cannot be made \(EROFS\)/ },
};

const users = ['ada', 'first-last', 'a.b', 'mixed', ...Object.keys(hostile)];
const setup = [
  ...users.map((user) => `useradd --create-home --shell /bin/bash '${user}'`),
  ...Object.entries(hostile).map(([user, { setup: commands }]) => `HOME=/home/${user}; ${commands}`),
  'install -d -m 755 -o first-last /home/first-last/.ssh',
  `echo '${foreignLine}' >/home/first-last/.ssh/authorized_keys && chown first-last /home/first-last/.ssh/authorized_keys`,
  'install -d -m 700 -o mixed /home/mixed/.ssh',
  'echo kept >/home/mixed/.ssh/id_ed25519 && chmod 600 /home/mixed/.ssh/id_ed25519 && chown mixed /home/mixed/.ssh/id_ed25519',
  'useradd --create-home idle',
  'systemctl --quiet enable ssh.service',
].join('\n');

const ada = {
  privateKey: 'op://Homelab/Ada/private key',
  publicKey: 'op://Homelab/Ada/public key',
  authorize: true,
};
const manifest = (retryEvery: string, more: object = {}) =>
  `${JSON.stringify({
    version: 1,
    fetch: { tries: 12, timeout: '4min', retryEvery },
    services: {},
    sshKeys: {
      ada,
      'first-last': { privateKey: 'op://Homelab/Rsa/private key', authorize: true, file: 'id_homelab' },
      'a.b': { publicKey: 'op://Homelab/Ada/public key', authorize: true },
      mixed: { privateKey: 'op://Homelab/Ada/private key', publicKey: 'op://Homelab/Rsa/public key' },
      ...more,
    },
  })}\n`;

const escaped = (user: string): string => user.replaceAll('-', '\\x2d');
const unitOf = (user: string): string => `ssh-key-setup@${escaped(user)}.service`;
const secretsUnitOf = (user: string): string => `ssh-key-setup-secrets@${escaped(user)}.service`;

describe.each(['bookworm', 'trixie'] as const)("users' SSH keys on %s", (suite) => {
  let emulated: EmulatedMachine;
  let machine: Container;
  const systemctl = (...args: readonly string[]) => machine.exec(['systemctl', ...args], { check: false });

  beforeAll(async () => {
    emulated = await bootEmulated({
      suite,
      packages: ['openssh-server'],
      items: {
        Ada: { 'private key': ed25519.privateKey, 'public key': ed25519.publicKey },
        Rsa: { 'private key': rsa.privateKey, 'public key': rsa.publicKey },
      },
      manifest: manifest('1h'),
      files: {
        '/etc/ssh/sshd_config.d/50-keys-only.conf': readFileSync(
          join(import.meta.dirname, '../../examples/ssh/50-keys-only.conf'),
          'utf8',
        ),
        '/etc/systemd/system/home-readonly.mount':
          '[Mount]\nWhat=/home/readonly\nWhere=/home/readonly\nType=none\nOptions=bind,ro\n[Install]\nWantedBy=local-fs.target\n',
      },
      setup: `${setup}\nsystemctl --quiet enable home-readonly.mount`,
    });
    machine = emulated.machine;
  });
  afterAll(() => machine?.kill());

  /** Logs in by network with the key in a user's home. */
  const login = (from: string, to: string, ...options: readonly string[]) => {
    const ssh = [
      ...['ssh', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=accept-new', '-o', 'ConnectTimeout=40'],
      ...[...options, `${to}@127.0.0.1`, 'id -un'],
    ];
    return machine.exec(['runuser', '-u', from, '--', ...ssh], {
      check: false,
      env: { HOME: `/home/${from}` },
    });
  };
  /** All that is in a home, with modes, owners, targets and contents. */
  const everythingOf = async (...paths: readonly string[]) =>
    (
      await machine.exec(
        [
          'sh',
          '-c',
          'find "$@" -printf "%m %U %y %p %l\\n" -type f -exec sha256sum {} \\; 2>&1',
          'sh',
          ...paths,
        ],
        { check: false },
      )
    ).stdout;

  test('a user can log in with the key that came from 1Password, and nobody with a password', async () => {
    expect(await stateOf(machine, 'ssh.service')).toBe('active');
    const { code, stdout, stderr } = await login('ada', 'ada');
    expect([code, stdout], stderr + (await statusOf(machine, unitOf('ada')))).toEqual([0, 'ada\n']);
    const refused = await login('idle', 'ada', '-v');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/Permission denied \(publickey\)/);
  });

  test('an RSA key, a user whose name is escaped, lines of others, a file of another name', async () => {
    const { stdout, stderr } = await login(
      'first-last',
      'first-last',
      '-i',
      '/home/first-last/.ssh/id_homelab',
    );
    expect(stdout, stderr).toBe('first-last\n');
    expect(await machine.readFile('/home/first-last/.ssh/authorized_keys')).toContain(`${foreignLine}\n`);
    expect((await login('ada', 'a.b')).stdout).toBe('a.b\n');
  });

  test('files have their owners and modes', async () => {
    expect(await listing(machine, '/home/ada/.ssh', '/home/first-last/.ssh', '/home/a.b/.ssh')).toEqual(
      [
        '0700 a.b:a.b /home/a.b/.ssh',
        '0600 a.b:a.b /home/a.b/.ssh/authorized_keys',
        '0700 ada:ada /home/ada/.ssh',
        '0600 ada:ada /home/ada/.ssh/authorized_keys',
        '0600 ada:ada /home/ada/.ssh/id_ed25519',
        '0644 ada:ada /home/ada/.ssh/id_ed25519.pub',
        '0700 first-last:root /home/first-last/.ssh',
        '0644 first-last:first-last /home/first-last/.ssh/authorized_keys',
        '0600 first-last:first-last /home/first-last/.ssh/id_homelab',
        '0644 first-last:first-last /home/first-last/.ssh/id_homelab.pub',
      ]
        .concat(
          (await listing(machine, '/home/ada/.ssh')).filter((line) => line.includes('known_hosts')),
          (await listing(machine, '/home/first-last/.ssh')).filter((line) => line.includes('known_hosts')),
        )
        .sort((a, b) => (a.slice(a.indexOf('/')) < b.slice(b.indexOf('/')) ? -1 : 1)),
    );
    expect(await machine.readFile('/home/ada/.ssh/id_ed25519')).toBe(ed25519.privateKey);
  });

  test('the secrets of a setup are wiped as soon as it is done', async () => {
    for (const user of ['ada', 'first-last', 'a.b']) {
      await waitUntilGone(
        machine,
        `/run/unit-secrets/secrets/ssh-key-setup@${escaped(user).replace('\\', '+')}`,
      );
      expect(await stateOf(machine, secretsUnitOf(user))).toBe('inactive');
    }
  });

  test('a pair that is none changes nothing, and is told', async () => {
    expect(await statusOf(machine, unitOf('mixed'))).toMatch(
      /public key for "mixed" does not belong to the private key: it is ssh-rsa SHA256:\S+, the private key is ssh-ed25519 SHA256:/,
    );
    expect(await machine.readFile('/home/mixed/.ssh/id_ed25519')).toBe('kept\n');
    expect((await machine.exec('ls -A /home/mixed/.ssh')).stdout).toBe('id_ed25519\n');
  });

  describe('homes that nobody should write to', () => {
    const names = Object.keys(hostile);
    const places = [...names.map((user) => `/home/${user}`), '/srv'];
    let before: string;

    beforeAll(async () => {
      const entries = Object.fromEntries(names.map((user) => [user, ada]));
      before = await everythingOf(...places);
      await machine.writeFile(manifestPath, manifest('1h', entries));
      expect((await systemctl('daemon-reload')).code).toBe(0);
      // in two parts: all of them have less than half a minute
      await systemctl('start', ...names.slice(0, 4).map(unitOf));
      await systemctl('start', ...names.slice(4).map(unitOf));
    });

    test.each(Object.entries(hostile))('%s: it is told why', async (user, { message }) => {
      expect(await stateOf(machine, unitOf(user))).toBe('failed');
      expect(await statusOf(machine, unitOf(user))).toMatch(message);
      await waitUntilGone(machine, `/run/unit-secrets/secrets/ssh-key-setup@${user}`);
    });

    test('all stay as they were', async () => {
      expect(await everythingOf(...places)).toBe(before);
      expect(before).not.toContain('unit-secrets');
    });
  });

  test('another start changes nothing', async () => {
    const before = await everythingOf('/home/ada/.ssh');
    expect((await systemctl('start', unitOf('ada'))).code).toBe(0);
    expect(await everythingOf('/home/ada/.ssh')).toBe(before);
    expect(await journalOf(machine, unitOf('ada'))).toContain('unchanged ~/.ssh/id_ed25519');
  });

  test('with an sshd that a socket starts, the keys are there too', async () => {
    await machine.exec('systemctl --quiet disable ssh.service && systemctl --quiet enable ssh.socket');
    await machine.exec('rm -r /home/ada/.ssh');
    await machine.writeFile(manifestPath, manifest('1s'));
    await machine.powerOff();
    await machine.start();
    expect(await stateOf(machine, 'ssh.socket')).toBe('active');
    const { stdout, stderr } = await login('ada', 'ada');
    expect(stdout, stderr).toBe('ada\n');
  });

  test('sshd is up in half a minute when 1Password cannot be reached, and the setup is done later', async () => {
    await machine.exec(
      'systemctl --quiet disable ssh.socket op-emulator.service && systemctl --quiet enable ssh.service',
    );
    await machine.powerOff();
    const began = performance.now();
    await machine.start({ waitFor: 'basic' });
    // with the key that is there
    await machine.waitFor(
      async () => (await login('ada', 'ada')).stdout === 'ada\n',
      'sshd to be up',
      40_000,
    );
    const seconds = (performance.now() - began) / 1000;
    expect(seconds).toBeGreaterThan(5);
    expect(seconds).toBeLessThan(35);
    const data = {
      vaults: {
        Homelab: {
          items: { Ada: { fields: { 'private key': other.privateKey, 'public key': other.publicKey } } },
        },
      },
    };
    await machine.writeFile('/etc/op/data.json', JSON.stringify(data), 0o600);
    await machine.exec('systemctl start op-emulator.service');
    await machine.waitFor(
      async () => (await machine.readFile('/home/ada/.ssh/id_ed25519')) === other.privateKey,
      'the new key to come',
      60_000,
    );
    // that was the retry, which holds up nobody
    expect(await journalOf(machine, 'ssh-key-setup-retry@ada.service')).not.toMatch(
      /denied|authentication|status=/i,
    );
    const { stdout, stderr } = await login('ada', 'ada');
    expect(stdout, stderr).toBe('ada\n');
  });
});

test.each(['bullseye', 'sid'] as const)(
  'the setup is retried until it succeeds, without an sshd, on %s',
  async (suite) => {
    const key = makeHostKey();
    await using machine = await bootMachine({
      suite,
      key,
      manifest: vaultManifest(
        {},
        {
          fetch: { tries: 1, timeout: '5s', retryEvery: '1s' },
          sshKeys: { ada: { privateKey: 'op://Vault/Item/field', authorize: true } },
        },
      ),
      vault: { Vault: { Item: { field: ed25519.privateKey } } },
      setup: `useradd --create-home ada; mv ${hostKeyPath} ${hostKeyPath}.away`,
    });
    expect(await stateOf(machine, secretsUnitOf('ada'))).toMatch(/failed|activating/);
    await machine.exec(`mv ${hostKeyPath}.away ${hostKeyPath}`);
    await machine.waitFor(
      async () => (await machine.readFile('/home/ada/.ssh/id_ed25519')) === ed25519.privateKey,
      'the key to come',
    );
    await waitUntilGone(machine, '/run/unit-secrets/secrets/ssh-key-setup@ada');
  },
);

test.each(['bookworm', 'trixie'] as const)(
  'a setup that fails again and again, the fetch being well, succeeds once the home is there, on %s',
  async (suite) => {
    await using machine = await bootMachine({
      suite,
      manifest: vaultManifest(
        {},
        {
          fetch: { tries: 1, timeout: '5s', retryEvery: '1s' },
          sshKeys: { ada: { privateKey: 'op://Vault/Item/field', authorize: true } },
        },
      ),
      vault: { Vault: { Item: { field: ed25519.privateKey } } },
      setup: 'useradd --no-create-home ada',
    });
    const failures = async () =>
      (await journalOf(machine, 'ssh-key-setup@ada.service')).split('the home directory does not exist')
        .length - 1;
    await machine.waitFor(async () => (await failures()) >= 4, 'the setup to be tried again and again');
    await machine.exec('install -d -m 700 -o ada -g ada /home/ada');
    await machine.waitFor(
      async () => (await machine.readFile('/home/ada/.ssh/id_ed25519')) === ed25519.privateKey,
      'the key to come',
    );
    await waitUntilGone(machine, '/run/unit-secrets/secrets/ssh-key-setup@ada');
    expect(await stateOf(machine, 'ssh-key-setup-retry@ada.timer')).toBe('inactive');
  },
);
