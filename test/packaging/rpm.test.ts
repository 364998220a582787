import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../container/run.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { expectAppRunsOn, machineWithApp, secretOf, stateOfApp } from './machine-with-app.ts';
import { foreign, makePackages, packageIn } from './packages.ts';

let rpm: string;
beforeAll(async () => {
  rpm = packageIn(await makePackages('rpm'), /\.rpm$/);
});
afterAll(() => rm(dirname(rpm), { recursive: true }));

async function ask(path: string, ...words: readonly string[]): Promise<string> {
  const home = temporaryDirectory();
  return (await run(['rpm', '--dbpath', home, '--query', '--package', ...words, path])).stdout;
}

test('the RPM package installs what the Debian package does, in its own places', async () => {
  const files = (await ask(rpm, '--list')).trimEnd().split('\n');
  for (const path of [
    '/usr/bin/unit-secrets',
    '/usr/lib/systemd/system-generators/unit-secrets-generator',
    '/usr/share/unit-secrets/manifest.schema.json',
    '/usr/share/unit-secrets/fragment.schema.json',
    '/usr/share/man/man1/unit-secrets.1.gz',
    '/usr/share/man/man5/unit-secrets.manifest.5.gz',
    '/usr/share/man/man8/unit-secrets-generator.8.gz',
    '/usr/share/bash-completion/completions/unit-secrets',
    '/usr/share/fish/vendor_completions.d/unit-secrets.fish',
    '/usr/share/zsh/site-functions/_unit-secrets',
    '/usr/share/licenses/unit-secrets/LICENSE',
    '/usr/share/doc/unit-secrets/examples/homelab/manifest.json',
  ])
    expect(files).toContain(path);
  // nothing that belongs to others
  expect(files.filter((path) => !path.includes('unit-secrets'))).toEqual([]);
});

test('its scripts reload systemd and do nothing else', async () => {
  const scripts = await ask(rpm, '--scripts');
  const commands = scripts.split('\n').filter((line) => !/^(#|post(un)?install scriptlet|$)/.test(line));
  expect(commands).toHaveLength(2);
  for (const command of commands)
    expect(command).toMatch(
      /^(\[ "\$1" -ne 0 \] \|\| )?\[ ! -d \/run\/systemd\/system \] \|\| systemctl --system daemon-reload/,
    );
});

test('it is the same when it is made again, under another umask, elsewhere in time and space', async () => {
  const again = packageIn(
    await makePackages('rpm', {
      umask: '077',
      env: { TZ: 'Pacific/Auckland', TMPDIR: temporaryDirectory() },
    }),
    /\.rpm$/,
  );
  try {
    expect(readFileSync(again).equals(readFileSync(rpm))).toBe(true);
  } finally {
    await rm(dirname(again), { recursive: true });
  }
});

test('it is made for the other architecture, too', async () => {
  const other = packageIn(await makePackages('rpm', { arch: foreign }), /\.rpm$/);
  try {
    expect(await ask(other, '--queryformat', '%{ARCH}')).toBe(foreign === 'x64' ? 'x86_64' : 'aarch64');
  } finally {
    await rm(dirname(other), { recursive: true });
  }
});

test('it is installed, used, upgraded and removed by rpm while a service runs', async () => {
  // there is no Fedora here: what Debian's packages would provide, rpm does not know
  await using machine = await machineWithApp({ packages: ['rpm'] });
  const before = await stateOfApp(machine);
  await machine.copyIn(rpm, '/root/unit-secrets.rpm', 0o644);
  const use = (...words: readonly string[]) => machine.exec(['rpm', '--nodeps', ...words]);

  await use('--install', '/root/unit-secrets.rpm');
  expect((await machine.exec(['systemctl', 'cat', 'app-secrets.service'])).stdout).toContain(
    'ExecStart=/usr/bin/unit-secrets fetch app',
  );
  await expectAppRunsOn(machine, before);
  expect((await use('--verify', 'unit-secrets')).stdout).toBe('');
  await machine.exec('systemctl restart app.service');
  expect(await secretOf(machine)).toBe('first');

  const used = await stateOfApp(machine);
  await use('--upgrade', '--replacepkgs', '/root/unit-secrets.rpm');
  await expectAppRunsOn(machine, used);
  await machine.exec(['test', '-e', '/run/systemd/generator/app-secrets.service']);

  await use('--erase', 'unit-secrets');
  await expectAppRunsOn(machine, used);
  await machine.exec(['test', '!', '-e', '/run/systemd/generator/app-secrets.service']);
  await machine.exec(['test', '!', '-e', '/usr/share/unit-secrets']);
});
