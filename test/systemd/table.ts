/**
 * Plays a table of transitions on a machine: services of several kinds go through each row side by side, so
 * that one `daemon-reload` is for all of them.
 *
 * A row begins with the services and their secrets as `from` says, fetched from a provider whose values are
 * all `value-old`. Then the provider changes, so that a fetch which must not be is seen: its values are
 * `value-new`, or it is down. Then comes what the row does.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Container } from '../container/container.ts';
import { type Condition, DeadlineError, poll } from '../container/poll.ts';
import { manifestPath } from './machine.ts';

/** How a service gets its secrets: a manifest entry, and how the service itself is written. */
export interface Kind {
  /** Its unit, without `.service`. */
  readonly name: string;
  readonly entry: Entry;
  /** Lines of its `[Service]` section. */
  readonly service: string;
  /** What a running one holds: paths below its /proc/PID. */
  readonly held: readonly string[];
  /** Where its secrets are kept meanwhile, for nobody else. */
  readonly directories: readonly string[];
}
export type Entry = Readonly<Record<string, unknown>>;

/** The units of a kind: its own, and those that are generated for it. */
export type Role = 'app' | 'secrets' | 'config' | 'retry' | 'timer';

export interface Transition {
  /** Ends the sentence "A service …". */
  readonly name: string;
  /** The kinds that it is for, by name; those of the stage's `usual` if not given. */
  readonly kinds?: readonly string[] | 'all';
  /** `running` if not given. */
  readonly from?: 'running' | 'stopped';
  /** `new` if not given. */
  readonly provider?: 'new' | 'missing' | 'damaged';
  /** Units and drop-ins for this row. */
  readonly units?: Partial<Readonly<Record<Role, string>>>;
  /** Shell commands for the machine as a whole, before and after each service's own. */
  readonly first?: string;
  readonly last?: string;
  /** Shell commands for each service, in which `$app`, `$secrets`, `$config`, `$retry` are units; see `prelude`. */
  readonly does?: string;
  /** The exit status of what it does must not be 0. */
  readonly refused?: true;
  /** Also with a `daemon-reload` and a `daemon-reexec` before what it does. */
  readonly alsoReloaded?: true;
  /** What comes of it; of several, one. */
  readonly expected: Outcome | readonly Outcome[];
  /** Makes the machine as it was, where it is more than the services that has changed. */
  readonly after?: string;
}

export interface Outcome {
  /** The service itself. */
  readonly app: 'active' | 'activating' | 'inactive' | 'failed';
  /** The unit that fetches for it; undefined for a service that fetches itself. */
  readonly secrets: 'active' | 'inactive' | 'failed' | undefined;
  readonly mainProcess: 'same' | 'another' | 'none';
  /** The values that it holds. */
  readonly holds: 'old' | 'new' | '';
  /** The values in the directories; '' where these are still there, and empty. */
  readonly files: 'old' | 'new' | '' | 'gone';
  /** Tries to fetch, successful or not. */
  readonly tries: number;
}

/** What a table is played on. */
export interface Stage {
  readonly kinds: readonly Kind[];
  /** The kinds that rows are for, by name: what the others have in common with them is not tested twice. */
  readonly usual: readonly string[];
  /** Edits of the manifest, by name: an entry → another, or none. */
  readonly edits: Readonly<Record<string, (entry: Entry) => Entry | undefined>>;
  readonly manifest: (services: Readonly<Record<string, Entry>>) => string;
  /** A shell function `provider old|new|missing|damaged`. */
  readonly provider: string;
  /** Whether the services fetch themselves. */
  readonly inline?: true;
}

const systemUnits = '/run/systemd/system';

export function unitOf({ name }: Kind, role: Role): string {
  if (role === 'app' || role === 'timer') return `${name}.${role === 'app' ? 'service' : 'timer'}`;
  return `${name.replace(/(?=@|$)/, `-${role}`)}.${role === 'retry' ? 'timer' : 'service'}`;
}

/** Manifests for a stage, by file name below /root/manifests. */
export function manifestsOf({ kinds, edits, manifest }: Stage): Record<string, string> {
  const edited = (edit: (entry: Entry) => Entry | undefined) =>
    manifest(
      Object.fromEntries(
        kinds.flatMap(({ name, entry }) => {
          const after = edit(entry);
          return after === undefined ? [] : [[name, after]];
        }),
      ),
    );
  const all = Object.entries({ original: (entry: Entry) => entry, ...edits });
  return Object.fromEntries(all.map(([name, edit]) => [`/root/manifests/${name}`, edited(edit)]));
}

const roles: readonly Role[] = ['app', 'secrets', 'config', 'retry', 'timer'];

