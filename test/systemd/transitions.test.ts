import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { DeadlineError, poll } from '../container/poll.ts';
import type { Suite } from '../container/rootfs.ts';
import { bootMachine, makeHostKey, manifestPath, seal, vaultManifest, vaultPath } from './machine.ts';
import { type Kind, kinds, type Outcome, type Transition } from './transitions.ts';

const suites: readonly Suite[] = ['bullseye', 'bookworm', 'trixie', 'sid'];

/** Both ways of a vault that cannot be opened. */
const downs = ['missing', 'damaged'] as const;

interface Row extends Transition {
  readonly vault: 'new' | (typeof downs)[number];
  readonly before?: string;
}

/** The rows with what they leave open: in which way the provider is down, what comes in between. */
function rowsOf({ transitions }: Kind): readonly Row[] {
  return transitions.flatMap((row) => {
    const vaults = row.provider === 'down' ? downs : (['new'] as const);
    const between = [undefined, ...(row.alsoReloaded ? ['daemon-reload', 'daemon-reexec'] : [])];
    return vaults.flatMap((vault) =>
      between.map((verb) => ({
        ...row,
        vault,
        ...(verb === undefined ? {} : { before: `systemctl ${verb}` }),
        name: [row.name, ...(row.provider === 'down' ? [`(${vault} vault)`] : []), verb && `after ${verb}`]
          .filter(Boolean)
          .join(' '),
      })),
    );
  });
}

const manifest = (entry: object) =>
  vaultManifest({ app: entry }, { fetch: { tries: 1, timeout: '5s', retryEvery: '1h' } });
const edited = ({ entry }: Kind) =>
  manifest({ ...entry, environment: { ...entry.environment, EDITED: 'yes' } });

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
const dropIn = 'app.service.d/50-unit-secrets.conf';

/** What rows may say. */
const prelude = ({ directories, held }: Kind) => `
state() { systemctl is-active "$1" || :; }
is() { [ "$(state "$1")" = "$2" ]; }
await() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ $tries -lt 1000 ] || { echo "still waiting for: $*" >&2; exit 99; }
    sleep 0.02
  done
}
main_process() { systemctl show --property=MainPID --value app.service; }
provider() {
  case $1 in
    up) set -- new ;;
    missing) rm ${vaultPath}; return ;;
  esac
  cp /root/vaults/$1 ${vaultPath}.part && mv ${vaultPath}.part ${vaultPath}
}
edit() { cp /root/edited.json ${manifestPath} && systemctl daemon-reload; }
keep_drop_in_only() {
  install -D -m 644 /run/systemd/generator/${dropIn} /run/systemd/system/${dropIn}
  mv ${manifestPath} /root && systemctl daemon-reload
}
values() { grep -rhaoE 'value-(old|new)' "$@" 2>/dev/null | sort -u | cut -c7- | paste -sd ' '; }
is_gone() { for path in ${directories.join(' ')}; do [ ! -e $path ] || return; done; }
tries() { journalctl --sync; journalctl --boot --output=cat --unit=app-secrets.service | grep -c '^try [0-9]* of [0-9]*: '; }
look() {
  main=$(main_process)
  systemctl is-active app app-secrets | { read -r app; read -r secrets; echo "app=$app"; echo "secretsUnit=$secrets"; }
  echo "mainProcess=$main"
  echo "holds=$([ $main = 0 ] || values ${held.map((path) => `/proc/$main/${path}`).join(' ')})"
  if is_gone; then echo files=gone; else echo "files=$(values ${directories.join(' ')})"; fi
  echo "fetches=$(tries)"
}
`;

/** Brings the machine to where a row begins. */
const prepare = ({
  from = 'running',
  units = {},
  vault,
  before = '',
}: Omit<Row, 'name' | 'does' | 'expected'>) => `
exec 3>&1 >&2
# one by one: newer ones refuse all if one is not there
for unit in app.timer app app-secrets app-retry.timer; do systemctl stop $unit 2>/dev/null; done
await is_gone
changed=$(cmp ${manifestPath} /root/manifest.json 2>&1; ls -d /run/systemd/system/app* 2>/dev/null)
rm -rf /run/systemd/system/app*
cp /root/manifest.json ${manifestPath}
provider old
${Object.entries(units)
  .map(
    ([path, text]) =>
      `printf %s ${quote(text)} | install -D -m 644 /dev/stdin /run/systemd/system/${path}; changed=yes`,
  )
  .join('\n')}
[ -z "$changed" ] || systemctl daemon-reload || exit
systemctl reset-failed
${from === 'running' ? 'systemctl start app || exit' : ''}
provider ${vault}
${before}
look >&3
`;

