/**
 * Boots virtual machines with unit-secrets in them, from power-on to power-off (scripts/boot-vm installs what
 * is missing; qemu without acceleration, so that it runs anywhere and takes a minute for each boot).
 *
 *     scripts/boot-vm [--suite bookworm|trixie]… [--case NAME]… [--quick] [--rounds N]
 *
 * --suite    which Debian; both if not said
 * --case     which of the boots below; all if not said
 * --quick    looks for secrets where none may be in no boot, which takes half as long
 * --rounds   boots with and without the generator, in turns, and compares their times; 0 if not said
 *
 * Console and report of each boot are left in the cache, in vm-results. Ends with 1 if anything is wrong.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDirectory } from '../test/container/rootfs.ts';
import { type Emulator, startEmulator } from '../test/emulator/server.ts';
import { tokenOf } from '../test/emulator/token.ts';
import { makeHostKey, seal } from '../test/systemd/machine.ts';
import {
  changeDisk,
  copyDisk,
  emptyDisk,
  fileDisk,
  type Installation,
  installation,
  textDisk,
  textsIn,
} from '../test/vm/disk.ts';
import { boot, digestOf, type Report } from '../test/vm/qemu.ts';
import { type Expected, linesOf, median, problemsOf, type Times, timesOf } from '../test/vm/report.ts';

const suites = ['bookworm', 'trixie'] as const;
type Suite = (typeof suites)[number];

interface Case {
  readonly provider: '1password' | 'age-vault';
  /** Boots the disk that the case before has left. */
  readonly sameDisk?: boolean;
  readonly generator?: boolean;
  readonly network?: boolean;
  readonly clock?: string;
  readonly readOnly?: boolean;
  /** One more entry, with an error in it. */
  readonly brokenEntry?: boolean;
  /** No searches, for boots whose times count. */
  readonly quick?: boolean;
  readonly secrets?: boolean;
  /** Whether the user's SSH key can be put in place. */
  readonly keys?: boolean;
  readonly mayFail?: readonly RegExp[];
}

/** Where /tmp cannot be written to, systemd 252 starts nothing that has `PrivateDevices=`. */
const readOnlyTable = `LABEL=root / ext4 ro 0 0
LABEL=config /srv ext4 ro 0 0
tmpfs /tmp tmpfs mode=1777,nosuid,nodev 0 0
`;

const cases = {
  /** Secrets from 1Password over the network. */
  first: { provider: '1password' },
  /** The same disk once more, all secrets changed since: nothing of the first boot is there. */
  second: { provider: '1password', sameDisk: true },
  /** Secrets from an age vault on a file system of its own; another entry of the manifest has an error. */
  vault: { provider: 'age-vault', brokenEntry: true },
  /**
   * The battery is empty: the clock is wrong until a time server has answered, in the middle of a fetch. And
   * the root file system stays read-only.
   */
  adverse: {
    provider: '1password',
    clock: '2000-01-01T00:00:00',
    readOnly: true,
    quick: true,
    keys: false,
    mayFail: [/^systemd-/, /^ssh-key-setup@ada\.service$/, /^(?:e2scrub|dpkg|apt|logrotate)/],
  },
  /** No network card at all: services stay down, the boot goes on, people can log in. */
  offline: {
    provider: '1password',
    network: false,
    quick: true,
    secrets: false,
    mayFail: [
      /^(?:web|db)-secrets\.service$/,
      /^ssh-key-setup-secrets@ada\.service$/,
      /^systemd-networkd-wait-online\.service$/,
    ],
  },
  /** The generator's link is removed: the same machine without us. */
  without: { provider: 'age-vault', quick: true, generator: false },
} as const satisfies Readonly<Record<string, Case>>;
type CaseName = keyof typeof cases;

/** A boot takes two or three minutes of a processor, of which a machine that is busy gives little. */
const bootTimeout = 60 * 60_000;
const results = join(cacheDirectory(), 'vm-results');
const template = await readFile(
  join(import.meta.dirname, '../test/vm/guest/files/etc/unit-secrets/templates/database.yaml'),
  'utf8',
);

/** What one boot is given. Each place has a value of its own, so that a find tells where it came from. */
interface Values {
  readonly environment: string;
  readonly database: string;
  readonly file: string;
  readonly config: string;
  readonly credential: string;
  readonly privateKey: string;
  readonly publicKey: string;
}

