/** Machines with unit-secrets installed, as a person would install it, and secrets to fetch. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binary } from '../build/binary.ts';
import {
  Container,
  type ContainerOptions,
  type FileSpec,
  type StartOptions,
} from '../container/container.ts';

export const manifestPath = '/etc/unit-secrets/manifest.json';
export const vaultPath = '/etc/unit-secrets/vault.age';
export const hostKeyPath = '/etc/ssh/ssh_host_ed25519_key';

/** `{vault: {item: {field: value, section: {field: value}}}}` */
export type Vault = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;

export interface HostKey {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** A key pair as sshd makes them. */
export function makeHostKey(): HostKey {
  const directory = mkdtempSync(join(tmpdir(), 'unit-secrets-key-'));
  try {
    const path = join(directory, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'root@test', '-f', path]);
    return { privateKey: readFileSync(path, 'utf8'), publicKey: readFileSync(`${path}.pub`, 'utf8') };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Encrypts with the real `age`. */
export function seal(text: string, key: HostKey): Uint8Array {
  return execFileSync('age', ['-r', key.publicKey.trim()], {
    input: text,
    stdio: ['pipe', 'pipe', 'inherit'],
    maxBuffer: 64 * 1024 * 1024,
  });
}

/** A manifest whose secrets are in an age vault. */
export function vaultManifest(services: Readonly<Record<string, unknown>>, more: object = {}): string {
  const provider = { type: 'age-vault' };
  return `${JSON.stringify({ version: 1, provider, ...more, services }, undefined, 2)}\n`;
}

export const idleService = `[Unit]
Description=Something that needs secrets
# tests start it often
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
`;

export interface MachineOptions extends ContainerOptions, StartOptions {
  readonly manifest?: string;
  readonly vault?: Vault;
  /** Services to install and enable: name → unit file, or none for one that idles. */
  readonly services?: Readonly<Record<string, string | undefined>>;
  readonly key?: HostKey;
}

export async function bootMachine(options: MachineOptions = {}): Promise<Container> {
  const { manifest, vault, services = {}, key = makeHostKey(), files = {}, ...rest } = options;
  const names = Object.keys(services);
  const all: Record<string, string | FileSpec> = {
    [hostKeyPath]: { content: key.privateKey, mode: 0o600 },
    [`${hostKeyPath}.pub`]: key.publicKey,
    ...(manifest === undefined ? {} : { [manifestPath]: manifest }),
    ...(vault === undefined ? {} : { [vaultPath]: { content: seal(JSON.stringify(vault), key) } }),
    ...files,
  };
  for (const name of names) {
    // an instance has its unit file under the template's name
    const file = name.replace(/@.*/, '@');
    all[`/etc/systemd/system/${file}.service`] = services[name] ?? idleService;
  }
  const enable = names.map((name) => `systemctl --quiet enable '${name}.service'`);
  return Container.boot({
    ...rest,
    files: all,
    copies: { '/usr/bin/unit-secrets': await binary(), ...rest.copies },
    setup: [
      'ln -s /usr/bin/unit-secrets /usr/lib/systemd/system-generators/unit-secrets-generator',
      ...enable,
      ...(rest.setup === undefined ? [] : [rest.setup]),
    ].join('\n'),
  });
}

/** The environment of a service's main process, byte for byte. */
export async function environmentOf(machine: Container, service: string): Promise<Map<string, string>> {
  const pid = (
    await machine.exec(['systemctl', 'show', '--property=MainPID', '--value', service])
  ).stdout.trim();
  const bytes = await machine.readBytes(`/proc/${pid}/environ`);
  const variables = new Map<string, string>();
  for (const assignment of bytes.toString('utf8').split('\0').slice(0, -1)) {
    const equals = assignment.indexOf('=');
    variables.set(assignment.slice(0, equals), assignment.slice(equals + 1));
  }
  return variables;
}

export async function stateOf(machine: Container, unit: string): Promise<string> {
  const { stdout } = await machine.exec(['systemctl', 'show', '--property=ActiveState', '--value', unit]);
  return stdout.trim();
}

export async function journalOf(machine: Container, unit: string): Promise<string> {
  return (await machine.exec(['journalctl', '--no-pager', '--output=cat', `--unit=${unit}`])).stdout;
}

/** How often the secrets of a service were fetched since the boot. */
export async function fetchesOf(machine: Container, secretsUnit: string): Promise<number> {
  return (await journalOf(machine, secretsUnit))
    .split('\n')
    .filter((line) => / fetched \d+ secrets?$/.test(line)).length;
}

/** `stop` returns a moment before systemd has wiped what was left behind. */
export async function waitUntilGone(machine: Container, path: string): Promise<void> {
  await machine.waitFor(['test', '!', '-e', path], `${path} to be gone`);
}