type Look = Readonly<Record<keyof Outcome, string>>;

function parseLook(stdout: string): Look {
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=')),
  );
}

function outcomeOf(before: Look, after: Look): Record<keyof Outcome, unknown> {
  const { mainProcess } = after;
  return {
    ...after,
    mainProcess: mainProcess === '0' ? 'none' : mainProcess === before.mainProcess ? 'same' : 'another',
    fetches: Number(after.fetches) - Number(before.fetches),
  };
}

// systemd stops it after app-secrets and before the file system of the secrets
const shutdownWitness = `[Unit]
After=run-unit\\x2dsecrets.mount
Before=app-secrets.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh -c "ls -A /run/unit-secrets/secrets >/var/after-app"
[Install]
WantedBy=multi-user.target
`;

function transitionsOn(suite: Suite, kind: Kind): void {
  const key = makeHostKey();
  const vaultOf = (field: string) => ({ Vault: { Item: { field } } });
  const sealed = (field: string) => ({ content: seal(JSON.stringify(vaultOf(field)), key) });
  let machine: Container;
  const script = (text: string, check = true) => machine.exec(prelude(kind) + text, { check });
  const look = async (text = 'look') => parseLook((await script(text)).stdout);

  beforeAll(async () => {
    machine = await bootMachine({
      suite,
      key,
      manifest: manifest(kind.entry),
      vault: vaultOf('value-old'),
      services: {
        app: `[Unit]\nStartLimitIntervalSec=0\n[Service]\n${kind.service}\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n`,
        witness: shutdownWitness,
      },
      files: {
        '/root/vaults/old': sealed('value-old'),
        '/root/vaults/new': sealed('value-new'),
        '/root/vaults/damaged': 'not an age file',
        '/root/manifest.json': manifest(kind.entry),
        '/root/edited.json': edited(kind),
        // there is no terminal for its shell
        '/etc/systemd/system/rescue.service.d/idle.conf':
          '[Service]\nType=simple\nExecStart=\nExecStart=/bin/sleep infinity\nStandardInput=null\nStandardOutput=null\n',
      },
      setup: 'useradd --system app',
    });
  });
  afterAll(() => machine?.kill());

  for (const row of rowsOf(kind)) {
    test(row.name, { concurrent: false }, async ({ expect }) => {
      const before = await look(prepare(row));
      const { code, stderr } = await script(row.does, false);
      expect(code !== 0, `exit code ${code}: ${stderr}`).toBe(row.refused ?? false);

      const expected = [row.expected].flat();
      let outcome: unknown;
      try {
        const reached = async () => {
          outcome = outcomeOf(before, await look());
          return expected.some((one) => isDeepStrictEqual(one, outcome));
        };
        await poll(reached, 'the outcome', 15_000);
      } catch (error) {
        if (!(error instanceof DeadlineError)) throw error;
        expect(outcome, await machine.journal('--lines=30')).toEqual(expected[0]);
      }
      if (row.after !== undefined) await script(row.after);
    });
  }

  test('is stopped before its secrets are wiped at shutdown, and begins anew at boot', {
    concurrent: false,
  }, async ({ expect }) => {
    const atStop = `grep -rhao value-old ${kind.directories.join(' ')} | sort -u >/var/at-stop`;
    await look(
      prepare({
        vault: 'new',
        units: { 'app.service.d/row.conf': `[Service]\nExecStop=+/bin/sh -c "${atStop}"\n` },
      }),
    );
    await machine.powerOff();
    expect(await machine.readFile('/var/at-stop')).toBe('value-old\n');
    expect(await machine.readFile('/var/after-app')).toBe('');
    await machine.start();
    const { app, holds, files, fetches } = await look();
    expect({ app, holds, files, fetches }).toEqual({
      app: 'active',
      holds: 'new',
      files: 'new',
      fetches: '1',
    });
  });
}

// side by side, as most of the time is spent waiting for systemd; the rows of one machine in their order
for (const suite of suites) {
  for (const kind of kinds) {
    describe.concurrent(`on ${suite}, ${kind.name}`, () => transitionsOn(suite, kind));
  }
}
