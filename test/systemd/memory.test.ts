/** What is in the memory of those that fetch, while they wait for an answer, and where it could go from there. */
import { expect, test } from 'vitest';
import { bootEmulated } from './emulated.ts';

test.each(['bookworm', 'trixie'] as const)(
  'on %s, the memory of a fetch goes neither into core dumps nor into swap, and its child knows no more than it needs',
  async (suite) => {
    await using emulated = await bootEmulated({
      suite,
      manifest: JSON.stringify({
        version: 1,
        services: { app: { environment: { KEY: 'op://Homelab/App/value' } } },
      }),
      items: { App: { value: 's3nt1nel' } },
      services: { app: '[Service]\nExecStart=/bin/sleep infinity\n' },
    });
    const { machine, control, token } = emulated;
    await control('POST', '/control/faults', { kind: 'hang' });
    await machine.exec('systemctl start --no-block app');
    const group = '/sys/fs/cgroup/system.slice/app-secrets.service';
    await machine.waitFor(
      async () =>
        (await machine.exec(`cat ${group}/cgroup.procs`, { check: false })).stdout.split('\n').length > 2,
      'the child to be there',
    );
    const pids = (await machine.readFile(`${group}/cgroup.procs`)).trim().split('\n');
    expect(pids).toHaveLength(2);
    for (const pid of pids) {
      const of = (name: string) => machine.readFile(`/proc/${pid}/${name}`);
      // the child is told as soon as it runs
      await machine.waitFor(['grep', '-q', '^0*$', `/proc/${pid}/coredump_filter`], 'memory to be left out');
      expect(await of('limits')).toMatch(/^Max core file size +0 +0 /m);
      expect(await of('status')).toMatch(/^NoNewPrivs:\t1$/m);
      expect(await of('status')).toMatch(/^CapEff:\t0{16}$/m);
      for (const name of ['environ', 'cmdline']) {
        expect(await of(name)).not.toContain(token);
        expect(await of(name)).not.toContain('s3nt1nel');
      }
    }
    const environments = await Promise.all(pids.map((pid) => machine.readFile(`/proc/${pid}/environ`)));
    expect(environments).toContain('PATH=/usr/bin:/bin\0LANG=C.UTF-8\0');
    // the kernel of a test may have no memory.swap.max, so systemd is asked
    const { stdout } = await machine.exec('systemctl show --property=MemorySwapMax app-secrets.service');
    expect(stdout).toBe('MemorySwapMax=0\n');
  },
);
