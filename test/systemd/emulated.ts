/** Machines whose secrets are in 1Password, as the emulator plays it. */
import { emulatorBinary } from '../build/binary.ts';
import type { Container } from '../container/container.ts';
import { newAccount, tokenOf } from '../emulator/token.ts';
import { bootMachine, type HostKey, type MachineOptions, makeHostKey, seal } from './machine.ts';

export const sealedTokenPath = '/etc/unit-secrets/1password-token.age';

const emulatorService = `[Unit]
Description=Stands for 1Password's servers
[Service]
ExecStart=/usr/bin/op-emulator --port 8080 --data /etc/op/data.json --account /etc/op/account.json
[Install]
WantedBy=sysinit.target
`;

/** `{item: {field: value}}`; in the vault "Homelab". */
export type Items = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface EmulatedMachine extends AsyncDisposable {
  readonly machine: Container;
  readonly token: string;
  readonly key: HostKey;
  /** Tells the emulator something (test/emulator/README.md). */
  readonly control: (method: string, path: string, body?: object) => Promise<string>;
}

/** Boots a machine with a service account token that is sealed to its host key, and somebody who accepts it. */
export async function bootEmulated(
  options: Omit<MachineOptions, 'vault'> & { readonly items: Items },
): Promise<EmulatedMachine> {
  const { items, key = makeHostKey(), files, copies, setup = '', ...rest } = options;
  const account = newAccount();
  const [serviceAccount] = account.serviceAccounts;
  if (serviceAccount === undefined) throw new Error('the emulator made no service account');
  const token = tokenOf(serviceAccount, 'http://127.0.0.1:8080');
  const machine = await bootMachine({
    ...rest,
    key,
    files: {
      '/etc/op/data.json': {
        content: JSON.stringify({ vaults: { Homelab: { items: asFields(items) } } }),
        mode: 0o600,
      },
      '/etc/op/account.json': { content: JSON.stringify(account), mode: 0o600 },
      '/etc/systemd/system/op-emulator.service': emulatorService,
      [sealedTokenPath]: { content: seal(`${token}\n`, key) },
      ...files,
    },
    copies: { '/usr/bin/op-emulator': await emulatorBinary(), ...copies },
    setup: `systemctl --quiet enable op-emulator.service\n${setup}`,
  });
  return {
    machine,
    token,
    key,
    control: (method, path, body = {}) => control(machine, method, path, body),
    [Symbol.asyncDispose]: () => machine.kill(),
  };
}

function asFields(items: Items): object {
  return Object.fromEntries(Object.entries(items).map(([name, fields]) => [name, { fields }]));
}

async function control(machine: Container, method: string, path: string, body: object): Promise<string> {
  const text = JSON.stringify(body);
  const request = `${method} ${path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
  const command = 'exec 3<>/dev/tcp/127.0.0.1/8080; cat >&3; cat <&3';
  const { stdout } = await machine.exec(['bash', '-c', command], { input: request });
  if (!/^HTTP\S* 200/.test(stdout)) throw new Error(`the emulator says: ${stdout}`);
  return stdout;
}
