import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import {
  bootMachine,
  environmentOf,
  fetchesOf,
  type HostKey,
  idleService,
  journalOf,
  makeHostKey,
  manifestPath,
  seal,
  stateOf,
  vaultManifest,
  vaultPath,
  waitUntilGone,
} from './machine.ts';

const secret = 'n0t-4-r34l-s3cr3t';
const changed = 'n0t-4-r34l-s3cr3t-e1ther';
const directory = '/run/unit-secrets/secrets/app';
const vaultOf = (value: string) => ({ Vault: { Item: { field: value, other: 'another' } } });
const services = { app: { environment: { KEY: 'op://Vault/Item/field' } } };

describe.each(['bookworm', 'trixie'] as const)('the life of a service on %s', (suite) => {
  let machine: Container;
  let key: HostKey;
  const systemctl = (...args: readonly string[]) => machine.exec(['systemctl', ...args]);
  const refused = async (...args: readonly string[]) => {
    const { code } = await machine.exec(['systemctl', ...args], { check: false });
    expect(code).not.toBe(0);
  };

  beforeAll(async () => {
    key = makeHostKey();
    machine = await bootMachine({
      suite,
      key,
      manifest: vaultManifest(services, { fetch: { tries: 2, timeout: '5s', retryEvery: '1s' } }),
      vault: vaultOf(secret),
      services: { app: undefined, bystander: undefined },
    });
  });
  afterAll(() => machine.kill());

  test('it is up after the boot, with its secret', async () => {
    expect((await systemctl('is-system-running')).stdout.trim()).toBe('running');
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe(secret);
  });

  test('the secret is in memory that is never swapped, for root alone', async () => {
    const { stdout } = await machine.exec(
      `stat -c '%a %U:%G %n' ${directory} ${directory}/env; ls -A ${directory}`,
    );
    expect(stdout).toMatch(/^700 root:root \S+\n600 root:root \S+\n\.ok-[0-9a-f]{16}\nenv\n$/);
    expect((await machine.exec(`stat -c '%a' /run/unit-secrets`)).stdout).toBe('711\n');
    const mount = (await machine.exec('findmnt -no FSTYPE,OPTIONS /run/unit-secrets')).stdout;
    expect(mount).toMatch(/^(ramfs|tmpfs.*noswap)/);
    for (const option of ['nosuid', 'nodev', 'noexec']) expect(mount).toContain(option);
  });

  test('a restart fetches nothing', async () => {
    await systemctl('restart', 'app');
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe(secret);
    expect(await fetchesOf(machine, 'app-secrets.service')).toBe(1);
  });

  test('stop wipes, start fetches again', async () => {
    await systemctl('stop', 'app');
    await waitUntilGone(machine, directory);
    await systemctl('start', 'app');
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe(secret);
    expect(await fetchesOf(machine, 'app-secrets.service')).toBe(2);
  });

  test('reload fetches new values in place, and a restart takes them', async () => {
    await machine.writeFile(vaultPath, seal(JSON.stringify(vaultOf(changed)), key));
    await systemctl('reload', 'app-secrets');
    await systemctl('restart', 'app');
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe(changed);
    expect(await stateOf(machine, 'app-secrets.service')).toBe('active');
  });

  test('a failed reload keeps the old values', async () => {
    await machine.writeFile(vaultPath, 'not an age file');
    await refused('reload', 'app-secrets');
    await systemctl('restart', 'app');
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe(changed);
    await machine.writeFile(vaultPath, seal(JSON.stringify(vaultOf(secret)), key));
  });

  test('an edit takes effect with daemon-reload and reload; before, the old set is refused', async () => {
    const edited = { app: { environment: { KEY: 'op://Vault/Item/field', NEW: 'op://Vault/Item/other' } } };
    await machine.writeFile(manifestPath, vaultManifest(edited, { fetch: { retryEvery: '1s' } }));
    const before = await environmentOf(machine, 'app.service');
    await systemctl('daemon-reload');
    expect(await environmentOf(machine, 'app.service')).toEqual(before);
    await systemctl('reload', 'app-secrets');
    await systemctl('restart', 'app');
    const after = await environmentOf(machine, 'app.service');
    expect([after.get('KEY'), after.get('NEW')]).toEqual([secret, 'another']);

    await machine.writeFile(manifestPath, vaultManifest(services, { fetch: { retryEvery: '1s' } }));
    await systemctl('daemon-reload');
    await refused('restart', 'app');
    await systemctl('reload', 'app-secrets');
    await systemctl('start', 'app');
    expect((await environmentOf(machine, 'app.service')).has('NEW')).toBe(false);
  });

  test('a service that was down comes up by itself when its secrets can be had again', async () => {
    await systemctl('stop', 'app');
    await machine.exec(`mv ${vaultPath} ${vaultPath}.away`);
    await refused('start', 'app');
    expect(await stateOf(machine, 'app.service')).toBe('inactive');
    await machine.exec(`mv ${vaultPath}.away ${vaultPath}`);
    await machine.waitFor(['systemctl', 'is-active', 'app'], 'the retry timer to start app');
  });

  test('a service that was stopped stays stopped', async () => {
    await systemctl('stop', 'app');
    await machine.exec(`mv ${vaultPath} ${vaultPath}.away`);
    await refused('start', 'app');
    await systemctl('stop', 'app');
    expect(await stateOf(machine, 'app-retry.timer')).toBe('inactive');
    await machine.exec(`mv ${vaultPath}.away ${vaultPath}`);
    await systemctl('start', 'app');
  });

  test('a masked or failing app-secrets keeps it down', async () => {
    await systemctl('stop', 'app');
    await waitUntilGone(machine, directory);
    await systemctl('mask', '--runtime', 'app-secrets.service');
    await refused('start', 'app');
    await refused('start', '--job-mode=ignore-dependencies', 'app');
    await systemctl('unmask', '--runtime', 'app-secrets.service');
    await systemctl('start', 'app');
  });

  test('an entry that has left the manifest is wiped by daemon-reload, and its service goes on', async () => {
    await machine.writeFile(manifestPath, vaultManifest({}));
    await systemctl('daemon-reload');
    await waitUntilGone(machine, directory);
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe(secret);
    await machine.writeFile(manifestPath, vaultManifest(services));
    await systemctl('daemon-reload');
    await systemctl('restart', 'app');
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe(secret);
  });

  test('no secret is in a unit, in what systemctl shows, or in the journal', async () => {
    const told = await machine.exec(
      'systemctl show "*"; systemctl cat "app*" "unit-secrets*"; systemctl status --no-pager "app*"; journalctl --no-pager --all',
      { check: false },
    );
    expect(told.stdout).toContain('app-secrets.service');
    expect(told.stdout + told.stderr).not.toContain(secret);
  });

  test('the journal says in one line what was done', async () => {
    expect(await journalOf(machine, 'app-secrets.service')).toMatch(/^try 1 of \d+: fetched 1 secret$/m);
  });

  test('nothing of it is on the disk after a power off', async () => {
    // on a machine of its own: this one is needed
    await using other = await bootMachine({
      suite,
      manifest: vaultManifest(services),
      vault: vaultOf(secret),
      services: { app: idleService },
    });
    expect((await environmentOf(other, 'app.service')).get('KEY')).toBe(secret);
    await other.powerOff();
    const { stdout } = await other.exec(
      `grep --recursive --files-with-matches --text -e '${secret}' /etc /var /run /root /tmp`,
      {
        check: false,
      },
    );
    expect(stdout).toBe('');
  });
});