/** What rows may say. */
function prelude({ provider, inline }: Stage, kinds: readonly Kind[]): string {
  const all = (role: Role) => kinds.map((kind) => unitOf(kind, role)).join(' ');
  const use = (kind: Kind) => {
    const units = roles.map((role) => `${role}='${unitOf(kind, role)}'`).join(' ');
    return `'${kind.name}') ${units} held='${kind.held.join(' ')}' directories='${kind.directories.join(' ')}' ;;`;
  };
  return `
names='${kinds.map(({ name }) => name).join(' ')}'
all_apps='${all('app')}' all_secrets='${inline ? '' : all('secrets')}' all_config='${all('config')}'
all_retry='${all('retry')}' all_timer='${all('timer')}'
use() { case $1 in ${kinds.map(use).join('\n')} esac; }
state() { systemctl is-active "$1" || :; }
is() { [ "$(state "$1")" = "$2" ]; }
await() {
  turns=0
  until "$@"; do
    turns=$((turns + 1))
    [ $turns -lt 400 ] || { echo "still waiting for: $* $still" >&2; exit 99; }
    sleep 0.05
  done
}
main_process() { systemctl show --property=MainPID --value "$app"; }
fetch_began() { systemctl show --property=ExecMainStartTimestampMonotonic --value "$secrets"; }
crash() { kill -KILL "$(main_process)"; }
ends() { kill -TERM "$(main_process)"; }
has_no_job() { [ -z "$(systemctl list-jobs --no-legend "$1")" ]; }
no_retry() { await has_no_job "$retry" && is "$retry" inactive; }
${provider}
edit() { cp "/root/manifests/$1" ${manifestPath} && systemctl daemon-reload; }
keep_drop_ins_only() {
  for name in $names; do
    install -D -m 644 "/run/systemd/generator/$name.service.d/50-unit-secrets.conf" "${systemUnits}/$name.service.d/50-unit-secrets.conf"
  done
  rm ${manifestPath} && systemctl daemon-reload
}
are_gone() { for name in $names; do use $name; for path in $directories; do [ ! -e $path ] || { still=$(find $path); return 1; }; done; done; }
are_empty() { for name in $names; do use $name; [ -z "$(find $directories -type f 2>/dev/null)" ] || return; done; }
wiped() { for path in $directories; do [ ! -e $path ] || return; done; }
values() { grep -rhaoE 'value-(old|new)' "$@" 2>/dev/null; }
report() {
  echo "unit $id $active $pid"
  [ "$pid" = 0 ] || for name in $names; do
    [ "$id" != $name.service ] || { use $name; cd /proc/$pid && echo holds $name $(values $held); }
  done
}
look() {
  { systemctl show --property=Id,ActiveState,MainPID $all_apps $all_secrets; echo; } | {
    id=
    while IFS='=' read -r key value; do
      case $key in
        Id) id=$value ;;
        ActiveState) active=$value ;;
        MainPID) pid=$value ;;
        '') [ -z "$id" ] || report; id= ;;
      esac
    done
  }
  for name in $names; do
    use $name
    wiped || echo files $name $(values $directories)
  done
  journalctl --sync
  journalctl --quiet --boot --cursor-file=/run/cursor --output=json --output-fields=MESSAGE,_SYSTEMD_UNIT --grep='^try [0-9]+ of [0-9]+: '
  :
}
`;
}

interface Look {
  readonly states: ReadonlyMap<string, string>;
  readonly processes: ReadonlyMap<string, string>;
  readonly holds: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, string>;
  /** Exit codes, by kind. */
  readonly codes: ReadonlyMap<string, number>;
}

const distinct = (values: readonly string[]): string =>
  [...new Set(values.map((value) => value.replace('value-', '')))].sort().join(' ');

/** Services on their way through a table. */
export class Play {
  readonly #machine: Container;
  readonly #stage: Stage;
  /** Tries since the boot, by unit. */
  readonly #tries = new Map<string, number>();

  constructor(machine: Container, stage: Stage) {
    this.#machine = machine;
    this.#stage = stage;
  }

  kindsOf(row: Pick<Transition, 'kinds'>): readonly Kind[] {
    const { kinds, usual } = this.#stage;
    const wanted = row.kinds ?? usual;
    return kinds.filter(({ name }) => wanted === 'all' || wanted.includes(name));
  }

