/**
 * Units as fetch mode reads them back: what the generator writes is what fetch reads, and of a unit that was
 * damaged nothing is written outside of the service's directories. In this process, and a sample through the
 * built program.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { FailureError } from '../../src/domain/failure.ts';
import type { Json } from '../../src/domain/json-text.ts';
import { readManifest } from '../../src/domain/manifest-reader.ts';
import { readXSecrets } from '../../src/effects/ini.ts';
import { shortHash } from '../../src/effects/short-hash.ts';
import { fetchSecrets, type SecretSet } from '../../src/fetch/fetch.ts';
import { readPlan } from '../../src/fetch/read-plan.ts';
import { planUnits } from '../../src/unit/plan-units.ts';
import { binary } from '../build/binary.ts';
import { parseEnvironmentFile } from '../support/environment-file.ts';
import { makeAgeKey, sealForKey } from './age-files.ts';
import { isObject, manifestCase } from './manifest-cases.ts';
import { mutateBytes, Random, trouble } from './random.ts';
import { Findings, type FuzzOptions, hasTime, type Report } from './report.ts';

const secret = 'n0t-4-r34l-s3cr3t';
/** Of so many damaged units one goes through the program. */
const programEvery = 100;

interface Unit {
  readonly service: string;
  readonly path: string;
  readonly text: string;
}

export async function fuzzUnits(options: FuzzOptions): Promise<Report> {
  const { seed, count } = options;
  const findings = new Findings('units');
  const units: Unit[] = [];
  const rounds = Math.max(50, count);
  for (let index = 0; index < rounds; index++) {
    const random = new Random('round trip', seed, index);
    const where = `units --seed ${seed}, round trip ${index}`;
    try {
      for (const unit of roundTrip(random, where, findings)) if (units.length < 500) units.push(unit);
    } catch (error) {
      findings.add(where, `throws ${String(error)}`);
    }
  }
  const texts = units.map(({ text }) => Buffer.from(text));
  const world = new ProgramWorld(await binary());
  try {
    for (let index = 0; index < count && hasTime(options); index++) {
      const random = new Random('damaged unit', seed, index);
      const where = `units --seed ${seed}, case ${index}`;
      const unit = random.pick(units);
      const text = damage(random, unit.text, texts);
      await readDamaged(text, where, findings);
      if (index % programEvery === 0) await world.fetch(unit, text, where, findings);
    }
  } finally {
    world.remove();
  }
  return findings.report();
}

/** Compares what fetch reads of generated units with what the manifest says; gives the units. */
function roundTrip(random: Random, where: string, findings: Findings): Unit[] {
  let raw: unknown;
  try {
    raw = JSON.parse(manifestCase(random, true).bytes.toString('utf8'));
  } catch {
    return [];
  }
  const manifest = readManifest(
    { file: '/etc/unit-secrets/manifest.json', value: raw as Json, locate: () => undefined },
    [],
  );
  if (manifest.general.length > 0 || !isObject(raw)) return [];
  findings.count('manifests there and back');
  const { files } = planUnits(
    { manifest, visibleNames: [], secretsDirectories: [], configDirectories: [], listed: [] },
    { executable: '/usr/bin/unit-secrets', memory: 'ramfs', privateUsers: true },
    shortHash,
  );
  const units: Unit[] = [];
  const entries = isObject(raw['services']) ? raw['services'] : {};
  for (const { name, inline } of manifest.services) {
    const path = inline ? `${name.name}.service.d/50-unit-secrets.conf` : `${companion(name.name)}.service`;
    const text = files.find((file) => file.path === path)?.content ?? '';
    const settings = readXSecrets(text);
    const entry = entries[name.name] ?? entries[`${name.name}.service`];
    if (!settings || !isObject(entry)) {
      findings.add(where, `${path} cannot be read back`);
      continue;
    }
    findings.count('services there and back');
    const found = JSON.stringify(summaryOfPlan(settings));
    const expected = JSON.stringify(summaryOfEntry(`${name.name}.service`, entry));
    if (found !== expected) findings.add(where, `${path} is read as ${found}, the manifest says ${expected}`);
    units.push({ service: name.name, path, text });
  }
  return units;
}

const companion = (name: string): string => name.replace(/(?=@)|$/, '-secrets');

