/** What a report of a boot says, and what is wrong with it. Computes and does nothing else. */
import type { Report } from './qemu.ts';

/** Properties of systemctl(1), "show". */
export type Properties = ReadonlyMap<string, string>;

export function properties(text: string): Properties {
  const entries = text.split('\n').flatMap((line) => {
    const equals = line.indexOf('=');
    return equals < 0 ? [] : [[line.slice(0, equals), line.slice(equals + 1)] as const];
  });
  return new Map(entries);
}

/** The units of a report by their names. */
export function unitsOf(report: Report): ReadonlyMap<string, Properties> {
  const blocks = (report.get('units') ?? '').split('\n\n').map(properties);
  return new Map(
    blocks.flatMap((block) => (block.has('Unit') ? [[block.get('Unit') ?? '', block] as const] : [])),
  );
}

/** The lines of one file of a report. */
export function linesOf(report: Report, name: string): string[] {
  return (report.get(name) ?? '').split('\n').filter((line) => line !== '');
}

export interface Expected {
  /** Whether services have their secrets; else they must be down. */
  readonly secrets: boolean;
  /** Whether the drop-ins and units are there at all. */
  readonly generator: boolean;
  /** Name → SHA-256 of the value, as services must have it. */
  readonly digests: ReadonlyMap<string, string>;
  /** Whether the user's SSH key can be put in place. */
  readonly keys?: boolean;
  /** Whether the entry "broken" is in the manifest, with an error. */
  readonly brokenEntry?: boolean;
  /** Units that may be in state "failed". */
  readonly mayFail?: readonly RegExp[];
  /** Whether the machine has looked for secrets where none may be. */
  readonly searched?: boolean;
  /** Whether the disk can be written to, so that there is something to be found on it. */
  readonly writable?: boolean;
}

