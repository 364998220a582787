import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { schemaText } from '../../src/cli/schema.ts';
import type { Suite } from '../container/rootfs.ts';
import { run } from '../container/run.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { waitUntilGone } from '../systemd/machine.ts';
import { expectAppRunsOn, machineWithApp, secretOf, stateOfApp } from './machine-with-app.ts';
import { foreign, makePackages, packageIn } from './packages.ts';

const generated = '/run/systemd/generator/app-secrets.service';

let packages: ReadonlyMap<string, string>;
let deb: string;
beforeAll(async () => {
  packages = await makePackages('deb');
  deb = packageIn(packages, /\.deb$/);
});
afterAll(() => rm(dirname(deb), { recursive: true }));

describe('the Debian package', () => {
  test('is in order as lintian sees it, but for what its overrides state', async () => {
    const { code, stdout } = await run(
      ['lintian', '--display-info', '--pedantic', '--fail-on=error,warning,info,pedantic', deb],
      { check: false, timeoutMs: 300_000 },
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  });

  test('is the same when it is made again, under another umask, elsewhere in time and space', async () => {
    const again = await makePackages('deb', {
      umask: '077',
      env: { TZ: 'Pacific/Auckland', LC_ALL: 'C', TMPDIR: temporaryDirectory() },
    });
    try {
      expect([...again.keys()]).toEqual([...packages.keys()]);
      for (const [name, path] of again)
        expect(readFileSync(path).equals(readFileSync(packages.get(name) ?? '')), name).toBe(true);
    } finally {
      await rm(dirname(packageIn(again, /\.deb$/)), { recursive: true });
    }
  });

  test('is made for the other architecture, too', async () => {
    const others = await makePackages('deb', { arch: foreign });
    const other = packageIn(others, /\.deb$/);
    try {
      const { stdout } = await run(['dpkg-deb', '--field', other, 'Architecture']);
      expect(stdout.trim()).toBe(foreign === 'x64' ? 'amd64' : 'arm64');
      const content = join(temporaryDirectory(), 'content');
      await run(['dpkg-deb', '--extract', other, content]);
      // elf(5): e_machine, 62 is x86-64, 183 is AArch64
      const header = readFileSync(join(content, 'usr/bin/unit-secrets')).subarray(0, 20);
      expect(header.readUInt16LE(18)).toBe(foreign === 'x64' ? 62 : 183);
    } finally {
      await rm(dirname(other), { recursive: true });
    }
  });

  test('has sums for everything that was made', async () => {
    const { stdout } = await run(['sh', '-c', 'cd "$0" && sha256sum --check SHA256SUMS', dirname(deb)]);
    expect(stdout.trimEnd().split('\n')).toHaveLength(packages.size - 1);
  });
});

/** The same with a later version. */
async function laterVersion(path: string): Promise<string> {
  const directory = temporaryDirectory();
  const later = join(directory, 'later.deb');
  await run([
    ...['sh', '-euc'],
    'dpkg-deb --raw-extract "$0" "$1/content"; sed -i "s/^Version: .*/Version: 99.0-1/" "$1/content/DEBIAN/control"; ' +
      'dpkg-deb --root-owner-group -Zgzip -z1 --build "$1/content" "$2"',
    ...[path, directory, later],
  ]);
  return later;
}

describe.each<Suite>(['bullseye', 'bookworm', 'trixie'])('on Debian %s', (suite) => {
  test('it is installed, used, upgraded, removed and purged while a service runs', async () => {
    await using machine = await machineWithApp({ suite });
    const before = await stateOfApp(machine);
    await machine.copyIn(deb, '/root/unit-secrets.deb', 0o644);
    const apt = (...words: readonly string[]) =>
      machine.exec(['apt-get', '--yes', '--quiet', ...words], { env: { DEBIAN_FRONTEND: 'noninteractive' } });

    await apt('install', '/root/unit-secrets.deb');
    // the generator has run, and nothing was touched
    expect((await machine.exec(['systemctl', 'cat', 'app-secrets.service'])).stdout).toContain(
      'ExecStart=/usr/bin/unit-secrets fetch app',
    );
    await expectAppRunsOn(machine, before);
    expect((await machine.exec(['dpkg', '--verify', 'unit-secrets'])).stdout).toBe('');
    expect(await machine.readFile('/usr/share/unit-secrets/manifest.schema.json')).toBe(schemaText());
    for (const path of [
      '/usr/share/man/man1/unit-secrets.1.gz',
      '/usr/share/man/man5/unit-secrets.manifest.5.gz',
      '/usr/share/man/man8/unit-secrets-generator.8.gz',
      '/usr/share/bash-completion/completions/unit-secrets',
      '/usr/share/zsh/vendor-completions/_unit-secrets',
      '/usr/share/fish/vendor_completions.d/unit-secrets.fish',
      '/usr/share/doc/unit-secrets/copyright',
      '/usr/share/doc/unit-secrets/examples/homelab/manifest.json',
    ])
      expect(await machine.readFile(path), path).not.toBe('');

    await machine.exec('systemctl restart app.service');
    expect(await secretOf(machine)).toBe('first');
    const used = await stateOfApp(machine);

    await machine.copyIn(await laterVersion(deb), '/root/later.deb', 0o644);
    await apt('install', '/root/later.deb');
    await expectAppRunsOn(machine, used);
    // with the secrets that it has, and with the new program
    await machine.exec('systemctl reload app-secrets.service && systemctl restart app.service');
    expect(await secretOf(machine)).toBe('first');
    const upgraded = await stateOfApp(machine);

    await apt('remove', 'unit-secrets');
    await expectAppRunsOn(machine, upgraded);
    await machine.exec(['test', '!', '-e', generated]);
    await machine.exec(['test', '!', '-e', '/usr/bin/unit-secrets']);
    // what is the user's, and what a later installation needs
    await machine.exec(['test', '-e', '/etc/unit-secrets/manifest.json']);
    await machine.exec(['test', '-e', '/var/lib/unit-secrets/services']);

    await apt('purge', 'unit-secrets');
    await waitUntilGone(machine, '/var/lib/unit-secrets');
    // what remains in RAM, and how to be rid of it
    await machine.exec(['test', '-e', '/run/unit-secrets/secrets/app/env']);
    await machine.exec('umount --lazy /run/unit-secrets && test ! -e /run/unit-secrets/secrets');
    await machine.exec(['test', '-e', '/etc/unit-secrets/manifest.json']);
    await expectAppRunsOn(machine, upgraded);
  });
});
