import { afterAll, beforeAll, describe, test } from 'vitest';
import { emulatorBinary } from '../build/binary.ts';
import type { Container } from '../container/container.ts';
import type { Suite } from '../container/rootfs.ts';
import { newAccount, tokenOf } from '../emulator/token.ts';
import { kinds, stageOn, transitions } from './inline-transitions.ts';
import { bootMachine, makeHostKey, seal } from './machine.ts';
import { manifestsOf, Play, rowsOf } from './table.ts';

// systemd 247 gives credentials to ExecStart= alone: the start fails there, before anything is fetched
const suites: readonly Suite[] = ['bookworm', 'sid'];
const port = 8080;
const emulatorService = `[Service]
ExecStart=/usr/bin/op-emulator --port ${port} --data /etc/op/data.json --account /etc/op/account.json
[Install]
WantedBy=sysinit.target
`;
const dataOf = (field: string) =>
  JSON.stringify({ vaults: { Vault: { items: { Item: { fields: { field } } } } } });

function transitionsOn(suite: Suite): void {
  const stage = stageOn(port);
  const manifests = manifestsOf(stage);
  let machine: Container;
  let play: Play;

  beforeAll(async () => {
    const key = makeHostKey();
    const account = newAccount();
    const [serviceAccount] = account.serviceAccounts;
    if (serviceAccount === undefined) throw new Error('the emulator made no service account');
    machine = await bootMachine({
      suite,
      key,
      manifest: manifests['/root/manifests/original'] ?? '',
      services: Object.fromEntries(
        kinds.map(({ name, service }) => [
          name,
          `[Unit]\nStartLimitIntervalSec=0\n[Service]\n${service}\n[Install]\nWantedBy=multi-user.target\n`,
        ]),
      ),
      files: {
        ...manifests,
        '/etc/op/old.json': dataOf('value-old'),
        '/etc/op/new.json': dataOf('value-new'),
        '/etc/op/data.json': dataOf('value-old'),
        '/etc/op/account.json': { content: JSON.stringify(account), mode: 0o600 },
        '/etc/systemd/system/op-emulator.service': emulatorService,
        '/etc/unit-secrets/1password-token.age': {
          content: seal(tokenOf(serviceAccount, `http://127.0.0.1:${port}`), key),
        },
        // there is no terminal for its shell
        '/etc/systemd/system/rescue.service.d/idle.conf':
          '[Service]\nType=simple\nExecStart=\nExecStart=/bin/sleep infinity\nStandardInput=null\nStandardOutput=null\n',
      },
      copies: { '/usr/bin/op-emulator': await emulatorBinary() },
      setup: 'systemctl --quiet enable op-emulator.service',
    });
    play = new Play(machine, stage);
  });
  afterAll(() => machine?.kill());

  for (const { name, row, between } of rowsOf(transitions)) {
    test(name, { concurrent: false }, async ({ expect }) => {
      const odd = await play.play(row, await play.prepare(row, between));
      if (odd.length > 0)
        expect(odd, `${JSON.stringify(odd)}\n${await machine.journal('--lines=60')}`).toEqual([]);
    });
  }
}

for (const suite of suites)
  describe.concurrent(`a service on ${suite} that fetches for itself`, () => transitionsOn(suite));
