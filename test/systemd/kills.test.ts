/**
 * Kills fetchers and the SDK's child at random moments while the services of a machine start, in rounds, after each of
 * which all have to be up. `UNIT_SECRETS_KILLS=500` for more of it (docs/reliability.md).
 */
import { expect, test } from 'vitest';
import { bootEmulated } from './emulated.ts';
import { environmentOf } from './machine.ts';

const kills = Number(process.env['UNIT_SECRETS_KILLS'] ?? 12);
const names = ['a', 'b', 'c', 'd'];

/** Kills so many, one role as likely as another; prints the role of each. Has the container's processes to itself. */
const killer = `
for ((killed = 0; killed < $1; )); do
  sleep 0.$((RANDOM % 10))
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
  if [ \${#roles[@]} -eq 0 ]; then
    # all are up, or some wait for the next try of their timers
    systemctl is-active $2 | grep -qvx active || break
    continue
  fi
  role=\${roles[RANDOM % \${#roles[@]}]}
  victims=(\${pids[$role]})
  kill -KILL \${victims[RANDOM % \${#victims[@]}]} 2>/dev/null || continue
  killed=$((killed + 1))
  echo $role
done
`;
/** Kills in one round: then all have to come up. */
const most = 8;

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
    const units = names.map((name) => `${name}.service`);
    const count: Record<string, number> = { holder: 0, waiter: 0, child: 0 };
    let killed = 0;
    let rounds = 0;
    let longest = 0;
    while (killed < kills) {
      await machine.exec(`systemctl stop ${units.join(' ')}; systemctl start --no-block ${units.join(' ')}`);
      const planned = String(Math.min(1 + (rounds % most), kills - killed));
      const { stdout } = await machine.exec(['bash', '-c', killer, 'killer', planned, units.join(' ')]);
      const roles = stdout.split('\n').filter((line) => line !== '');
      for (const role of roles) count[role] = (count[role] ?? 0) + 1;
      killed += roles.length;
      rounds++;
      const since = performance.now();
      for (const unit of units)
        await machine.waitFor(['systemctl', 'is-active', unit], `${unit} to come up by itself`, 120_000);
      longest = Math.max(longest, performance.now() - since);
      for (const name of names)
        expect((await environmentOf(machine, `${name}.service`)).get('PASSWORD')).toBe(`value of ${name}`);
    }
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
    const kinds = Object.entries(count).map(([role, times]) => `${times} of a ${role}`);
    console.log(
      `${killed} kills (${kinds.join(', ')}) in ${rounds} rounds and ${seconds} s; longest from the last kill of a round ` +
        `until all were up ${Math.round(longest)} ms`,
    );
  },
  600_000 + kills * 15_000,
);
