import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootEmulated, type EmulatedMachine } from './emulated.ts';
import { statusOf } from './looking.ts';
import { environmentOf, stateOf, waitUntilGone } from './machine.ts';

/** What each place is given, unlike anything else on the machine. */
const secret = (what: string): string => `s3nt1nel-${what}-"q" $HOME \\ %n 🔑`;
const values = {
  tunnel: 's3nt1nel-tunnel-dG9rZW4=',
  master: secret('master'),
  database: 's3nt1nel-database',
  openai: 's3nt1nel-openai "q" \\',
  admin: secret('admin'),
  repository: `${secret('repository')}\nof two lines\n`,
  weather: secret('weather'),
};

const example = (path: string): string =>
  readFileSync(join(import.meta.dirname, '../../examples', path), 'utf8');
const manifest = example('homelab/manifest.json');
const template = example('homelab/templates/litellm.yaml');

/** Stand-ins: each checks what it was given, and fails where that is not what it needs. */
const service = (lines: string): string =>
  `[Service]\nRestart=no\n${lines}\n[Install]\nWantedBy=multi-user.target\n`;
const services = {
  cloudflared: service(
    `DynamicUser=yes\nExecStart=/bin/sh -c 'test "$$TUNNEL_TOKEN" = "${values.tunnel.replaceAll('%', '%%')}" && exec sleep infinity'`,
  ),
  litellm: service(
    'User=litellm\nExecStartPre=/bin/grep -q master_key /run/litellm/config/config.yaml\nExecStart=/bin/sleep infinity',
  ),
  grafana: service(
    "DynamicUser=yes\nRuntimeDirectory=grafana\nType=forking\nExecStart=/bin/sh -c 'umask 077; cp $$CREDENTIALS_DIRECTORY/admin-password /run/grafana/; sleep infinity &'",
  ),
  'backup@nas': service(
    'Type=oneshot\nRemainAfterExit=yes\nRuntimeDirectory=backup-%i\nRuntimeDirectoryMode=0700\nExecStart=/bin/cp /run/unit-secrets/secrets/backup@%i/files/repo.key /run/backup-%i/',
  ),
  weather: service('DynamicUser=yes\nExecStart=/bin/sleep infinity'),
};

describe.each(['bookworm', 'trixie'] as const)('the reference setup on %s', (suite) => {
  let emulated: EmulatedMachine;
  let machine: Container;

  beforeAll(async () => {
    emulated = await bootEmulated({
      suite,
      packages: ['openssh-server'],
      manifest: manifest,
      items: {
        Cloudflare: { 'tunnel-token': values.tunnel },
        LiteLLM: { 'master-key': values.master, 'db-password': values.database },
        OpenAI: { credential: values.openai },
        Grafana: { password: values.admin },
        Backup: { key: values.repository },
        Weather: { credential: values.weather },
        // the public key is there as well: 1Password derives it
        'Homelab SSH - javiersc': { 'private key': { type: 'sshKey' } },
      },
      services,
      files: {
        '/etc/unit-secrets/templates/litellm.yaml': template,
        '/etc/ssh/sshd_config.d/50-keys-only.conf': example('ssh/50-keys-only.conf'),
      },
      setup:
        'useradd --system --user-group litellm; useradd --create-home --shell /bin/bash javiersc; systemctl --quiet enable ssh.service',
    });
    machine = emulated.machine;
  });
  afterAll(() => machine?.kill());

  test('all is active after the boot', async () => {
    const { stdout } = await machine.exec('systemctl --failed --no-legend --plain --no-pager');
    expect(stdout).toBe('');
    for (const name of Object.keys(services))
      expect(await stateOf(machine, `${name}.service`), await statusOf(machine, `${name}.service`)).toBe(
        'active',
      );
  });

  test('each has its exact values', async () => {
    expect((await environmentOf(machine, 'cloudflared.service')).get('TUNNEL_TOKEN')).toBe(values.tunnel);
    const url = `postgresql://litellm:${values.database}@127.0.0.1/litellm`;
    const litellm = await environmentOf(machine, 'litellm.service');
    expect([litellm.get('LITELLM_MASTER_KEY'), litellm.get('DATABASE_URL')]).toEqual([values.master, url]);
    const yaml = await machine.exec([
      'runuser',
      '-u',
      'litellm',
      '--',
      'cat',
      '/run/litellm/config/config.yaml',
    ]);
    expect(yaml.stdout).toBe(
      template
        .replace('{{ op://Homelab/OpenAI/credential }}', () => JSON.stringify(values.openai).slice(1, -1))
        .replace('${REQUEST_TIMEOUT:number}', '600')
        .replace('${LITELLM_MASTER_KEY}', () => JSON.stringify(values.master))
        .replace('${DATABASE_URL}', () => JSON.stringify(url)),
    );
    expect(await machine.readFile('/run/grafana/admin-password')).toBe(values.admin);
    expect(await machine.readFile('/run/backup-nas/repo.key')).toBe(values.repository);
    expect((await environmentOf(machine, 'weather.service')).get('API_KEY')).toBe(values.weather);
  });

  test('the user can log in with the key from 1Password', async () => {
    const ssh =
      "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout=40 javiersc@127.0.0.1 'id -un'";
    const { stdout, stderr } = await machine.exec(['runuser', '-u', 'javiersc', '--', 'sh', '-c', ssh], {
      check: false,
      env: { HOME: '/home/javiersc' },
    });
    expect(stdout, stderr).toBe('javiersc\n');
  });

  test('nothing is left in memory when all are stopped', async () => {
    await machine.exec(['systemctl', 'stop', ...Object.keys(services)]);
    await waitUntilGone(machine, '/run/litellm');
    await machine.waitFor(
      async () =>
        (await machine.exec('grep -rlF s3nt1nel /run --exclude-dir=journal --exclude-dir=log; :')).stdout ===
        '',
      'the secrets to be gone',
    );
  });
});