function newValues(): Values {
  const value = (what: string): string => `c4n4ry-${what}-${randomBytes(9).toString('hex')}`;
  const { privateKey, publicKey } = makeHostKey();
  return {
    environment: value('environment'),
    database: value('database'),
    file: value('file'),
    config: value('config'),
    credential: value('credential'),
    privateKey,
    publicKey: publicKey.trim(),
  };
}

const itemsOf = ({ environment, database, file, config, credential, privateKey, publicKey }: Values) => ({
  Web: { token: environment, database: { password: database } },
  Db: { 'repo key': file, password: config, admin: credential },
  Ada: { 'private key': privateKey, 'public key': publicKey },
});

/** Label → what to look for. Of a private key the line with its secret half. */
function needlesOf(values: Values, which: 'now' | 'former'): [string, string][] {
  const { environment, database, file, config, credential, privateKey } = values;
  const key = privateKey.split('\n').at(-4) ?? '';
  return Object.entries({ environment, database, file, config, credential, key }).map(([name, value]) => [
    `${which}-${name}`,
    value,
  ]);
}

function manifestOf({ provider, network = true, brokenEntry = false }: Case): string {
  const reference = (path: string): string => `op://Boot/${path}`;
  return JSON.stringify({
    version: 1,
    provider: provider === '1password' ? { type: provider } : { type: provider, path: '/srv/vault.age' },
    fetch: { tries: 12, timeout: network ? '4min' : '20s', retryEvery: '10s' },
    services: {
      ...(brokenEntry ? { broken: { enviroment: {} } } : {}),
      web: {
        environment: {
          APP_TOKEN: reference('Web/token'),
          DATABASE_URL: `postgresql://web:{{ ${reference('Web/database/password')} }}@127.0.0.1/web`,
        },
      },
      db: {
        credentials: { 'admin-password': reference('Db/admin') },
        files: { 'repo.key': { value: reference('Db/repo key'), credential: true } },
        configs: {
          'database.yaml': {
            template: '/etc/unit-secrets/templates/database.yaml',
            values: { PASSWORD: reference('Db/password') },
            credential: true,
          },
        },
      },
    },
    sshKeys: {
      ada: {
        privateKey: reference('Ada/private key'),
        publicKey: reference('Ada/public key'),
        authorize: true,
      },
    },
  });
}

/** A machine's disks, in a directory of its own. */
class Machine {
  readonly #directory: string;
  readonly #installation: Installation;
  readonly #emulator: Emulator;
  readonly #suite: Suite;
  #former: Values | undefined;

  constructor(directory: string, suite: Suite, installed: Installation, emulator: Emulator) {
    this.#directory = directory;
    this.#suite = suite;
    this.#installation = installed;
    this.#emulator = emulator;
  }