  /** Brings the machine to where a row begins. */
  async prepare(row: Omit<Transition, 'name' | 'expected'>, before = ''): Promise<Look> {
    const { from = 'running', units = {}, provider = 'new', first = '' } = row;
    const written = this.kindsOf(row).flatMap((kind) =>
      Object.entries(units).map(([role, text]) => {
        const unit = unitOf(kind, role as Role);
        const path = role === 'timer' ? unit : `${unit}.d/row.conf`;
        return `install -D -m 644 /dev/stdin '${systemUnits}/${path}' <<'END'\n${text}\nEND\nchanged=yes\n`;
      }),
    );
    // all kinds, as a row for some must find nothing of the others
    await this.#run(
      `
exec >&2
# newer ones refuse all if one is not there; a pattern matches what is
for units in "$all_timer" "$all_apps" '*-config.service' "$all_secrets" "$all_retry"; do systemctl stop $units 2>/dev/null; done
await are_gone
changed=$(cmp ${manifestPath} /root/manifests/original 2>&1; ls ${systemUnits} 2>/dev/null)
rm -rf ${systemUnits}/*
cp /root/manifests/original ${manifestPath}
provider old || exit
${written.join('')}
[ -z "$changed" ] || systemctl daemon-reload || exit
systemctl reset-failed`,
      this.#stage.kinds,
    );
    return this.#run(
      `{
${from === 'running' ? 'systemctl start $all_apps || exit' : ''}
provider ${provider}
${before}
${first}
} >&2
look`,
      this.kindsOf(row),
    );
  }

  /** Plays a row that has been prepared, and looks again and again until all came out as expected. */
  async play(
    row: Transition,
    before: Look,
  ): Promise<{ readonly kind: string; readonly expected: unknown; readonly found: unknown }[]> {
    const kinds = this.kindsOf(row);
    const triesBefore = new Map(this.#tries);
    const done = await this.#run(
      `
for name in $names; do
  ( use $name; { ${row.does ?? ':'}
  } >&2; echo code $name $? ) &
done
wait
{ ${row.last ?? ':'}
} >&2 || exit`,
      kinds,
    );
    const expected = [row.expected].flat();
    const odd: { kind: string; expected: unknown; found: unknown }[] = [];
    const came: Condition<boolean> = async () => {
      const after = await this.#run('look', kinds);
      odd.length = 0;
      for (const kind of kinds) {
        const found = this.#outcomeOf(kind, before, after, triesBefore);
        if (!expected.some((one) => isDeepStrictEqual(one, found)))
          odd.push({ kind: kind.name, expected: expected[0], found });
      }
      return odd.length === 0;
    };
    try {
      await poll(came, 'the outcome', 15_000);
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
    }
    for (const { name } of kinds) {
      const code = done.codes.get(name);
      if ((code !== 0) !== (row.refused ?? false))
        odd.push({ kind: name, expected: row.refused ? 'not 0' : 0, found: `exit code ${code}` });
    }
    if (row.after !== undefined) await this.#run(`{ ${row.after}\n} >&2`, kinds);
    return odd;
  }

  /** What there is now, tries counted since the boot. */
  async now(): Promise<{ readonly kind: string; readonly found: Outcome }[]> {
    const nothing = new Map();
    const empty = { states: nothing, processes: nothing, holds: nothing, files: nothing, codes: nothing };
    const look = await this.#run('look', this.#stage.kinds);
    return this.#stage.kinds.map((kind) => ({
      kind: kind.name,
      found: this.#outcomeOf(kind, empty, look, nothing),
    }));
  }

  /** The machine has been booted anew. */
  forget(): void {
    this.#tries.clear();
  }

  #outcomeOf(kind: Kind, before: Look, after: Look, triesBefore: ReadonlyMap<string, number>): Outcome {
    const [app, secrets] = [unitOf(kind, 'app'), unitOf(kind, 'secrets')];
    const fetching = this.#stage.inline ? app : secrets;
    const process = after.processes.get(app);
    const same = process === before.processes.get(app);
    return {
      app: after.states.get(app),
      secrets: after.states.get(secrets),
      mainProcess: process === undefined || process === '0' ? 'none' : same ? 'same' : 'another',
      holds: after.holds.get(kind.name) ?? '',
      files: after.files.get(kind.name) ?? 'gone',
      tries: (this.#tries.get(fetching) ?? 0) - (triesBefore.get(fetching) ?? 0),
    } as Outcome;
  }

  async #run(script: string, kinds: readonly Kind[]): Promise<Look> {
    const { stdout } = await this.#machine.exec(['sh', '-s'], {
      input: prelude(this.#stage, kinds) + script,
    });
    const look = {
      states: new Map<string, string>(),
      processes: new Map<string, string>(),
      holds: new Map<string, string>(),
      files: new Map<string, string>(),
      codes: new Map<string, number>(),
    };
    for (const line of stdout.split('\n')) {
      if (line.startsWith('{')) {
        const unit: string = JSON.parse(line)['_SYSTEMD_UNIT'];
        this.#tries.set(unit, (this.#tries.get(unit) ?? 0) + 1);
        continue;
      }
      const [word, name = '', ...rest] = line.split(' ');
      if (word === 'unit') {
        look.states.set(name, rest[0] ?? '');
        look.processes.set(name, rest[1] ?? '');
      } else if (word === 'holds') look.holds.set(name, distinct(rest));
      else if (word === 'files') look.files.set(name, distinct(rest));
      else if (word === 'code') look.codes.set(name, Number(rest[0]));
    }
    return look;
  }
}

/** The rows with what they leave open: what comes in between. */
export function rowsOf(
  transitions: readonly Transition[],
): readonly { readonly name: string; readonly row: Transition; readonly between: string }[] {
  return transitions.flatMap((row) => [
    { name: row.name, row, between: '' },
    ...(row.alsoReloaded
      ? [
          {
            name: `${row.name}, after daemon-reload and daemon-reexec`,
            row,
            between: 'systemctl daemon-reload; systemctl daemon-reexec',
          },
        ]
      : []),
  ]);
}
