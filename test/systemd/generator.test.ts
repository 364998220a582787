import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootMachine, manifestPath, vaultManifest } from './machine.ts';

const generator = '/usr/lib/systemd/system-generators/unit-secrets-generator';

const manifestOf = (count: number) =>
  vaultManifest(
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [
        `app${index}`,
        { environment: { KEY: 'op://Vault/Item/field' } },
      ]),
    ),
  );

describe('the generator in odd places', () => {
  let machine: Container;
  beforeAll(async () => {
    machine = await bootMachine({});
  });
  afterAll(() => machine.kill());

  /** Runs it as systemd does: directories as arguments, no output, a mount namespace of its own to break things in. */
  const run = (prepare: string, directory: string) =>
    machine.exec(
      [
        ...['unshare', '--mount', 'sh', '-euc'],
        `mkdir -p ${directory}; ${prepare}\nexec ${generator} ${directory} ${directory}.early ${directory}.late </dev/null >/dev/null 2>&1`,
      ],
      { check: false },
    );
  const count = async (directory: string) =>
    Number((await machine.exec(`find ${directory} -type f | wc -l`)).stdout);

  test('without a manifest there is nothing to do', async () => {
    expect((await run('', '/run/none')).code).toBe(0);
    expect(await count('/run/none')).toBe(0);
  });

  test.each([0, 1, 1000])('%i services', async (services) => {
    await machine.writeFile(manifestPath, manifestOf(services));
    const directory = `/run/with-${services}`;
    expect((await run('', directory)).code).toBe(0);
    expect(await count(directory)).toBe(3 * services + 3);
    expect((await machine.exec(`find ${directory} -name '.*' -type f`)).stdout).toBe('');
  });

  test('with everything but its directory read-only', async () => {
    await machine.writeFile(manifestPath, manifestOf(2));
    const readOnly =
      'mount --make-rprivate /; mount --bind -o ro / /mnt; mount -o remount,bind,ro /; touch /etc/x && exit 99';
    expect((await run(`${readOnly} || :`, '/run/read-only')).code).toBe(0);
    expect(await count('/run/read-only')).toBe(9);
  });

  test('without /dev/kmsg', async () => {
    await machine.writeFile(manifestPath, '{');
    const bare = 'mount -t tmpfs none /dev; mknod /dev/null c 1 3 || :';
    expect((await run(bare, '/run/no-kmsg')).code).toBe(1);
    expect((await machine.exec('ls /run/no-kmsg')).stdout).toContain('unit-secrets-manifest.service');
  });

  test('with a directory that cannot be written', async () => {
    await machine.writeFile(manifestPath, manifestOf(1));
    expect((await run('mount -t tmpfs -o ro none /run/full', '/run/full')).code).toBe(73);
  });

  test('in the initrd it does nothing', async () => {
    const { code } = await machine.exec(
      `mkdir /run/initrd; SYSTEMD_IN_INITRD=1 ${generator} /run/initrd /run/initrd /run/initrd`,
    );
    expect(code).toBe(0);
    expect(await count('/run/initrd')).toBe(0);
  });

  test('it reads below UNIT_SECRETS_ROOT', async () => {
    await machine.writeFile(`/srv/root${manifestPath}`, manifestOf(1));
    await machine.exec(`rm ${manifestPath}; UNIT_SECRETS_ROOT=/srv/root ${generator} /run/rooted`);
    expect((await machine.exec('ls /run/rooted')).stdout).toContain('app0-secrets.service');
  });
});

test('a link of any name in /etc/systemd/system-generators is enough', async () => {
  await using machine = await bootMachine({
    manifest: manifestOf(1),
    setup:
      'rm /usr/lib/systemd/system-generators/unit-secrets-generator; mv /usr/bin/unit-secrets /opt/us; mkdir -p /etc/systemd/system-generators; ln -s /opt/us /etc/systemd/system-generators/secrets',
  });
  const { stdout } = await machine.exec('systemctl cat app0-secrets.service');
  expect(stdout).toContain('\nExecStart=/opt/us fetch app0\n');
});