  /** Boots once; gives what was reported and what is wrong. */
  async boot(name: string, options: Case): Promise<{ readonly report: Report; readonly problems: string[] }> {
    const { provider, generator = true, secrets = true, network = true, clock, readOnly = false } = options;
    const path = (file: string): string => join(this.#directory, file);
    const log = join(results, `${this.#suite}-${name}`);
    await rm(log, { recursive: true, force: true });
    await mkdir(log, { recursive: true });
    const key = { privateKey: '', publicKey: this.#installation.hostKey };
    const token = tokenOf(
      firstOf(this.#emulator.account.serviceAccounts),
      `http://10.0.2.2:${this.#emulator.port}`,
    );
    const values = newValues();
    const items = itemsOf(values);
    this.#emulator.setData({ vaults: { Boot: { items: emulated(items) } } });
    const requests = this.#emulator.requests.length;

    if (options.sameDisk !== true) {
      this.#former = undefined;
      await copyDisk(this.#installation.disk, path('root'));
      await changeDisk(path('root'), {
        write: {
          '/etc/unit-secrets/manifest.json': manifestOf(options),
          ...(provider === '1password' ? { '/etc/unit-secrets/1password-token.age': seal(token, key) } : {}),
          ...(readOnly ? { '/etc/fstab': readOnlyTable } : {}),
        },
        remove: generator ? [] : ['/usr/lib/systemd/system-generators/unit-secrets-generator'],
      });
    }
    await fileDisk(
      path('config'),
      'config',
      provider === 'age-vault' ? { '/vault.age': seal(JSON.stringify({ Boot: items }), key) } : {},
    );
    await emptyDisk(path('swap'), '512M');
    execFileSync('mkswap', [path('swap')], { stdio: 'ignore' });
    const controls = ['journal', 'disk', 'swap'].map(
      (what) => [`control-${what}`, `c0ntr0l-${what}-${randomBytes(9).toString('hex')}`] as const,
    );
    const needles = new Map([
      ...needlesOf(values, 'now'),
      ...(this.#former === undefined ? [] : needlesOf(this.#former, 'former')),
      ['token-begin', token.slice(40, 80)],
      ['token-end', token.slice(-60, -20)],
      ...controls,
    ] as [string, string][]);
    await textDisk(path('needles'), [...needles].map(([label, value]) => `${label} ${value}\n`).join(''));

    const report = await boot({
      kernel: this.#installation.kernel,
      initrd: this.#installation.initrd,
      disk: path('root'),
      config: path('config'),
      swap: path('swap'),
      needles: path('needles'),
      console: join(log, 'console'),
      network,
      timeoutMs: bootTimeout,
      append: [
        ...(secrets && generator ? ['boot-vm.wait'] : []),
        ...(options.quick ? ['boot-vm.quick'] : []),
        ...(clock === undefined ? [] : [`boot-vm.clock=${Math.floor(Date.now() / 1000)}`]),
      ],
      ...(clock === undefined ? {} : { clock }),
    });
    for (const [file, text] of report) await writeFile(join(log, file), text);
    const asked = this.#emulator.requests.slice(requests);
    await writeFile(join(log, 'requests'), asked.map((entry) => `${JSON.stringify(entry)}\n`).join(''));

    const expected: Expected = {
      secrets: secrets && generator,
      generator,
      keys: options.keys ?? true,
      brokenEntry: options.brokenEntry ?? false,
      searched: options.quick !== true,
      writable: !readOnly,
      digests: new Map([
        ['APP_TOKEN', digestOf(values.environment)],
        ['DATABASE_URL', digestOf(`postgresql://web:${values.database}@127.0.0.1/web`)],
        ['admin-password', digestOf(values.credential)],
        ['repo.key', digestOf(values.file)],
        ['database.yaml', digestOf(template.replace('${PASSWORD}', values.config))],
      ]),
      ...(options.mayFail === undefined ? {} : { mayFail: options.mayFail }),
    };
    const problems = problemsOf(report, expected);
    if (options.quick !== true) problems.push(...(await this.#searchDisks(needles, options)));
    this.#former = values;
    if (problems.length > 0)
      await writeFile(join(log, 'problems'), problems.map((line) => `${line}\n`).join(''));
    return { report, problems };
  }

  /** Looks at every byte of the disks, free space included, once the machine is off. */
  async #searchDisks(
    needles: ReadonlyMap<string, string>,
    { readOnly = false, secrets = true }: Case,
  ): Promise<string[]> {
    const search = async (disk: 'root' | 'swap', wanted: RegExp, control: string): Promise<string[]> => {
      const labels = new Map(
        [...needles].filter(([label]) => wanted.test(label)).map(([label, value]) => [value, label]),
      );
      const path = join(this.#directory, disk);
      const found = await textsIn(path, [...labels.keys()]);
      const controlValue = needles.get(control) ?? '';
      return [
        ...found.map((value) => `${labels.get(value)} is on the disk "${disk}"`),
        ...((await textsIn(path, [controlValue])).length > 0
          ? []
          : [`the search of the disk "${disk}" cannot find ${control}`]),
      ];
    };
    // the private key is in its user's home; an environment is also in its process's memory, which may be swapped
    return [
      ...(readOnly ? [] : await search('root', /^(?:now|former)-(?!key)|^token-/, 'control-disk')),
      ...(readOnly || !secrets
        ? []
        : await search('swap', /^(?:now|former)-(?:file|config|credential)$/, 'control-swap')),
    ];
  }
}

/** As the emulator takes it: texts are fields, objects sections. */
function emulated(items: ReturnType<typeof itemsOf>): object {
  return Object.fromEntries(
    Object.entries(items).map(([item, content]) => [
      item,
      {
        fields: Object.fromEntries(Object.entries(content).filter(([, value]) => typeof value === 'string')),
        sections: Object.fromEntries(
          Object.entries(content).filter(([, value]) => typeof value !== 'string'),
        ),
      },
    ]),
  );
}

function firstOf<T>(list: readonly T[]): T {
  const [first] = list;
  if (first === undefined) throw new Error('the emulator has no service account');
  return first;
}

const milliseconds = (value: number): string => `${Math.round(value).toLocaleString('en')} ms`;

function describe(times: Times): string {
  const until = [...times.until].map(([unit, time]) => `${unit} ${milliseconds(time)}`);
  return `userspace ${milliseconds(times.userspace)}, generators ${milliseconds(times.generators)}; up after: ${until.join(', ')}`;
}

/** Boots with and without the generator, in turns, and prints a table of medians. */
async function compare(machine: Machine, rounds: number): Promise<string[]> {
  const problems: string[] = [];
  const measured = { with: [] as Times[], without: [] as Times[] };
  for (let round = 1; round <= rounds; round += 1) {
    for (const which of ['with', 'without'] as const) {
      const options: Case = { provider: 'age-vault', quick: true, generator: which === 'with' };
      const { report, problems: found } = await machine.boot(`${which}-${round}`, options);
      problems.push(...found.map((problem) => `${which}-${round}: ${problem}`));
      const times = timesOf(report);
      console.log(`${which} generator, ${round}: ${describe(times)}`);
      measured[which].push(times);
    }
  }
  const rows: [string, (times: Times) => number][] = [
    ['userspace', ({ userspace }) => userspace],
    ['all generators', ({ generators }) => generators],
    ['loading of units', ({ load }) => load],
    ...[...(measured.with[0]?.until.keys() ?? [])].map((unit): [string, (times: Times) => number] => [
      `until ${unit}`,
      ({ until }) => until.get(unit) ?? Number.NaN,
    ]),
  ];
  console.log(`\n| median of ${rounds} | with | without | ratio |\n| --- | ---: | ---: | ---: |`);
  for (const [name, of] of rows) {
    const [a, b] = [median(measured.with.map(of)), median(measured.without.map(of))];
    console.log(`| ${name} | ${milliseconds(a)} | ${milliseconds(b)} | ${(a / b).toFixed(2)} |`);
  }
  return problems;
}

function oneOf<T extends string>(
  option: string,
  known: readonly T[],
  given: readonly string[] | undefined,
): readonly T[] {
  const unknown = given?.find((one) => !known.some((other) => other === one));
  if (unknown !== undefined) throw new Error(`${option} must be one of ${known.join(', ')}, not ${unknown}`);
  return given === undefined ? known : known.filter((one) => given.includes(one));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string', multiple: true },
      case: { type: 'string', multiple: true },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '0' },
    },
  });
  const names = oneOf('--case', [...(Object.keys(cases) as CaseName[]), 'none' as const], values.case);
  const emulator = await startEmulator({ data: { vaults: {} } });
  const directory = await mkdtemp(join(tmpdir(), 'unit-secrets-vm-'));
  const wrong: string[] = [];
  try {
    for (const suite of oneOf('--suite', suites, values.suite)) {
      const machine = new Machine(directory, suite, await installation(suite), emulator);
      for (const name of names) {
        if (name === 'none') continue;
        const started = performance.now();
        const { report, problems } = await machine.boot(
          name,
          values.quick ? { ...cases[name], quick: true } : cases[name],
        );
        const seconds = Math.round((performance.now() - started) / 1000);
        console.log(`\n== ${suite}, ${name}: ${problems.length === 0 ? 'all well' : 'WRONG'} (${seconds} s)`);
        const [kernel, systemd] = [linesOf(report, 'kernel')[0], linesOf(report, 'systemd')[0]];
        console.log(`Linux ${kernel}, ${systemd}\n${describe(timesOf(report))}`);
        for (const problem of problems) console.log(`WRONG: ${problem}`);
        wrong.push(...problems);
      }
      const rounds = Number(values.rounds);
      if (rounds > 0) {
        console.log(`\n== ${suite}, with and without the generator`);
        const problems = await compare(machine, rounds);
        for (const problem of problems) console.log(`WRONG: ${problem}`);
        wrong.push(...problems);
      }
    }
  } finally {
    await rm(directory, { recursive: true });
    await emulator.close();
  }
  console.log(`\nconsoles and reports are in ${results}`);
  if (wrong.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(`boot-vm: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
