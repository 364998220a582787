/**
 * Manifests through the built program in generator mode: it never crashes, hangs, prints or writes elsewhere;
 * every service that can be seen is fetched for or kept down; systemd has nothing to say of the units.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binary } from '../build/binary.ts';
import { GeneratorShell } from './generator-shell.ts';
import { isObject, type ManifestCase, manifestCase } from './manifest-cases.ts';
import { oddText, Random } from './random.ts';
import { Findings, type FuzzOptions, hasTime, type Report } from './report.ts';
import { pathProblem, unitProblems } from './unit-oracle.ts';

/** How many files of manifest.d one run reads. */
const fragmentsPerRun = 50;
/** Of so many manifests one is read alone, as manifest.json. */
const aloneEvery = 100;
/** The longest that a run may take, in milliseconds, on a busy machine with two cores. */
const patience = 60_000;

/** What the generator left below the normal directory; links as `-> TARGET`. */
export type Output = ReadonlyMap<string, Buffer>;

export interface ManifestFuzzOptions extends FuzzOptions {
  /** How many runs side by side; the same cases, whatever it is. */
  readonly lanes?: number;
  /** Is shown what each run wrote, for a judge that looks at some. */
  readonly onOutput?: (output: Output) => void;
}

export async function fuzzManifests(options: ManifestFuzzOptions): Promise<Report> {
  const { seed, count, lanes = 1, onOutput } = options;
  const findings = new Findings('manifests');
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = mkdtempSync(join(parent, 'unit-secrets-fuzz-'));
  const alone = Math.ceil(count / aloneEvery);
  const runs = Math.ceil((count - alone) / fragmentsPerRun);
  let next = 0;
  try {
    const program = await binary();
    await Promise.all(
      Array.from({ length: lanes }, (_, lane) => runLane(program, join(directory, String(lane)))),
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return findings.report();

  async function runLane(program: string, lane: string): Promise<void> {
    await using shell = new GeneratorShell(program);
    for (let job = next++; job < runs + alone && hasTime(options); job = next++) {
      if (job < runs) await runFragments(shell, lane, job);
      else await runAlone(shell, lane, job - runs);
    }
  }

  async function runAlone(shell: GeneratorShell, lane: string, index: number): Promise<void> {
    const random = new Random('manifest', seed, index);
    const main = manifestCase(random, true);
    findings.count(`${main.how}, alone`);
    await one(shell, lane, `manifests --seed ${seed}, alone ${index}`, { main, fragments: [] }, random);
  }

  async function runFragments(shell: GeneratorShell, lane: string, run: number): Promise<void> {
    const random = new Random('fragments', seed, run);
    const left = count - alone - run * fragmentsPerRun;
    const fragments = Array.from({ length: Math.min(fragmentsPerRun, left) }, () =>
      manifestCase(random, false),
    );
    for (const { how } of fragments) findings.count(`${how}, in manifest.d`);
    // one that is broken as a whole would keep all others down
    const main = random.pick([undefined, ...mains]);
    const bytes = main === undefined ? undefined : Buffer.from(JSON.stringify({ version: 1, ...main }));
    const input: Input = {
      fragments,
      ...(bytes ? { main: { bytes, how: 'structured', services: [], others: [] } } : {}),
    };
    await one(shell, lane, `manifests --seed ${seed}, run ${run}`, input, random);
  }

  async function one(
    shell: GeneratorShell,
    lane: string,
    where: string,
    input: Input,
    random: Random,
  ): Promise<void> {
    const root = join(lane, 'root');
    const out = join(lane, 'out');
    for (const path of [root, out]) rmSync(path, { recursive: true, force: true });
    for (const name of ['normal', 'early', 'late']) mkdirSync(join(out, name), { recursive: true });
    place(root, input, random);
    const before = listing(root);
    const { exitCode, milliseconds } = await shell.run(root, out);
    findings.count('runs of the program');
    if (exitCode !== 0 && exitCode !== 1) findings.add(where, `exit code ${exitCode}`);
    if (milliseconds > patience) findings.add(where, `took ${Math.round(milliseconds)} ms`);
    for (const name of ['stdout', 'stderr']) {
      const said = readFileSync(join(out, name), 'utf8');
      if (said !== '') findings.add(where, `says on ${name}: ${said}`);
    }
    if (readdirSync(out).sort().join() !== 'early,late,normal,stderr,stdout' || listing(root) !== before)
      findings.add(where, 'wrote outside of the three directories');
    for (const name of ['early', 'late'])
      if (readdirSync(join(out, name)).length > 0) findings.add(where, `wrote to the ${name} directory`);
    const output = readOutput(join(out, 'normal'));
    for (const problem of judge(input, output, exitCode, findings)) findings.add(where, problem);
    onOutput?.(output);
  }
}

interface Input {
  readonly main?: ManifestCase;
  readonly fragments: readonly ManifestCase[];
}

const mains: readonly object[] = [
  {},
  { provider: { type: 'age-vault' } },
  {
    provider: { type: 'age-vault', path: '/a b/%n"\\', identity: ['/é', '/$x'] },
    fetch: { tries: 1, timeout: '1.5h' },
  },
  { token: { credential: '1password' } },
  { token: { file: '/run/agenix/%token' }, fetch: { retryEvery: '1y' } },
  { token: { age: "/x'y", identity: '/a;b' } },
];

/** Writes the manifest, and what earlier runs may have left, some of it odd. */
function place(root: string, { main, fragments }: Input, random: Random): void {
  const etc = join(root, 'etc/unit-secrets');
  mkdirSync(join(etc, 'manifest.d'), { recursive: true });
  if (main) writeFileSync(join(etc, 'manifest.json'), main.bytes);
  for (const [index, { bytes }] of fragments.entries()) {
    const name = random.chance(0.05) ? oddText(random).replace(/[/\0]/g, '').toWellFormed().slice(0, 40) : '';
    writeFileSync(join(etc, 'manifest.d', `${String(index).padStart(4, '0')}${name}.json`), bytes);
  }
  if (random.chance(0.1)) {
    const latin1 = Buffer.concat([
      Buffer.from(`${etc}/manifest.d/`),
      Buffer.from([0x63, 0xe9]),
      Buffer.from('.json'),
    ]);
    writeFileSync(latin1, '{}');
  }
  if (random.chance(0.4)) {
    mkdirSync(join(root, 'proc/sys/kernel'), { recursive: true });
    writeFileSync(
      join(root, 'proc/sys/kernel/osrelease'),
      random.pick(['6.12.1\n', '5.10.0-8\n', '', oddText(random)]),
    );
    mkdirSync(join(root, 'proc/self'), { recursive: true });
    writeFileSync(
      join(root, 'proc/self/uid_map'),
      random.pick(['0 0 4294967295\n', '0 1000 1\n', oddText(random)]),
    );
  }
  if (random.chance(0.6)) return;
  const services = [main, ...fragments].flatMap((one) => one?.services ?? []);
  const name = (): string =>
    random.chance(0.7) && services.length > 0
      ? random.pick(services)
      : random.pick(['gone', 'gone@x', 'a,b', 'a+x20', oddText(random)]);
  const directories = (kind: string): void => {
    for (const one of random.list(0, 5, name)) {
      const directory = one.replaceAll(':', ',').replaceAll('\\', '+');
      if (!isFileName(directory)) continue;
      const path = join(root, 'run/unit-secrets', kind, directory);
      mkdirSync(path, { recursive: true });
      if (random.chance(0.5))
        writeFileSync(
          join(
            path,
            `.ok-${random.pick(['0123456789abcdef', oddText(random).replace(/[/\0]/g, '')])}`.slice(0, 60),
          ),
          '',
        );
      if (random.chance(0.4))
        writeFileSync(
          join(path, '.runtime-directories'),
          random
            .list(0, 3, () =>
              random.pick(['app', 'd1', 'x.y', oddText(random), 'systemd', '..', 'a b', '/etc']),
            )
            .join('\n'),
        );
    }
  };
  for (const kind of ['secrets', 'config', 'inline']) directories(kind);
  if (random.chance(0.5)) {
    mkdirSync(join(root, 'var/lib/unit-secrets'), { recursive: true });
    writeFileSync(
      join(root, 'var/lib/unit-secrets/services'),
      random.list(0, 6, () => (random.chance(0.7) ? `${name()}.service` : oddText(random))).join('\n'),
    );
  }
}

const isFileName = (text: string): boolean =>
  text !== '' &&
  text !== '.' &&
  text !== '..' &&
  !/[/\0]/.test(text) &&
  text.isWellFormed() &&
  Buffer.byteLength(text) <= 255;

function listing(root: string): string {
  return readdirSync(root, { recursive: true }).sort().join('\n');
}

function readOutput(directory: string): Output {
  const output = new Map<string, Buffer>();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) output.set(path.slice(directory.length + 1), readFileSync(path));
    else if (!entry.isDirectory()) output.set(path.slice(directory.length + 1), Buffer.from('-> '));
  }
  return output;
}

