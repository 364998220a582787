/**
 * Damaged age files: each opens to what was sealed, or ends with a clear error, soon and in little memory; and
 * what opens here opens with the real `age`, and the other way round. In this process, a sample with `age`.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FailureError } from '../../src/domain/failure.ts';
import { openAgeFile } from '../../src/effects/age-open.ts';
import { type AgeKey, makeAgeKey, sealWith } from './age-files.ts';
import { mutateBytes, Random } from './random.ts';
import { Findings, type FuzzOptions, hasTime, type Report } from './report.ts';

/** The longest that one may take, in milliseconds, on a busy machine. */
const patience = 5_000;
/** The most memory that all may take on top, in bytes: each file is opened by itself. */
const mostMemory = 600 * 1024 * 1024;
/** Of so many the real `age` judges one. */
const judgeEvery = 10;
/** FailureError by exit code: damaged or foreign, missing, not a recipient, unusable key. */
const expectedCodes: readonly number[] = [65, 66, 77, 78];

interface Base {
  readonly name: string;
  readonly bytes: Buffer;
  readonly plain: Buffer;
}

export async function fuzzAge(options: FuzzOptions): Promise<Report> {
  const { seed, count } = options;
  const findings = new Findings('age');
  const directory = mkdtempSync(join(tmpdir(), 'unit-secrets-fuzz-'));
  try {
    const keys = { age: makeAgeKey('age'), ed25519: makeAgeKey('ed25519'), rsa: makeAgeKey('rsa') };
    const identities = Object.entries(keys).map(([name, { identity }]) => {
      const path = join(directory, name);
      writeFileSync(path, identity, { mode: 0o600 });
      return path;
    });
    const bases = basesFor(Object.values(keys));
    const others = bases.filter(({ bytes }) => bytes.length < 10_000).map(({ bytes }) => bytes);
    const path = join(directory, 'file.age');
    const memory = process.memoryUsage().rss;
    for (let index = 0; index < count && hasTime(options); index++) {
      const random = new Random('age', seed, index);
      const where = `age --seed ${seed}, case ${index}`;
      const base = random.chance(0.03) ? bomb(random) : random.pick(bases);
      const damaged = index % 50 === 0 ? base.bytes : damage(random, base.bytes, others);
      writeFileSync(path, damaged);
      const begin = performance.now();
      const own = await open(path, identities, where, findings);
      const took = performance.now() - begin;
      if (took > patience) findings.add(where, `${base.name} took ${Math.round(took)} ms`);
      findings.count(own === undefined ? 'refused' : 'opened');
      // a plaintext is authenticated: what opens is what was sealed in one of the files
      if (own !== undefined && !bases.some(({ plain }) => plain.equals(own)))
        findings.add(where, `${base.name} opens to something else`);
      if (index % 50 === 0 && base.name !== 'bomb' && base.name !== 'foreign' && !own?.equals(base.plain))
        findings.add(where, `${base.name} does not open as it was sealed`);
      if (index % judgeEvery !== 0) continue;
      const theirs = await openWithAge(path, identities);
      findings.count('judged by age');
      if ((own === undefined) !== (theirs === undefined) || (own && theirs && !theirs.equals(own)))
        findings.add(
          where,
          `${base.name} ${own ? 'opens' : 'is refused'} here and ${theirs ? 'opens' : 'is refused'} with age: ${damaged.toString('base64').slice(0, 1500)}`,
        );
    }
    const more = process.memoryUsage().rss - memory;
    if (more > mostMemory) findings.add(`age --seed ${seed}`, `took ${Math.round(more / 2 ** 20)} MiB`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return findings.report();
}

function basesFor(keys: readonly AgeKey[]): Base[] {
  const plains = [
    Buffer.from('ops_token\n'),
    Buffer.alloc(0),
    Buffer.alloc(65_536, 'x'),
    randomBytes(70_000),
  ];
  const sets = [...keys.map((key) => [key]), keys];
  const bases = plains.flatMap((plain) =>
    sets.flatMap((set) =>
      [[], ['-a']].map((options) => ({
        name: `${set.length} recipients, ${plain.length} bytes`,
        plain,
        bytes: sealWith(plain, set, options),
      })),
    ),
  );
  return [
    ...bases,
    { name: 'foreign', plain: Buffer.from('x'), bytes: sealWith('x', [makeAgeKey('age')], []) },
  ];
}

/** Headers that ask for much: work factors of passphrases, lines and stanzas without end. */
function bomb(random: Random): Base {
  const version = 'age-encryption.org/v1\n';
  const body = `${'A'.repeat(43)}\n`;
  const text = random.pick([
    () => `-> scrypt ${'A'.repeat(22)} ${random.pick([1, 22, 30, 63, 1000, 1e9, '01', '-1'])}\n${body}`,
    () => `-> X25519 ${'A'.repeat(43)}\n${body}`.repeat(random.pick([1, 1000, 20_000])),
    () => `-> ${'x '.repeat(random.pick([10, 100_000]))}y\n${body}`,
    () => `-> x\n${`${'A'.repeat(64)}\n`.repeat(random.pick([10, 30_000]))}\n`,
    () => `-> ssh-rsa ${'A'.repeat(6)}\n${body}`.repeat(random.pick([1, 5000])),
    () => '-> '.repeat(300_000),
    () => '\n'.repeat(1_000_000),
  ])();
  const whole = random.chance(0.5) ? `${version}${text}--- ${'A'.repeat(43)}\n` : version + text;
  const bytes = Buffer.concat([Buffer.from(whole), random.bytes(random.pick([0, 16, 100]))]);
  const armored = `-----BEGIN AGE ENCRYPTED FILE-----\n${bytes.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END AGE ENCRYPTED FILE-----\n`;
  return { name: 'bomb', plain: Buffer.alloc(0), bytes: random.chance(0.2) ? Buffer.from(armored) : bytes };
}

function damage(random: Random, bytes: Buffer, others: readonly Buffer[]): Buffer {
  if (random.chance(0.05)) return Buffer.from(bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1');
  if (random.chance(0.1)) {
    // a line of the header or of the armor twice, away, or elsewhere
    const lines = bytes.toString('latin1').split('\n');
    const at = random.below(Math.min(lines.length, 12));
    const [line = ''] = lines.splice(at, random.below(2));
    lines.splice(random.below(Math.min(lines.length, 12)), 0, ...(random.chance(0.7) ? [line] : []));
    return Buffer.from(lines.join('\n'), 'latin1');
  }
  // mostly near the beginning, where there is more to get wrong
  const head = Math.min(bytes.length, random.pick([200, 600, bytes.length]));
  return Buffer.concat([mutateBytes(random, bytes.subarray(0, head), others), bytes.subarray(head)]);
}

async function open(
  path: string,
  identities: readonly string[],
  where: string,
  findings: Findings,
): Promise<Buffer | undefined> {
  try {
    return Buffer.from((await openAgeFile({ path, identities, purpose: 'token' })).plaintext);
  } catch (error) {
    if (!(error instanceof FailureError))
      findings.add(where, `throws ${error instanceof Error ? error.stack : String(error)}`);
    else {
      const { exitCode, message, hint = '' } = error.failure;
      if (!expectedCodes.includes(exitCode)) findings.add(where, `ends with ${exitCode}: ${message}`);
      if (/[^\x20-\x7e]/.test(message + hint) || message.length > 2000)
        findings.add(where, `message: ${JSON.stringify(message.slice(0, 500))}`);
      findings.count(`exit code ${exitCode}`);
    }
    return undefined;
  }
}

function openWithAge(path: string, identities: readonly string[]): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    execFile(
      'age',
      ['-d', ...identities.flatMap((identity) => ['-i', identity]), path],
      { encoding: 'buffer', maxBuffer: 1 << 28, timeout: 60_000 },
      (error, stdout) => resolve(error ? undefined : stdout),
    );
  });
}