function summaryOfPlan(settings: ReadonlyMap<string, readonly string[]>): unknown {
  const { service, environment, credentials, files, configs, grouped, runtimeDirectory } =
    readPlan(settings).fetch;
  return {
    service,
    environment,
    credentials,
    files: files.map(({ name, value, mode }) => [name, value, mode]),
    configs: configs.map(({ name, template, mode, values }) => [name, template, mode, values]),
    grouped,
    runtimeDirectory,
  };
}

/** The same from JSON, with no code of the program. */
function summaryOfEntry(service: string, entry: Record<string, unknown>): unknown {
  const members = (name: string, of: Record<string, unknown> = entry): [string, unknown][] =>
    Object.entries(isObject(of[name]) ? of[name] : {});
  const grouped = entry['group'] !== undefined;
  const mode = (value: unknown, fallback: number): number =>
    typeof value === 'string' ? Number.parseInt(value, 8) : fallback;
  return {
    service,
    environment: members('environment'),
    credentials: members('credentials'),
    files: members('files').map(([name, file]) =>
      isObject(file)
        ? [name, file['value'], mode(file['mode'], grouped ? 0o440 : 0o400)]
        : [name, file, grouped ? 0o440 : 0o400],
    ),
    configs: members('configs').map(([name, config]) =>
      isObject(config)
        ? [name, config['template'], mode(config['mode'], 0o640), members('values', config)]
        : [],
    ),
    grouped,
    runtimeDirectory: entry['runtimeDirectory'],
  };
}

/** Damages bytes, or a setting of [X-Secrets] so that it still is one. */
function damage(random: Random, text: string, others: readonly Buffer[]): string {
  if (random.chance(0.5)) return mutateBytes(random, Buffer.from(text), others).toString('utf8');
  const start = text.lastIndexOf('\n[X-Secrets]\n') + '\n[X-Secrets]\n'.length;
  const lines = text.slice(start).split('\n');
  const at = random.below(lines.length);
  const names = ['Service', 'Provider', 'Vault', 'Identity', 'Tries', 'Timeout', 'Group', 'RuntimeDirectory'];
  const all = [
    ...names,
    'Environment',
    'Credential',
    'File',
    'FileCredential',
    'Config',
    'ConfigCredential',
    'ConfigValue',
    'Error',
    '__proto__',
    'constructor',
    'a[]',
    '[]',
  ];
  const value = random.pick([
    ...[
      '../x=y',
      '../../../etc/passwd=x',
      'a/b=c',
      '0400 ../x=y',
      '4777 a=b',
      '0400 /a=b',
      '0640 text ../c=/t',
      '..',
    ],
    ...[
      '/etc',
      'A=op://v/i/f',
      'A B=x',
      '=x',
      '0',
      '-1',
      '1e9',
      '1password',
      'age-vault',
      '0640 yaml c=/../t',
      'x',
    ],
    ...[
      'systemd',
      '0400 k=op://v/i/f',
      'a=b\u0000c',
      'A=b\u0000c',
      '0640 text c=/t',
      'c A=b',
      '/a/../b',
      random.pick(trouble),
    ],
  ]);
  const line = `${random.pick(all)}=${random.chance(0.9) ? JSON.stringify(value) : value}`;
  if (random.chance(0.5)) lines.splice(at, 0, line);
  else lines[at] = line;
  return text.slice(0, start) + lines.join('\n');
}

/** What a damaged unit comes to in this process. */
async function readDamaged(text: string, where: string, findings: Findings): Promise<void> {
  const sets: SecretSet[] = [];
  try {
    const settings = readXSecrets(text);
    if (settings === undefined) {
      findings.count('damaged units without a section');
      return;
    }
    const plan = readPlan(settings);
    const directory = plan.fetch.runtimeDirectory;
    if (directory !== undefined && !/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(directory))
      findings.add(where, `runtime directory ${JSON.stringify(directory)}`);
    if (plan.provider.type === 'age-vault')
      for (const path of [plan.provider.path, ...plan.provider.identities]) checkPath(path, where, findings);
    await fetchSecrets(plan.fetch, {
      obtain: async (references) => new Map(references.map((reference) => [reference, secret])),
      readTemplate: (path) => {
        checkPath(path, where, findings);
        return 'a: 1\n';
      },
      write: (set) => sets.push(set),
    });
  } catch (error) {
    if (
      error instanceof FailureError &&
      ([exitCodes.dataError, exitCodes.configuration] as number[]).includes(error.failure.exitCode)
    )
      findings.count('damaged units refused');
    else findings.add(where, `throws ${error instanceof Error ? error.stack : String(error)}`);
    return;
  }
  findings.count('damaged units that can be read');
  for (const { environment, credentials, files } of sets) {
    const names = [...credentials.map(([id]) => id), ...files.map(({ name }) => name)];
    for (const name of names)
      if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name))
        findings.add(where, `would write ${JSON.stringify(name)}`);
    for (const { mode } of files) if ((mode & ~0o640) !== 0) findings.add(where, `mode ${mode.toString(8)}`);
    if (environment !== undefined && !parseEnvironmentFile(environment))
      findings.add(where, 'an environment file that systemd refuses');
  }
}

