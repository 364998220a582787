/** The harness itself: what every other container test takes for granted. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cgroupMount, sweepAbandonedCgroups } from './cgroup.ts';
import { Container } from './container.ts';
import { poll } from './poll.ts';

const MARK_GENERATOR = `#!/bin/sh
printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\nRemainAfterExit=yes\\n' >"$1/mark.service"
mkdir -p "$1/multi-user.target.wants"
ln -s ../mark.service "$1/multi-user.target.wants/mark.service"
`;

/** A service that says on the disk that it was stopped, not merely killed. */
const STOP_WITNESS = `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh -c 'echo stopped >/var/witness'
`;

describe('a container', () => {
  let machine: Container;

  beforeAll(async () => {
    machine = await Container.boot({
      name: 'boxed',
      files: {
        '/etc/systemd/system-generators/mark': { content: MARK_GENERATOR, mode: 0o755 },
        '/etc/systemd/system/witness.service': STOP_WITNESS,
      },
      copies: { '/opt/copied': fileURLToPath(import.meta.url) },
      bind: { '/mnt/here': fileURLToPath(new URL('.', import.meta.url)) },
      setup: 'useradd --system early && mkdir -p /var/prepared',
    });
  });

  afterAll(async () => {
    await machine.kill();
  });

  it('runs a systemd as PID 1 that has finished its boot without failures', async () => {
    expect((await machine.exec('cat /proc/1/comm')).stdout.trim()).toBe('systemd');
    expect((await machine.exec(['systemctl', 'is-system-running'])).stdout.trim()).toBe('running');
    expect((await machine.exec('hostname')).stdout.trim()).toBe('boxed');
  });

  it('shows what was prepared to the first boot already', async () => {
    expect((await machine.exec('systemctl is-active mark.service')).stdout.trim()).toBe('active');
    expect(await machine.readFile('/opt/copied')).toBe(await readFile(import.meta.filename, 'utf8'));
    expect((await machine.exec('stat -c %a /opt/copied')).stdout.trim()).toBe('755');
    expect(await machine.readFile('/mnt/here/container.test.ts')).toContain('MARK_GENERATOR');
    await machine.exec('id early && test -d /var/prepared');
  });

  it('has /run as a file system of its own, in memory', async () => {
    expect((await machine.exec('stat -f -c %T /run')).stdout.trim()).toBe('tmpfs');
    await machine.exec('! test -e /run/box');
  });

  it('has no network but its own loopback', async () => {
    expect((await machine.exec('ls /sys/class/net')).stdout.trim()).toBe('lo');
  });

  it('gives code, output and errors of a command, and its input to it', async () => {
    const result = await machine.exec('read word; echo "got $word"; echo oops >&2; exit 3', {
      input: 'this\n',
      check: false,
    });
    expect(result).toMatchObject({ code: 3, stdout: 'got this\n', stderr: 'oops\n' });
  });

  it('throws, with all that was said, when a command fails', async () => {
    await expect(machine.exec('echo why >&2; exit 4')).rejects.toThrow(
      /exit code 4: in the container: .*\nwhy/s,
    );
  });

  it('passes nothing of its own environment on', async () => {
    const { stdout } = await machine.exec('env', { env: { GIVEN: 'yes' } });
    expect(stdout).toContain('GIVEN=yes');
    expect(stdout).not.toContain('VITEST');
  });

  it('has the commands it runs in the cgroup tree of the container', async () => {
    expect((await machine.exec('cat /proc/self/cgroup')).stdout).toContain('0::/init.scope');
    await machine.exec('systemd-run --wait --quiet --pipe true');
  });

  it('writes files with their mode and reads them back, bytes and all', async () => {
    const content = Buffer.from([0, 255, 10, 13, 128]);
    await machine.writeFile('/etc/deep/er/file', content, 0o640);
    expect(await machine.readBytes('/etc/deep/er/file')).toEqual(content);
    expect((await machine.exec('stat -c %a /etc/deep/er/file')).stdout.trim()).toBe('640');
    // an absolute link: must lead to the container's /run, not to this machine's
    await machine.writeFile('/var/run/through-link', 'x');
    await machine.exec('test -e /run/through-link');
    expect(existsSync('/run/through-link')).toBe(false);
  });

  it('waits for a condition', async () => {
    await machine.exec('systemd-run --quiet sh -c "sleep 0.2; touch /run/late"');
    await machine.waitFor('test -e /run/late', 'the late file');
    await machine.exec('systemctl stop mark.service');
    const state = await machine.waitFor(async () => {
      const { stdout } = await machine.exec('systemctl is-active mark.service', { check: false });
      return stdout.trim() === 'inactive' ? stdout.trim() : undefined;
    }, 'mark.service to stop');
    expect(state).toBe('inactive');
  });

  it('tells what failed in the container when waiting was in vain', async () => {
    await machine.exec('systemd-run --quiet --unit=broken sh -c "echo the reason; exit 7"');
    await machine.waitFor('systemctl is-failed broken.service', 'broken.service to fail');
    const waiting = machine.waitFor('test -e /never', 'a miracle', 50);
    await expect(waiting).rejects.toThrow(
      /after 50 ms still waiting for a miracle.*broken\.service.*the reason/s,
    );
    await machine.exec('systemctl reset-failed broken.service');
  });

  it('keeps /etc and /var over a power cut, but not /run, and stops no service', async () => {
    await machine.exec('touch /etc/stays /var/stays /run/goes && systemctl start witness.service');
    const before = (await machine.exec('cat /proc/sys/kernel/random/boot_id')).stdout;
    await machine.reboot();
    expect((await machine.exec('cat /proc/sys/kernel/random/boot_id')).stdout).not.toBe(before);
    await machine.exec('test -e /etc/stays && test -e /var/stays && ! test -e /run/goes');
    await machine.exec('! test -e /var/witness && systemctl is-active mark.service');
  });

  it('stops the services when powered off in order; the file system can be read then', async () => {
    await machine.exec('systemctl start witness.service');
    await machine.powerOff();
    expect(await machine.readFile('/var/witness')).toBe('stopped\n');
    await machine.start({ waitFor: 'basic' });
    await machine.exec('systemctl is-active basic.target');
  });

  it('logs the console', async () => {
    expect(await readFile(machine.consoleLog, 'utf8')).toContain('multi-user.target');
  });
});