/** Where values may be: in memory, for those whom they are for. The private key is in its user's home, too. */
const placesOf: readonly (readonly [label: RegExp, place: RegExp])[] = [
  [/^now-/, /^\/run\/unit-secrets\/secrets\//],
  [/^now-config$/, /^\/run\/unit-secrets\/config\/db\/database\.yaml$/],
  [/^now-(?:credential|file|config)$/, /^\/run\/credentials\/db\.service\//],
  [/^now-key$/, /^\/home\/ada\/\.ssh\/id_ed25519$/],
  [/^token-/, /^\/run\/unit-secrets\/token\/1password-token$/],
  [/^token-/, /^\/run\/credentials\/(?:web|db|ssh-key-setup)-secrets(?:@ada)?\.service\//],
  [/^control-journal$/, /^(?:journal|systemd|\/(?:run|var)\/log\/journal\/.*)$/],
  [/^control-disk$/, /^\/var\/lib\/boot-report\/control$/],
  [/^control-swap$/, /^\/run\/control\/swap$/],
];

/** What must be in a report's "found", or the searches found nothing because they cannot. */
const controls = ['journal control-journal', 'file:/run/control/swap control-swap'];

/** What is wrong with a boot, a sentence each; nothing if all is well. */
export function problemsOf(report: Report, expected: Expected): string[] {
  return [
    ...stateProblems(report, expected),
    ...(expected.secrets ? secretProblems(report, expected) : downProblems(report, expected)),
    ...(expected.brokenEntry === true ? brokenProblems(report) : []),
    ...(expected.searched === false ? [] : foundProblems(report, expected)),
  ];
}

function stateProblems(report: Report, { mayFail = [] }: Expected): string[] {
  const failed = linesOf(report, 'failed').filter((unit) => !mayFail.some((pattern) => pattern.test(unit)));
  const state = linesOf(report, 'state').at(-1);
  const units = unitsOf(report);
  const problems = failed.map((unit) => `${unit} has failed`);
  if (state !== 'running' && state !== 'degraded')
    problems.push(`the system is ${state ?? 'in no known state'}`);
  for (const unit of ['ssh.service', 'plain.service', 'multi-user.target']) {
    const active = units.get(unit)?.get('ActiveState');
    if (active !== 'active') problems.push(`${unit} is ${active ?? 'not in the report'}`);
  }
  return problems;
}

function secretProblems(report: Report, { digests, keys = true }: Expected): string[] {
  const problems: string[] = [];
  const units = unitsOf(report);
  for (const unit of [
    'web.service',
    'db.service',
    'web-secrets.service',
    'db-secrets.service',
    'db-config.service',
  ]) {
    const active = units.get(unit)?.get('ActiveState');
    if (active !== 'active') problems.push(`${unit} is ${active ?? 'not in the report'}`);
  }
  const had = new Map(
    linesOf(report, 'digests').flatMap((line) => {
      const [, name, digest] = /^digest (\S+) ([0-9a-f]{64})$/.exec(line) ?? [];
      return name === undefined || digest === undefined ? [] : [[name, digest] as const];
    }),
  );
  for (const [name, digest] of digests) {
    if (had.get(name) !== digest) problems.push(`${name} is ${had.has(name) ? 'another value' : 'missing'}`);
  }
  return [...problems, ...(keys ? keyProblems(report) : []), ...memoryProblems(report)];
}

/** How long sshd waits for keys at least before it starts without them, in microseconds. */
const patience = 25e6;

function keyProblems(report: Report): string[] {
  const problems: string[] = [];
  if (!(report.get('ssh') ?? '').includes('logged in as ada')) problems.push('the SSH key does not log in');
  const units = unitsOf(report);
  const at = (unit: string, what: string): number =>
    Number(units.get(unit)?.get(`${what}TimestampMonotonic`));
  const key = at('ssh-key-setup@ada.service', 'ExecMainExit');
  const sshd = at('ssh.service', 'ExecMainStart');
  // on a machine that is very slow sshd does not wait to the end, as is promised
  const waited = sshd - at('basic.target', 'ActiveEnter') >= patience;
  if (!(key > 0 && (key < sshd || waited))) problems.push('sshd was started before the SSH key was in place');
  return problems;
}

/** Modes, owners, and the file system that secrets are in. */
function memoryProblems(report: Report): string[] {
  const problems: string[] = [];
  const mount = linesOf(report, 'mounts').find((line) => line.startsWith('/run/unit-secrets ')) ?? '';
  const [major = 0, minor = 0] = (report.get('kernel') ?? '').split('.').map(Number);
  const noswap = major > 6 || (major === 6 && minor >= 4);
  const wanted = noswap ? /\stmpfs\s\S*\bnoswap\b/ : /\sramfs\s/;
  if (!wanted.test(mount))
    problems.push(`/run/unit-secrets is on "${mount}", not on ${noswap ? 'a tmpfs with noswap' : 'a ramfs'}`);
  for (const line of linesOf(report, 'modes')) {
    const [mode = '', owner = '', kind = '', path = ''] = line.split(' ');
    if (!path.startsWith('/run/unit-secrets/')) continue;
    // what may be listed are the names of directories
    const open =
      kind === 'd' && /^\/run\/unit-secrets\/(?:secrets|config|inline)$/.test(path) ? 0o755 : 0o700;
    if ((Number.parseInt(mode, 8) & 0o777 & ~open) !== 0 || !owner.startsWith('0:')) {
      const byGroup =
        path.startsWith('/run/unit-secrets/config/') && (Number.parseInt(mode, 8) & 0o007) === 0;
      if (!byGroup) problems.push(`${path} has mode ${mode} and is owned by ${owner}`);
    }
  }
  return problems;
}

/** The generator can say what is wrong nowhere but in the kernel's log. */
function brokenProblems(report: Report): string[] {
  const problems: string[] = [];
  const said = /unit-secrets-generator\[\d+\]: .*manifest\.json:.*\$\.services\.broken\.enviroment/;
  if (!said.test(report.get('journal') ?? ''))
    problems.push("the kernel's log does not say what is wrong with the manifest");
  if (unitsOf(report).get('broken-secrets.service')?.get('LoadState') !== 'loaded')
    problems.push('broken-secrets.service is not there to keep broken.service down');
  return problems;
}

function downProblems(report: Report, { generator }: Expected): string[] {
  if (!generator) return [];
  const units = unitsOf(report);
  return ['web.service', 'db.service'].flatMap((unit) => {
    const active = units.get(unit)?.get('ActiveState');
    return active === 'inactive' || active === 'failed'
      ? []
      : [`${unit} is ${active ?? 'not in the report'} without its secrets`];
  });
}

function foundProblems(report: Report, { writable = true }: Expected): string[] {
  const found = linesOf(report, 'found');
  const wanted = writable ? [...controls, 'file:/var/lib/boot-report/control control-disk'] : controls;
  const problems = wanted
    .filter((control) => !found.includes(control))
    .map((control) => `the search cannot find: ${control}`);
  for (const line of found) {
    if (controls.includes(line)) continue;
    const [, place = '', label = ''] = /^(.*) (\S+)$/.exec(line) ?? [];
    const path = place.replace(/^file:/, '');
    if (!placesOf.some(([labels, places]) => labels.test(label) && places.test(path)))
      problems.push(`${label} is in ${place}`);
  }
  return problems;
}

export interface Times {
  /** From the start of PID 1 to the end of the boot, in ms. */
  readonly userspace: number;
  /** All generators together, in ms. */
  readonly generators: number;
  /** Reading all units, in ms. */
  readonly load: number;
  /** From the start of PID 1 until a unit is up, in ms. */
  readonly until: ReadonlyMap<string, number>;
}

/** Times that firmware and boot loader have no part in. */
export function timesOf(report: Report): Times {
  const manager = properties(report.get('manager') ?? '');
  const at = (name: string): number => Number(manager.get(`${name}TimestampMonotonic`)) / 1000;
  const start = at('Userspace');
  const units = [
    'basic.target',
    'network-online.target',
    'plain.service',
    'web.service',
    'db.service',
    'ssh.service',
    'multi-user.target',
  ];
  const known = unitsOf(report);
  return {
    userspace: at('Finish') - start,
    generators: at('GeneratorsFinish') - at('GeneratorsStart'),
    load: at('UnitsLoadFinish') - at('UnitsLoadStart'),
    until: new Map(
      units.flatMap((unit) => {
        const active = Number(known.get(unit)?.get('ActiveEnterTimestampMonotonic')) / 1000;
        return active > 0 ? [[unit, active - start] as const] : [];
      }),
    ),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}