/** What is wrong with what came of an input. */
function judge(input: Input, output: Output, exitCode: number, findings: Findings): string[] {
  const problems: string[] = [];
  let told = false;
  for (const [path, content] of output) {
    const wrong = pathProblem(path);
    if (wrong !== undefined) problems.push(`${JSON.stringify(path)} ${wrong}`);
    if (content.toString('latin1', 0, 3) === '-> ') continue;
    findings.count('unit files judged');
    if (content.includes('\nError="')) told = true;
    for (const problem of unitProblems(path, content)) problems.push(`${JSON.stringify(path)} ${problem}`);
  }
  const damaged = [input.main, ...input.fragments].some(
    (one) => one !== undefined && !isSound(one.bytes, one === input.main),
  );
  if (damaged && exitCode === 0) problems.push('exit code 0 for a manifest that is not in order');
  if (exitCode === 1 && !told) problems.push('exit code 1, and no unit tells why');
  for (const one of [input.main, ...input.fragments]) {
    for (const name of one ? expectedNames(one) : []) {
      const unit = `${name}.service`;
      findings.count('services looked for');
      const dropIn = output.get(`${unit}.d/50-unit-secrets.conf`)?.toString('utf8');
      // one that is generated for another service is not kept down, to spare that one
      if (dropIn === undefined && output.has(unit)) continue;
      const problem = dropIn === undefined ? 'has no drop-in' : dropInProblem(name, dropIn, output, findings);
      if (problem !== undefined)
        problems.push(
          `${JSON.stringify(name)} ${problem}: ${JSON.stringify(one?.bytes.toString('utf8').slice(0, 1000))}`,
        );
    }
  }
  return problems;
}