describe('several containers', () => {
  it('are separate, and leave nothing behind', async () => {
    const before = await traces();
    const [one, other] = await Promise.all([
      Container.boot({ files: { '/etc/own': 'one' } }),
      Container.boot({ files: { '/etc/own': 'other' } }),
    ]);
    try {
      expect(await one.readFile('/etc/own')).toBe('one');
      expect(await other.readFile('/etc/own')).toBe('other');
      await one.exec('touch /run/mine /var/mine && systemd-run --quiet --unit=mine sleep infinity');
      await other.exec('! test -e /run/mine && ! test -e /var/mine');
      await other.exec('! systemctl is-active mine.service');
      expect((await traces()).cgroups).toHaveLength(before.cgroups.length + 2);
      await one.kill();
      expect((await other.exec('systemctl is-system-running')).stdout.trim()).toBe('running');
      await other.shutdown();
    } finally {
      await Promise.all([one.kill(), other.kill()]);
    }
    expect(await traces()).toEqual(before);
  });

  it('tell it when they were killed', async () => {
    const machine = await Container.create();
    await machine.kill();
    await machine.kill();
    await expect(machine.exec('true')).rejects.toThrow('this container was killed');
    await expect(machine.start()).rejects.toThrow('killed');
  });
});

describe('a test process that dies', () => {
  it('takes its containers with it', async () => {
    const url = new URL('container.ts', import.meta.url).href;
    const script = `
      const { Container } = await import(${JSON.stringify(url)});
      await Container.boot({ waitFor: 'basic' });
      console.log('booted');
      setInterval(() => {}, 1000);
    `;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const ours = async (): Promise<readonly string[]> =>
      (await cgroups()).filter((name) => name.startsWith(`unit-secrets-test-${child.pid}-`));
    expect(await ours()).toHaveLength(1);
    child.kill('SIGKILL');
    await poll(async () => (await ours()).length === 0, 'the cgroup to go away', 20_000);
  });

  it('is cleaned up after by the next one, if nothing was left to do it', async () => {
    // no process has the id 0, so this owner is surely gone
    const abandoned = join(await cgroupMount(), 'unit-secrets-test-0-1-1');
    await mkdir(join(abandoned, 'payload'), { recursive: true });
    const left = spawn('sleep', ['infinity'], { stdio: 'ignore' });
    const ended = once(left, 'exit');
    await writeFile(join(abandoned, 'payload/cgroup.procs'), String(left.pid));
    await sweepAbandonedCgroups();
    expect((await ended)[1]).toBe('SIGKILL');
    expect(existsSync(abandoned)).toBe(false);
  });
});

async function cgroups(): Promise<readonly string[]> {
  return (await readdir(await cgroupMount())).filter((name) => name.startsWith('unit-secrets-test-'));
}

/** What this process could leave behind: its own cgroups (others' tests run at the same time), and mounts. */
async function traces(): Promise<{
  readonly cgroups: readonly string[];
  readonly mounts: readonly string[];
}> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return {
    cgroups: (await cgroups()).filter((name) => name.startsWith(`unit-secrets-test-${process.pid}-`)),
    mounts: mounts.filter((line) => /unit-secrets|\/run\/box/.test(line)),
  };
}
