import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Container } from '../container/container.ts';
import type { Suite } from '../container/rootfs.ts';
import { bootMachine, makeHostKey, seal } from './machine.ts';
import { manifestsOf, Play, rowsOf } from './table.ts';
import { kinds, stage, templates, transitions } from './transitions.ts';

const suites: readonly Suite[] = ['bullseye', 'bookworm', 'trixie', 'sid'];

// systemd stops it after all that fetch and render, and before the file system of the secrets
const shutdownWitness = `[Unit]
After=run-unit\\x2dsecrets.mount
Before=${kinds.map(({ name }) => name.replace(/(?=@|$)/, '-secrets')).join('.service ')}.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh -c "ls -A /run/unit-secrets/secrets /run/unit-secrets/config /run/named >/var/after-all 2>&1"
[Install]
WantedBy=multi-user.target
`;

function transitionsOn(suite: Suite): void {
  const key = makeHostKey();
  const vaultOf = (field: string) => ({ Vault: { Item: { field } } });
  const sealed = (field: string) => ({ content: seal(JSON.stringify(vaultOf(field)), key) });
  const manifests = manifestsOf(stage);
  let machine: Container;
  let play: Play;

  beforeAll(async () => {
    machine = await bootMachine({
      suite,
      key,
      manifest: manifests['/root/manifests/original'] ?? '',
      vault: vaultOf('value-old'),
      services: {
        ...Object.fromEntries(
          kinds.map(({ name, service }) => [
            name,
            `[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n${service}\n[Install]\nWantedBy=multi-user.target\n`,
          ]),
        ),
        witness: shutdownWitness,
      },
      files: {
        ...manifests,
        '/root/vaults/old': sealed('value-old'),
        '/root/vaults/new': sealed('value-new'),
        '/root/vaults/damaged': 'not an age file',
        '/etc/template.json': templates.good,
        '/root/template.json': templates.good,
        '/root/broken.json': templates.broken,
        // there is no terminal for its shell
        '/etc/systemd/system/rescue.service.d/idle.conf':
          '[Service]\nType=simple\nExecStart=\nExecStart=/bin/sleep infinity\nStandardInput=null\nStandardOutput=null\n',
      },
      setup: 'groupadd other; useradd --system --groups other app',
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

  test('is stopped before its secrets are wiped at shutdown, and begins anew at boot', {
    concurrent: false,
  }, async ({ expect }) => {
    const all = kinds.flatMap(({ directories }) => directories).join(' ');
    await play.prepare({
      kinds: 'all',
      units: {
        app: `[Service]\nExecStop=+/bin/sh -c "grep -rhao value-old ${all} | sort -u >/var/at-stop-%N"`,
      },
    });
    await machine.powerOff();
    for (const { name } of kinds) expect(await machine.readFile(`/var/at-stop-${name}`)).toBe('value-old\n');
    expect(await machine.readFile('/var/after-all')).not.toMatch(
      new RegExp(`^(?:${kinds.map(({ name }) => name).join('|')}|env|config)$`, 'm'),
    );
    await machine.start();
    play.forget();
    for (const { found } of await play.now()) {
      const { app, holds, files, tries } = found;
      expect({ app, holds, files, tries }).toEqual({ app: 'active', holds: 'new', files: 'new', tries: 1 });
    }
  });
}

// side by side, as much of the time is spent waiting for systemd; the rows of one machine in their order
for (const suite of suites) describe.concurrent(`a service on ${suite}`, () => transitionsOn(suite));
