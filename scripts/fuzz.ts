/**
 * Fuzzing, all kinds or one (docs/reliability.md): prints a line for each as it ends, a table, and each finding
 * with the seed and the number of its case. Ends with 1 if there is any.
 *
 *     node scripts/fuzz.ts [--seed N] [--count N] [--minutes N] [--only KIND]…
 *
 * --seed    the same seed gives the same cases; the day's date by default
 * --count   how many cases; each kind has its own number by default
 * --minutes how long a kind may take at most; what was tried until then is counted
 * --only    may be given several times
 */
import { parseArgs } from 'node:util';
import { fuzzAge } from '../test/fuzz/age.ts';
import { fuzzAnswers } from '../test/fuzz/answers.ts';
import { fuzzEnvironment } from '../test/fuzz/environment.ts';
import { fuzzManifests } from '../test/fuzz/manifests.ts';
import { fuzzReferences } from '../test/fuzz/references.ts';
import type { FuzzOptions, Report } from '../test/fuzz/report.ts';
import { fuzzTemplates } from '../test/fuzz/templates.ts';
import { fuzzUnits } from '../test/fuzz/units.ts';
import { UnitSample } from '../test/fuzz/verify.ts';

interface Kind {
  readonly count: number;
  readonly run: (options: FuzzOptions) => Report | Promise<Report>;
}

const kinds: Readonly<Record<string, Kind>> = {
  references: { count: 500_000, run: fuzzReferences },
  templates: { count: 100_000, run: fuzzTemplates },
  units: { count: 20_000, run: fuzzUnits },
  environment: { count: 12_000, run: fuzzEnvironment },
  age: { count: 5_000, run: fuzzAge },
  answers: { count: 200, run: fuzzAnswers },
  manifests: { count: 100_000, run: fuzzAndVerifyManifests },
};

/** How many services with their units `systemd-analyze verify` judges. */
const verifiedServices = 3000;

process.exitCode = await main();

async function fuzzAndVerifyManifests(options: FuzzOptions): Promise<Report> {
  const sample = new UnitSample(verifiedServices);
  const report = await fuzzManifests({ ...options, lanes: 6, onOutput: (output) => sample.add(output) });
  const counts: Record<string, number> = { ...report.counts };
  const findings = [...report.findings];
  for (const suite of ['bookworm', 'trixie'] as const) {
    const complaints = await sample.verify(suite);
    counts[`services verified by systemd of ${suite}`] = sample.services;
    counts[`units verified by systemd of ${suite}`] = sample.units;
    findings.push(
      ...complaints
        .slice(0, 20)
        .map((line) => `manifests --seed ${options.seed}, verify on ${suite}: ${line}`),
    );
  }
  return { ...report, counts, findings };
}

async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === 'string') {
    console.error(`fuzz: ${options}`);
    return 64;
  }
  const reports: { readonly report: Report; readonly seconds: number }[] = [];
  for (const name of options.only) {
    const kind = kinds[name];
    if (!kind) continue;
    const begin = performance.now();
    const { seed, minutes } = options;
    const report = await kind.run({
      seed,
      count: options.count ?? kind.count,
      ...(minutes === undefined ? {} : { until: begin + minutes * 60_000 }),
    });
    const seconds = (performance.now() - begin) / 1000;
    reports.push({ report, seconds });
    console.log(`${name}: ${seconds.toFixed(0)} s, ${report.findings.length} findings`);
  }
  console.log(`\nseed ${options.seed}\n`);
  for (const { report } of reports) {
    for (const [what, count] of Object.entries(report.counts))
      console.log(`${report.kind.padEnd(12)} ${what.padEnd(50)} ${count.toLocaleString('en').padStart(12)}`);
    console.log(
      `${report.kind.padEnd(12)} ${'findings'.padEnd(50)} ${String(report.findings.length).padStart(12)}`,
    );
  }
  const findings = reports.flatMap(({ report }) => report.findings);
  for (const finding of findings) console.log(`\n${finding}`);
  return findings.length > 0 ? 1 : 0;
}

function readOptions():
  | {
      readonly seed: number;
      readonly count: number | undefined;
      readonly minutes: number | undefined;
      readonly only: readonly string[];
    }
  | string {
  let values: { seed?: string; count?: string; minutes?: string; only?: string[] };
  try {
    ({ values } = parseArgs({
      options: {
        seed: { type: 'string' },
        count: { type: 'string' },
        minutes: { type: 'string' },
        only: { type: 'string', multiple: true },
      },
    }));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const only = values.only ?? Object.keys(kinds);
  const unknown = only.find((name) => !Object.hasOwn(kinds, name));
  if (unknown !== undefined) return `--only knows ${Object.keys(kinds).join(', ')}, not ${unknown}`;
  const today = Number(new Date().toISOString().slice(0, 10).replaceAll('-', ''));
  const number = (text: string): number | undefined => (/^[0-9]{1,9}$/.test(text) ? Number(text) : undefined);
  const seed = values.seed === undefined ? today : number(values.seed);
  if (seed === undefined) return '--seed is a number';
  const count = values.count === undefined ? undefined : number(values.count);
  if (values.count !== undefined && (count === undefined || count === 0)) return '--count is a number from 1';
  const minutes = values.minutes === undefined ? undefined : number(values.minutes);
  if (values.minutes !== undefined && !minutes) return '--minutes is a number from 1';
  return { seed, count, minutes, only };
}
