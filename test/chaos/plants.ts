/** What must never be, done on purpose: a campaign that cannot fail would say nothing. */
import type { Violation } from './observer.ts';
import { canary } from './services.ts';
import type { ChaosMachine } from './world.ts';

interface Plant {
  /** As what it is seen. */
  readonly seen: Violation['kind'];
  readonly does: (world: ChaosMachine) => Promise<unknown>;
  readonly undo?: (world: ChaosMachine) => Promise<unknown>;
}

const value = `${canary}.alpha.a.1`;
const inShell = (script: string) => (world: ChaosMachine) => world.machine.exec(script);

/** For a machine on which `alpha` and `beta` run. */
export const plants = {
  /** A value in the journal. */
  journal: {
    seen: 'journal',
    does: ({ machine }) => machine.exec('systemd-cat --identifier=planted', { input: `${value}\n` }),
  },
  /** A value on a command line. */
  'command-line': { seen: 'command line', does: inShell(`sh -c 'sleep 1; :' ${value}`) },
  /** A value in the environment of somebody else. */
  environment: {
    seen: 'environment',
    does: ({ machine }) => machine.exec('sleep 1', { env: { PLANTED: value } }),
  },
  /** A value on the disk. */
  disk: {
    seen: 'disk',
    does: ({ machine }) => machine.writeFile('/var/lib/planted', `${value}\n`),
    undo: inShell('rm /var/lib/planted'),
  },
  /** A file that others can read. */
  mode: {
    seen: 'mode',
    does: inShell('chmod 0644 /run/unit-secrets/secrets/alpha/env && sleep 1'),
    undo: inShell('chmod 0600 /run/unit-secrets/secrets/alpha/env'),
  },
  /** A set of two generations. */
  mix: {
    seen: 'start',
    does: inShell(
      `sed -i 's/\\(alpha\\.b\\.\\)[0-9]*/\\1987/' /run/unit-secrets/secrets/alpha/env && systemctl restart alpha`,
    ),
    undo: inShell('systemctl restart alpha-secrets'),
  },
  /** A service that is given nothing: a drop-in of this name hides the generated one. */
  bare: {
    seen: 'start',
    does: async ({ machine }) => {
      await machine.writeFile('/etc/systemd/system/alpha.service.d/50-unit-secrets.conf', '');
      await machine.exec('systemctl daemon-reload && systemctl restart alpha');
    },
    undo: inShell(
      'rm -r /etc/systemd/system/alpha.service.d && systemctl daemon-reload && systemctl restart alpha',
    ),
  },
  /** Two processes that ask 1Password, each with a fetcher. */
  processes: {
    seen: 'processes',
    does: async ({ machine }) => {
      const fetcher =
        'exec 3<>/run/chaos/planted; unit-secrets resolve-child <&3 & exec -a "unit-secrets fetch x" sleep 2';
      await machine.exec(
        `mkfifo /run/chaos/planted; for number in 1 2; do systemd-run --quiet bash -c '${fetcher}'; done; sleep 2; rm /run/chaos/planted`,
      );
    },
  },
  /** A lock that nobody holds and nobody can take. */
  lock: {
    seen: 'lock',
    does: inShell(
      'umask 077; mkdir -p /run/unit-secrets/queue/fetch.lock; : >/run/unit-secrets/queue/fetch.lock/planted',
    ),
    undo: inShell('rm -r /run/unit-secrets/queue/fetch.lock'),
  },
  /** A service that is started though it was stopped. */
  stopped: {
    seen: 'stopped',
    does: async (world) => {
      await world.command('systemctl stop alpha', { names: ['alpha'], wants: 'down' });
      await world.machine.exec('sleep 1; systemctl start alpha');
    },
  },
  /** A storm of sign-ins, of whomever. */
  requests: {
    seen: 'requests',
    does: inShell(
      'for number in $(seq 101); do printf "POST /api/v3/auth/start HTTP/1.0\\r\\nContent-Length: 0\\r\\n\\r\\n" | bash -c "exec 3<>/dev/tcp/127.0.0.1/8080; cat >&3; cat <&3" >/dev/null; done',
    ),
  },
  /** A service that does not come up when all is well again. */
  healing: {
    seen: 'healing',
    does: inShell('systemctl stop beta-secrets && systemctl mask --quiet --runtime beta-secrets'),
    undo: inShell('systemctl unmask --quiet --runtime beta-secrets'),
  },
} as const satisfies Readonly<Record<string, Plant>>;

export type PlantName = keyof typeof plants;