function checkPath(path: string, where: string, findings: Findings): void {
  if (!path.startsWith('/') || path.split('/').includes('..') || path.includes('\0'))
    findings.add(where, `reads ${JSON.stringify(path)}`);
}

/** Directories in which the program fetches from an age vault. */
class ProgramWorld {
  readonly #root = mkdtempSync(join(tmpdir(), 'unit-secrets-fuzz-'));
  readonly #program: string;

  constructor(program: string) {
    this.#program = program;
    const key = makeAgeKey();
    this.#write('etc/ssh/ssh_host_ed25519_key', key.identity);
    this.#write('etc/unit-secrets/vault.age', sealForKey(JSON.stringify({ v: { i: { f: secret } } }), key));
  }

  async fetch({ service, path }: Unit, text: string, where: string, findings: Findings): Promise<void> {
    if (path.includes('/')) return;
    for (const directory of ['run', 'var'])
      rmSync(join(this.#root, directory), { recursive: true, force: true });
    const vaulted = text.replace(
      /^Provider=.*$/m,
      'Provider="age-vault"\nVault="/etc/unit-secrets/vault.age"\nIdentity="/etc/ssh/ssh_host_ed25519_key"',
    );
    const own = `run/unit-secrets/secrets/${service.replaceAll(':', ',').replaceAll('\\', '+')}`;
    const runtime = /^RuntimeDirectory="(.*)"$/m.exec(text)?.[1];
    this.#write(
      `run/systemd/generator/${path}`,
      vaulted.replace(/^Tries=.*$/m, 'Tries="1"').replace(/^Timeout=.*$/m, 'Timeout="5"'),
    );
    mkdirSync(join(this.#root, own), { recursive: true });
    mkdirSync(join(this.#root, 'run/unit-secrets/queue'), { recursive: true });
    if (runtime !== undefined && /^[a-z0-9]+$/.test(runtime))
      mkdirSync(join(this.#root, 'run', runtime), { recursive: true });
    const before = this.#files();
    const { exitCode, output } = await this.#run(service);
    findings.count('damaged units through the program');
    if (![0, 64, 65, 66, 69, 73, 74, 75, 77, 78].includes(exitCode))
      findings.add(where, `fetch ends with ${exitCode}: ${output}`);
    if (output.includes(secret)) findings.add(where, `the secret is in the output: ${output}`);
    const allowed = [
      `${own}/`,
      'run/unit-secrets/queue/',
      ...(runtime === undefined ? [] : [`run/${runtime}/`]),
    ];
    for (const file of this.#files())
      if (!before.includes(file) && !allowed.some((prefix) => `${file}/`.startsWith(prefix)))
        findings.add(where, `fetch wrote ${JSON.stringify(file)}`);
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  #write(path: string, content: string | Uint8Array): void {
    mkdirSync(join(this.#root, path, '..'), { recursive: true });
    writeFileSync(join(this.#root, path), content, { mode: 0o600 });
  }

  #files(): string[] {
    return readdirSync(this.#root, { recursive: true }).map(String);
  }

  #run(service: string): Promise<{ exitCode: number; output: string }> {
    const child = spawn(this.#program, ['fetch', service, '--root', this.#root], {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 90_000,
      killSignal: 'SIGKILL',
    });
    const chunks: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    return new Promise((resolve) =>
      child.once('close', (code) =>
        resolve({ exitCode: code ?? -1, output: Buffer.concat(chunks).toString('utf8') }),
      ),
    );
  }
}
