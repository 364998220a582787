import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootMachine, environmentOf, idleService, journalOf, vaultManifest } from './machine.ts';

const secret = 'n0t-4-r34l-s3cr3t';
const directory = '/run/unit-secrets/secrets/app';
const vault = { Vault: { Item: { field: secret } } };
const services = { app: { environment: { KEY: 'op://Vault/Item/field' } } };

/** What there is of a service that is up; what becomes of it in each transition is in transitions.ts. */
describe.each(['bookworm', 'trixie'] as const)('a service and its secret on %s', (suite) => {
  let machine: Container;

  beforeAll(async () => {
    machine = await bootMachine({
      suite,
      manifest: vaultManifest(services),
      vault,
      services: { app: undefined, bystander: undefined },
    });
  });
  afterAll(() => machine.kill());

  test('it is up after the boot, with its secret', async () => {
    expect((await machine.exec('systemctl is-system-running')).stdout.trim()).toBe('running');
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
      vault,
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
