/**
 * Kills fetchers and the SDK's child at random moments on a machine whose services are stopped and started all the
 * time. `UNIT_SECRETS_KILLS=500` for more of it (docs/reliability.md).
 */
import { expect, test } from 'vitest';
import { bootEmulated } from './emulated.ts';
import { environmentOf } from './machine.ts';

const kills = Number(process.env['UNIT_SECRETS_KILLS'] ?? 12);
const names = ['a', 'b', 'c', 'd'];

/** Kills so many, one role as likely as another; prints how many of each. Has the container's processes to itself. */
const killer = `
declare -A count=([holder]=0 [waiter]=0 [child]=0)
for ((killed = 0; killed < $1; )); do
  sleep $((RANDOM % 2)).$((RANDOM % 1000))
  holder=$(sed -n 's/.*"pid":\\([0-9]*\\).*/\\1/p' /run/unit-secrets/queue/holder 2>/dev/null)
  declare -A pids=()
  for directory in /proc/[0-9]*; do
    command=$(tr '\\0' ' ' 2>/dev/null <$directory/cmdline)
    pid=\${directory#/proc/}
    case $command in
      '/usr/bin/unit-secrets resolve-child '*) pids[child]+=" $pid" ;;
      '/usr/bin/unit-secrets fetch '*) [ "$pid" = "$holder" ] && pids[holder]+=" $pid" || pids[waiter]+=" $pid" ;;
    esac
  done
  roles=("\${!pids[@]}")
  [ \${#roles[@]} -gt 0 ] || continue
  role=\${roles[RANDOM % \${#roles[@]}]}
  victims=(\${pids[$role]})
  kill -KILL \${victims[RANDOM % \${#victims[@]}]} 2>/dev/null || continue
  killed=$((killed + 1)) count[$role]=$((\${count[$role]} + 1))
done
echo "\${count[holder]} \${count[waiter]} \${count[child]}"
`;

test(
  `services come up by themselves whoever is killed, ${kills} times`,
  async () => {
    const entries = names.map((name) => [
      name,
      { environment: { PASSWORD: `op://Homelab/${name}/password` } },
    ]);
    await using emulated = await bootEmulated({
      items: Object.fromEntries(names.map((name) => [name, { password: `value of ${name}` }])),
      services: Object.fromEntries(names.map((name) => [name, undefined])),
      manifest: JSON.stringify({
        version: 1,
        fetch: { tries: 12, timeout: '2min', retryEvery: '1s' },
        services: Object.fromEntries(entries),
      }),
    });
    const { machine } = emulated;
    const begin = performance.now();
    let done = false;
    let starts = 0;
    let longest = 0;

    async function keepStarting(name: string): Promise<void> {
      while (!done) {
        const since = performance.now();
        await machine.exec(`systemctl stop ${name}; systemctl start ${name}`, {
          check: false,
          timeoutMs: 300_000,
        });
        // it has its secrets, or is down and comes up by itself
        await machine.waitFor(['systemctl', 'is-active', `${name}.service`], `${name} to be up`, 600_000);
        longest = Math.max(longest, performance.now() - since);
        starts++;
        expect((await environmentOf(machine, `${name}.service`)).get('PASSWORD')).toBe(`value of ${name}`);
      }
    }

    async function kill(): Promise<string> {
      const timeoutMs = 120_000 + kills * 10_000;
      const { stdout } = await machine.exec(['bash', '-c', killer, 'killer', String(kills)], { timeoutMs });
      done = true;
      return stdout;
    }

    const [counts] = await Promise.all([kill(), ...names.map(keepStarting)]);
    const seconds = Math.round((performance.now() - begin) / 1000);
    const { stdout: failed } = await machine.exec(
      'systemctl list-units --failed --no-legend --plain --no-pager',
    );
    expect(failed).toBe('');
    const { stdout: states } = await machine.exec('cat /proc/[0-9]*/stat | sed "s/.*) //" | cut -c1', {
      check: false,
    });
    expect(states).not.toContain('Z');
    // the brackets keep the shell that looks from finding itself
    const running =
      "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -E 'unit-secrets ([f]etch|[r]esolve-child)'";
    await machine.waitFor(`! { ${running}; }`, 'no fetcher to be left');
    const { stdout: queue } = await machine.exec('ls -A /run/unit-secrets/queue');
    expect(queue.trim().split('\n').sort()).toEqual(names.map((name) => `${name}.service.state`));
    const [holders, waiters, children] = counts.trim().split(' ');
    console.log(
      `${kills} kills (${holders} of a holder, ${waiters} of a waiter, ${children} of a child) during ${starts} starts ` +
        `of services in ${seconds} s; longest until one was up again ${Math.round(longest)} ms`,
    );
  },
  600_000 + kills * 15_000,
);
