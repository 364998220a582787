/**
 * Operations in random order, many without waiting for the one before: what must never be is looked for
 * after each. UNIT_SECRETS_WALK_SEED and UNIT_SECRETS_WALK_STEPS make it another walk, or a longer one, and
 * UNIT_SECRETS_WALK_SUITES, names with commas, let it be walked on other releases.
 */
import { describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import type { Suite } from '../container/rootfs.ts';
import { randomNumbers } from '../support/random.ts';
import { bootMachine, makeHostKey, manifestPath, seal, vaultManifest, vaultPath } from './machine.ts';

const seed = Number(process.env['UNIT_SECRETS_WALK_SEED'] ?? 20_260_101);
const steps = Number(process.env['UNIT_SECRETS_WALK_STEPS'] ?? 500);
const suites = (process.env['UNIT_SECRETS_WALK_SUITES'] ?? 'bookworm').split(',') as Suite[];

/** A service: what is particular about it, and its entry in the manifest. */
interface Walker {
  readonly service: string;
  /** What its variables are handed over in; the edition may tell more. */
  readonly entry: (variables: Readonly<Record<string, string>>, edition: number) => object;
  /** Where else than in secrets/NAME its `env` may be, below /run. */
  readonly directories?: readonly string[];
}

const environment: Walker['entry'] = (variables) => ({ environment: variables });
const template = '/etc/epsilon.txt';
/** Takes what it was given as files into its environment, where it is looked for. */
const takes = (script: string) => `ExecStart=\nExecStart=/bin/sh -c '${script}; exec sleep infinity'`;

const services = {
  alpha: { service: 'User=app', entry: environment },
  beta: { service: 'User=app\nRestart=on-failure\nRestartSec=100ms', entry: environment },
  gamma: { service: 'DynamicUser=yes', entry: environment },
  'delta@1': { service: 'User=app\nExecStop=/bin/true', entry: environment },
  // rendered files, in a directory that is now this and now that
  epsilon: {
    service: `User=app\nRestart=on-failure\nRestartSec=100ms\n${takes('CONFIG="$$(cat $$HOME_OF_CONFIG/config/epsilon.txt)"; export CONFIG')}`,
    entry: (variables, edition) => ({
      environment: { ...variables, HOME_OF_CONFIG: `/run/${directoryOf(edition)}` },
      configs: { 'epsilon.txt': { template } },
      files: { 'a.key': variables['A'] },
      group: 'app',
      runtimeDirectory: directoryOf(edition),
    }),
    directories: ['epsilon', 'epsilon-else'],
  },
  zeta: {
    service: `DynamicUser=yes\n${takes('for file in $$CREDENTIALS_DIRECTORY/*; do export "$$(basename $$file)=$$(cat $$file)"; done')}`,
    entry: (variables) => ({ credentials: variables }),
  },
} as const satisfies Readonly<Record<string, Walker>>;
type Name = keyof typeof services;
const names = Object.keys(services) as Name[];
const directoryOf = (edition: number) => (edition % 3 === 0 ? 'epsilon-else' : 'epsilon');
const directories = names.flatMap((name) => (services[name] as Walker).directories ?? []);

const secretsUnit = (name: Name) => `${name.replace(/(?=@|$)/, '-secrets')}.service`;
const retryTimer = (name: Name) => `${name.replace(/(?=@|$)/, '-retry')}.timer`;
const cgroup = (name: Name) =>
  name.includes('@') ? `system-${name.replace(/@.*/, '')}.slice/${name}` : name;

/** Not every character of a unit's name may be in a reference. */
const itemOf = (name: Name) => name.replace('@', ' ');

/** A manifest entry: its edition, or one with an error, or none. */
type Entry = number | 'broken' | 'absent';
type Entries = Readonly<Record<Name, Entry>>;
const allOf = (edition: number) =>
  Object.fromEntries(names.map((name) => [name, edition])) as Record<Name, Entry>;

/** Editions differ in what they need; every value tells whose it is and of which generation of the vault. */
function variablesOf(name: Name, edition: number, value: (field: string) => string): Record<string, string> {
  return {
    ENTRY: `${name} ${edition}`,
    A: value('a'),
    B: `<${value('a')} ${value('b')}>`,
    ...(edition % 2 === 1 ? { C: value('c') } : {}),
  };
}

function manifestOf(entries: Entries): string {
  const known = names.flatMap((name) => {
    const entry = entries[name];
    if (entry === 'absent') return [];
    if (entry === 'broken') return [[name, { environment: { A: 'op://' } }]];
    const variables = variablesOf(name, entry, (field) => `{{ op://Vault/${itemOf(name)}/${field} }}`);
    return [[name, (services[name] as Walker).entry(variables, entry)]];
  });
  return vaultManifest(Object.fromEntries(known), { fetch: { tries: 2, timeout: '5s', retryEvery: '1s' } });
}

const secretOf = (name: Name, generation: number) => (field: string) => `${name}.${field}.${generation}`;
const vaultOf = (generation: number) => ({
  Vault: Object.fromEntries(
    names.map((name) => {
      const value = secretOf(name, generation);
      return [itemOf(name), { a: value('a'), b: value('b'), c: value('c') }];
    }),
  ),
});

/**
 * Prints what runs, with its variables, and what is below /run/unit-secrets. A process that is not the
 * program yet has PID 1's environment.
 */
const lookAround = `
${names.map((name) => `look_at ${name} /sys/fs/cgroup/system.slice/${cgroup(name)}.service/cgroup.procs`).join('\n')}
cd /run
find unit-secrets ${directories.join(' ')} -printf 'file %m %u:%g %y %p\\n'
for directory in unit-secrets/secrets/* ${directories.join(' ')}; do
  [ ! -e $directory/env ] || { echo "env \${directory##*/}"; cat $directory/env; }
done
`;
const lookFunctions = `
look_at() {
  for pid in $(cat $2); do
    case $(readlink /proc/$pid/exe) in */sleep) ;; *) continue ;; esac
    variables=$(tr '\\0' '\\n' </proc/$pid/environ)
    # one that is ending has no variables any more
    case $(readlink /proc/$pid/exe) in */sleep) ;; *) continue ;; esac
    echo "process $1 $pid"; printf '%s\\n' "$variables" | grep -E '^(ENTRY|A|B|C|CONFIG)='
  done
}
`;

type Variables = Record<string, string>;
interface Look {
  readonly processes: Map<string, { readonly name: string; readonly variables: Variables }>;
  readonly environments: Map<string, Variables>;
  readonly files: readonly string[];
}

function parseLook(stdout: string): Look {
  const look: Look & { files: string[] } = { processes: new Map(), environments: new Map(), files: [] };
  let variables: Variables = {};
  for (const line of stdout.split('\n')) {
    const [word, first = '', second = ''] = line.split(' ');
    const assignment = /^(ENTRY|A|B|C|CONFIG)="?(.*?)"?$/.exec(line);
    if (word === 'file') look.files.push(line.slice('file '.length));
    else if (word === 'process') {
      variables = {};
      look.processes.set(second, { name: first, variables });
    } else if (word === 'env') {
      variables = {};
      look.environments.set(first, variables);
    } else if (assignment) variables[assignment[1] ?? ''] = assignment[2] ?? '';
  }
  return look;
}

/** What may be there, with its type, owner and mode. */
const one = names.map((name) => name).join('|');
const aside = String.raw`\.unit-secrets-new`;
const named = directories.join('|');
const allowedFiles = [
  '711 root:root d unit-secrets',
  '755 root:root d unit-secrets/(?:secrets|config)',
  '700 root:root d unit-secrets/(?:token|queue)',
  // of services whose files are root's alone, and of one that has a group or has had one
  `700 root:root d unit-secrets/secrets/(?:${one})`,
  '7[01]0 root:(?:root|app) d unit-secrets/secrets/epsilon',
  `600 root:(?:root|app) f (?:unit-secrets/secrets/(?:${one})|${named})/env`,
  `600 root:(?:root|app) f unit-secrets/(?:secrets|config)/(?:${one})/\\.ok-[0-9a-f]+`,
  `400 root:(?:root|app) f unit-secrets/secrets/epsilon/\\.(?:values\\.json|runtime-directories)`,
  `700 root:(?:root|app) d unit-secrets/secrets/zeta/credentials`,
  `400 root:(?:root|app) f unit-secrets/secrets/zeta/credentials/(?:ENTRY|A|B|C)`,
  `7[015]0 root:(?:root|app) d (?:unit-secrets/config/epsilon|(?:${named})(?:/(?:config|files))?)`,
  `440 root:app f (?:${named})/files/a\\.key`,
  `640 root:app f (?:${named})/config/epsilon\\.txt`,
  // what is written aside has its final mode from birth
  `700 root:(?:root|app) d \\S*/${aside}`,
  `(?:400|440|600|640) root:(?:root|app) f \\S*/${aside}/\\S+`,
  String.raw`\S+ root:(?:root|app) \S unit-secrets/(?:token|queue)/\S*`,
].map((pattern) => new RegExp(`^${pattern}$`));

/** The name of the service whose environment is in this directory. */
const ownerOf = (directory: string) =>
  names.find((name) => (services[name] as Walker).directories?.includes(directory)) ?? directory;

/** The edition and generation of a set that is complete, and all of one service. */
function inspect(directory: string, found: Variables): { edition: number; generation: number } {
  const name = ownerOf(directory) as Name;
  const { CONFIG, ...variables } = found;
  const [owner, edition] = (variables['ENTRY'] ?? '').split(' ');
  const generation = Number(variables['A']?.split('.').at(-1));
  expect(owner, 'whose set it is').toBe(name);
  expect(variables).toEqual(variablesOf(name, Number(edition), secretOf(name, generation)));
  if (CONFIG !== undefined)
    expect(CONFIG, 'what was rendered').toBe(`${variables['ENTRY']}|${variables['A']}|${variables['B']}`);
  return { edition: Number(edition), generation };
}

async function walk(machine: Container, key: ReturnType<typeof makeHostKey>, log: string[]): Promise<void> {
  const random = randomNumbers(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const oneOf = <T>(choices: readonly T[]): T => choices[below(choices.length)] as T;

  let generation = 1;
  let editions = 1;
  let written: Entries = allOf(1);
  let loaded = written;
  let known: Look['processes'] = new Map();
  const newest = new Map<string, number>();

  const replace = (path: string, content: string | Uint8Array) =>
    machine.exec(['sh', '-c', 'cat >"$0.part" && mv "$0.part" "$0"', path], { input: content });
  const provide = () => replace(vaultPath, seal(JSON.stringify(vaultOf(generation)), key));
  const edit = async (entries: Entries) => {
    written = entries;
    await replace(manifestPath, manifestOf(entries));
  };
  const nowait = () => oneOf(['', '', '--no-block ']);

  /** What can be done: how often, and a function that says what it is and does it. */
  const operations: readonly (readonly [weight: number, operation: () => string | Promise<string>])[] = [
    [14, () => `systemctl ${nowait()}start ${oneOf(names)}`],
    [8, () => `systemctl ${nowait()}stop ${oneOf(names)}`],
    [10, () => `systemctl ${nowait()}restart ${oneOf(names)}`],
    [8, () => `systemctl kill --kill-who=main --signal=KILL ${oneOf(names)}`],
    [8, () => `systemctl ${nowait()}reload ${secretsUnit(oneOf(names))}`],
    [3, () => `systemctl ${nowait()}${oneOf(['start', 'stop', 'restart'])} ${secretsUnit(oneOf(names))}`],
    [2, () => `systemctl kill --signal=KILL ${secretsUnit(oneOf(names))}`],
    [2, () => `systemctl ${nowait()}${oneOf(['start', 'stop', 'restart', 'reload'])} epsilon-config`],
    [1, () => 'systemctl kill --signal=KILL epsilon-config'],
    [3, () => `systemctl --no-block ${oneOf(['start', 'restart', 'stop'])} ${names.join(' ')}`],
    [2, () => 'systemctl daemon-reexec'],
    [9, () => 'systemctl daemon-reload'],
    [3, () => `rm -f ${vaultPath}`],
    [3, () => `echo damaged >${vaultPath}.part; mv ${vaultPath}.part ${vaultPath}`],
    [
      12,
      async () => {
        generation += 1;
        await provide();
        return `: vault of generation ${generation}`;
      },
    ],
    [
      9,
      async () => {
        const name = oneOf(names);
        editions += 1;
        const entry = oneOf<Entry>([editions, editions, editions, 'absent', 'broken']);
        await edit({ ...written, [name]: entry });
        const reload = oneOf([true, true, false]);
        return `${reload ? 'systemctl daemon-reload' : ':'} # entry of ${name}: ${entry}`;
      },
    ],
  ];
  const bag = operations.flatMap(([weight, operation]) => Array.from({ length: weight }, () => operation));

  /** Does it and looks around, in one go; then nothing may be wrong. */
  const act = async (operation: string) => {
    const before = loaded;
    if (operation.startsWith('systemctl daemon-re')) loaded = written;
    const script = `${lookFunctions}exec 3>&1\n{ ${operation}\n} >&2; code=$?\n{ ${lookAround}\n} 2>/dev/null >&3; exit $code`;
    const { code, stdout, stderr } = await machine.exec(script, { check: false });
    log.push(`${operation}${code === 0 ? '' : ` -> ${code} ${stderr.trim().split('\n').at(-1)}`}`);
    if (operation.startsWith('systemctl daemon-re')) expect(code, stderr).toBe(0);
    const look = parseLook(stdout);
    for (const file of look.files) {
      expect(
        allowedFiles.some((allowed) => allowed.test(file)),
        file,
      ).toBe(true);
    }
    for (const [directory, variables] of look.environments)
      see(directory, inspect(directory, variables).generation);
    for (const [pid, { name, variables }] of look.processes) {
      if (known.has(pid)) {
        expect(variables, `${name} has lost what it had`).toEqual(known.get(pid)?.variables);
        continue;
      }
      // it was started before or after a daemon-reload of this step
      const possible = [before[name as Name], loaded[name as Name]];
      if (possible.includes('absent') && Object.values(variables).every((value) => value === '')) continue;
      const found = inspect(name, variables);
      expect(possible, `${name} was started with the secrets of another entry`).toContain(found.edition);
      see(name, found.generation);
    }
    known = look.processes;
    return look;
  };
  const see = (name: string, found: number) => {
    expect(found, `${name} has gone back in time`).toBeGreaterThanOrEqual(newest.get(name) ?? 0);
    expect(found).toBeLessThanOrEqual(generation);
    newest.set(name, found);
  };
  const leftOver = new RegExp(` (?:unit-secrets/(?:secrets|config)/|(?:${directories.join('|')})(?:/|$))`);
  const stopAll = async () => {
    for (const name of names)
      await act(`systemctl stop ${name} ${retryTimer(name)} 2>/dev/null; systemctl stop ${name}`);
    await machine.waitFor(async () => {
      const { files, processes } = await act(':');
      log.pop();
      return processes.size === 0 && !files.some((file) => leftOver.test(file));
    }, 'all processes to be stopped and all secrets to be wiped');
  };

  for (let step = 1; step <= steps; step++) {
    await act(await oneOf(bag)());
    if (step % 100 === 0) await stopAll();
  }

  // and all of it can be brought up again
  generation += 1;
  await provide();
  await edit(allOf(editions));
  await act('systemctl daemon-reload');
  for (const name of names) await act(`systemctl reload-or-restart ${secretsUnit(name)}`);
  for (const name of names) {
    await act(`systemctl restart ${name}`);
    const { processes } = await act(`systemctl is-active ${name}`);
    const running = [...processes.values()].find((process) => process.name === name);
    expect(inspect(name, running?.variables ?? {})).toEqual({ edition: editions, generation });
  }
  await stopAll();
}

describe.concurrent(`${steps} operations in random order`, () => {
  for (const suite of suites) {
    test(`never leave a service with secrets that are not its own, on ${suite}`, {
      timeout: 600_000,
    }, async () => {
      const key = makeHostKey();
      await using machine = await bootMachine({
        suite,
        key,
        manifest: manifestOf(allOf(1)),
        files: { [template]: '${ENTRY}|${A}|${B}' },
        vault: vaultOf(1),
        services: Object.fromEntries(
          names.map((name) => [
            name,
            `[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n${services[name].service}\n[Install]\nWantedBy=multi-user.target\n`,
          ]),
        ),
        setup: 'useradd --system app',
      });
      const log: string[] = [];
      try {
        await walk(machine, key, log);
      } catch (error) {
        const told = error instanceof Error ? error.message : String(error);
        throw new Error(
          `${told}\n--- UNIT_SECRETS_WALK_SEED=${seed}, after these ${log.length} operations:\n${log.join('\n')}\n${await machine.journal('--lines=60')}`,
          { cause: error },
        );
      }
    });
  }
});
