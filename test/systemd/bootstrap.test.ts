import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { binary, emulatorBinary } from '../build/binary.ts';
import type { Container } from '../container/container.ts';
import { newAccount, tokenOf } from '../emulator/token.ts';
import { bootMachine, environmentOf, type HostKey, hostKeyPath, manifestPath, stateOf } from './machine.ts';

const secret = 'n0t-4-r34l-s3cr3t "quoted"';
const emulatorService = `[Unit]
Description=Stands for 1Password's servers
[Service]
ExecStart=/usr/bin/op-emulator --port 8080 --data /etc/op/data.json --account /etc/op/account.json
[Install]
WantedBy=sysinit.target
`;
const rsaKeyPath = '/etc/ssh/ssh_host_rsa_key';
const tokenPath = '/etc/unit-secrets/1password-token.age';
const vaultPath = '/etc/unit-secrets/vault.age';

/** The root of trust, from a person's commands to a service's environment, with a host that has these keys. */
describe.each([
  ['bookworm', 'rsa'],
  ['trixie', 'rsa and ed25519'],
] as const)('a host on %s with keys of type %s', (suite, types) => {
  const account = newAccount();
  const [serviceAccount] = account.serviceAccounts;
  if (serviceAccount === undefined) throw new Error('the emulator made no service account');
  const token = tokenOf(serviceAccount, 'http://127.0.0.1:8080');
  /** The key that opens what is sealed, as it is and as it is made anew. */
  const keyPath = types === 'rsa' ? rsaKeyPath : hostKeyPath;
  let machine: Container;

  const manifest = (provider: object): string =>
    JSON.stringify({
      version: 1,
      provider,
      fetch: { tries: 1, timeout: '20s', retryEvery: '1s' },
      services: { app: { environment: { PASSWORD: 'op://Homelab/App/password' } } },
    });
  const systemctl = (command: string) => machine.exec(`systemctl ${command}`, { check: false });
  const status = async (unit: string): Promise<string> =>
    (await systemctl(`status --no-pager --full --lines=30 ${unit}`)).stdout;
  const expectRunning = async (): Promise<void> => {
    await machine.waitFor(['systemctl', 'is-active', 'app.service'], 'app to be up');
    expect((await environmentOf(machine, 'app.service')).get('PASSWORD')).toBe(secret);
  };

  beforeAll(async () => {
    const host =
      types === 'rsa' ? { rsa: makeKey('rsa') } : { rsa: makeKey('rsa'), ed25519: makeKey('ed25519') };
    const keys = Object.entries(host).flatMap(([type, { privateKey, publicKey }]) => [
      [`/etc/ssh/ssh_host_${type}_key`, { content: privateKey, mode: 0o600 }] as const,
      [`/etc/ssh/ssh_host_${type}_key.pub`, publicKey] as const,
    ]);
    machine = await bootMachine({
      suite,
      manifest: manifest({ type: '1password' }),
      services: { app: undefined },
      files: {
        ...Object.fromEntries(keys),
        [tokenPath]: { content: await sealWithProgram(host, token) },
        '/etc/op/data.json': JSON.stringify({
          vaults: { Homelab: { items: { App: { fields: { password: secret } } } } },
        }),
        '/etc/op/account.json': { content: JSON.stringify(account), mode: 0o600 },
        '/etc/op/other-rsa': { content: makeKey('rsa').privateKey, mode: 0o600 },
        '/etc/op/other-ed25519': { content: makeKey('ed25519').privateKey, mode: 0o600 },
        '/etc/systemd/system/op-emulator.service': emulatorService,
      },
      copies: { '/usr/bin/op-emulator': await emulatorBinary() },
      setup: [
        'systemctl --quiet enable op-emulator.service',
        ...(types === 'rsa' ? [`rm ${hostKeyPath} ${hostKeyPath}.pub`] : []),
      ].join('\n'),
    });
  });
  afterAll(() => machine.kill());

  test('boots with its secrets from 1Password, with a token that it sealed itself', expectRunning);

  test('gives people a value and tells them what the token is for', async () => {
    const { stdout } = await machine.exec(
      'unit-secrets read op://homelab/app/password; unit-secrets token check',
    );
    expect(stdout).toContain(`${secret}\n`);
    expect(stdout).toContain(serviceAccount.email);
    expect(stdout).toContain(`${keyPath} is ${types === 'rsa' ? 'ssh-rsa' : 'ssh-ed25519'} (tag `);
  });

  const allKeys = types === 'rsa' ? [rsaKeyPath] : [hostKeyPath, rsaKeyPath];
  const move = (name: string): string => allKeys.map((path) => `mv ${path} ${path}.${name}`).join(' && ');
  const back = (name: string): string => allKeys.map((path) => `mv ${path}.${name} ${path}`).join(' && ');
  /** What can go wrong: done and undone by shell commands, said in these words. */
  const troubles = (path: string) =>
    [
      [
        'keys that were made anew',
        `${move('old')} && ${allKeys.map((key) => `cp /etc/op/other-${key.includes('rsa') ? 'rsa' : 'ed25519'} ${key}`).join(' && ')}`,
        back('old'),
        `${path}: this host is not a recipient: the file is for `,
        77,
      ],
      [
        'keys that are missing',
        move('gone'),
        back('gone'),
        `${keyPath}: the key is missing (not generated yet?)`,
        66,
      ],
      [
        'keys on a file system that is not mounted',
        'mv /etc/ssh /etc/ssh.gone',
        'mv /etc/ssh.gone /etc/ssh',
        `${keyPath}: the key is missing, and so is /etc/ssh (not mounted yet?)`,
        66,
      ],
      [
        'a file that is damaged',
        `cp ${path} ${path}.kept && printf x | dd of=${path} bs=1 conv=notrunc seek=$(($(stat -c %s ${path}) - 1)) status=none`,
        `mv ${path}.kept ${path}`,
        `${path}: the file is damaged: its payload was altered or cut off`,
        65,
      ],
      [
        'a file that is missing',
        `mv ${path} ${path}.kept`,
        `mv ${path}.kept ${path}`,
        `${path}: does not exist`,
        66,
      ],
    ] as const;

  test.each(troubles(tokenPath))(
    '%s: fails closed, says so, and heals by itself',
    async (_, harm, mend, message, code) => {
      await systemctl('stop app');
      await machine.exec(harm);
      try {
        expect((await systemctl('restart unit-secrets-token')).code).not.toBe(0);
        const text = await status('unit-secrets-token');
        expect(text).toContain(message);
        expect(text).toContain(`status=${code}/`);
        expect((await systemctl('start app')).code).not.toBe(0);
        expect(await stateOf(machine, 'app.service')).not.toBe('active');
        await machine.exec('test ! -e /run/unit-secrets/token/1password-token');
      } finally {
        await machine.exec(mend);
      }
      await expectRunning();
    },
  );

  describe('with a vault', () => {
    beforeAll(async () => {
      await systemctl('stop app op-emulator');
      await machine.exec(
        `unit-secrets vault init && printf %s '${secret}' | unit-secrets vault set op://Homelab/App/password`,
      );
      await machine.writeFile(manifestPath, manifest({ type: 'age-vault' }));
      await machine.exec('systemctl daemon-reload');
      await systemctl('start app');
    });

    test('has its secrets from there, and reads them for people', async () => {
      await expectRunning();
      expect((await machine.exec('unit-secrets read -n op://homelab/app/password')).stdout).toBe(secret);
      expect((await machine.exec('unit-secrets vault list')).stdout).toBe('op://Homelab/App/password\n');
    });

    test.each(troubles(vaultPath))('%s: fails closed and says so', async (_, harm, mend, message, code) => {
      await systemctl('stop app');
      await machine.exec(harm);
      try {
        expect((await systemctl('start app')).code).not.toBe(0);
        expect(await stateOf(machine, 'app.service')).not.toBe('active');
        const text = await status('app-secrets');
        expect(text).toContain(message);
        expect(text).toContain(`status=${code}/`);
      } finally {
        await machine.exec(mend);
      }
      // what is permanent is asked again after a change only
      await systemctl('reset-failed app-secrets');
      await systemctl('start app');
      await expectRunning();
    });

    test('has a changed value after a reload and a restart', async () => {
      await machine.exec('echo changed | unit-secrets vault set op://Homelab/App/password');
      await machine.exec('systemctl reload app-secrets && systemctl restart app');
      expect((await environmentOf(machine, 'app.service')).get('PASSWORD')).toBe('changed');
    });
  });

  test('nothing secret is in the journal', async () => {
    const { stdout } = await machine.exec('journalctl --no-pager --all');
    expect(stdout).toContain('app-secrets.service');
    for (const text of ['n0t-4-r34l', token.slice(4, 40), 'PRIVATE KEY']) expect(stdout).not.toContain(text);
  });
});

function inDirectory<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'unit-secrets-bootstrap-'));
  try {
    return work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function makeKey(type: 'rsa' | 'ed25519'): HostKey {
  return inDirectory((directory) => {
    const path = join(directory, 'key');
    execFileSync('ssh-keygen', ['-q', '-N', '', '-t', type, '-f', path]);
    return { privateKey: readFileSync(path, 'utf8'), publicKey: readFileSync(`${path}.pub`, 'utf8') };
  });
}

/** Seals a token for the public halves of host keys, as an administrator does. */
async function sealWithProgram(keys: Readonly<Record<string, HostKey>>, token: string): Promise<Uint8Array> {
  const program = await binary();
  return inDirectory((directory) => {
    const output = join(directory, 'token.age');
    const recipients = Object.values(keys).flatMap(({ publicKey }) => ['--recipient', publicKey.trim()]);
    execFileSync(program, ['token', 'seal', '--no-host', '--output', output, ...recipients], {
      input: token,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    return readFileSync(output);
  });
}