/** Necessary for a file that is in order; far from enough. */
function isSound(bytes: Buffer, main: boolean): boolean {
  try {
    const value: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
    );
    const known = [
      '$schema',
      'version',
      'services',
      'sshKeys',
      ...(main ? ['provider', 'token', 'fetch'] : []),
    ];
    return (
      isObject(value) &&
      Object.keys(value).every((name) => known.includes(name)) &&
      (value['version'] === 1 || (!main && value['version'] === undefined)) &&
      [value['services'], value['sshKeys']].every(
        (one) => one === undefined || (isObject(one) && Object.values(one).every(isObject)),
      )
    );
  } catch {
    return false;
  }
}

/** Names of services, without `.service`, that must be fetched for or kept down. */
function expectedNames({ bytes, services, others }: ManifestCase): string[] {
  let names: readonly string[] = [];
  try {
    const value: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
    );
    if (isObject(value) && isObject(value['services'])) names = Object.keys(value['services']);
  } catch {
    // of what is not JSON, all that still stands there as it did
    const text = bytes.toString('utf8');
    names = services.filter((name) => ![...others, ...formatWords].includes(name) && seen(text, name));
  }
  return names.map((name) => name.replace(/\.service$/, '')).filter(isServiceName);
}

/** Members that hold an object: of a text that is not JSON nobody can tell whether they are names. */
const formatWords = [
  ...['provider', 'token', 'fetch', 'services', 'sshKeys', 'environment', 'credentials', 'files', 'configs'],
  'values',
];

function seen(text: string, name: string): boolean {
  const quoted = JSON.stringify(name).replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  return new RegExp(`(?<!\\\\)${quoted}[ \\t\\r\\n]*:[ \\t\\r\\n]*\\{`).test(text);
}

/** What systemd takes for the name of a service, and leaves room for a drop-in (the contract, section 2). */
function isServiceName(name: string): boolean {
  return (
    /^[A-Za-z0-9:_\\-][A-Za-z0-9:_.\\-]*(?:@[A-Za-z0-9:_.\\@-]*)?$/.test(name) &&
    name.length <= 245 &&
    !name.startsWith('unit-secrets') &&
    // a drop-in of "foo-" is one of all units that begin so
    !/^[^@]*-(?:@|$)/.test(name) &&
    !/\.(?:automount|device|mount|path|scope|slice|snapshot|socket|swap|target|timer)$/.test(name)
  );
}

/** Why a drop-in would let its service start without its secrets. */
function dropInProblem(name: string, dropIn: string, output: Output, findings: Findings): string | undefined {
  const at = name.indexOf('@');
  const secrets = `${at < 0 ? `${name}-secrets` : `${name.slice(0, at)}-secrets${name.slice(at)}`}.service`;
  if (/^ExecStartPre=.* fetch --inline /m.test(dropIn)) {
    findings.count('services that fetch themselves');
    return dropIn.includes('\nLoadCredential=1password-token:')
      ? undefined
      : 'fetches inline without the token';
  }
  const assertion = /^AssertPathExists=(.*)$/m.exec(dropIn)?.[1];
  if (assertion === undefined) return 'has a drop-in without an assertion';
  const refused = assertion === '!/';
  findings.count(refused ? 'services kept down' : 'services fetched for');
  // a name that leaves no room for units beside it, a template, or a name that others may need
  if (refused && !output.has(secrets))
    return name.length > 239 || /@$|-(?:config|secrets)(?:@|$)/.test(name)
      ? undefined
      : `is kept down without ${secrets}`;
  const unit = output.get(secrets)?.toString('utf8');
  if (unit === undefined) return `is fetched for without ${secrets}`;
  for (const setting of ['Requires', 'After'])
    if (!new RegExp(`^${setting}=(?:.* )?${secrets.replace(/[.\\]/g, '\\$&')}(?: |$)`, 'm').test(dropIn))
      return `has a drop-in without ${setting}=${secrets}`;
  if (refused !== unit.includes('\nError="')) return `and ${secrets} do not agree on whether it is kept down`;
  return undefined;
}
