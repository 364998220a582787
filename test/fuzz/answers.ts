/**
 * Damaged answers of the provider, through the built program with the unmodified SDK: bytes as they are sent, and
 * JSON before it is encrypted. Each fetch ends in its time with a code that says what to do, and tells no secret.
 */
import { readdirSync } from 'node:fs';
import { requestNames } from '../emulator/requests.ts';
import { parseEnvironmentFile } from '../support/environment-file.ts';
import { FetchMachine } from '../support/fetch-machine.ts';
import { mutateBytes, oddText, Random } from './random.ts';
import { Findings, type FuzzOptions, hasTime, type Report } from './report.ts';

const secret = 'n0t-4-r34l-s3cr3t';
const data = {
  vaults: {
    Homelab: { items: { App: { fields: { password: secret, other: 'x' } }, Web: { fields: { key: 'y' } } } },
  },
};
/** What a fetch may take by the manifest, and on a busy machine beyond, in seconds. */
const timeout = 20;
const grace = 60;

const targets = [
  ...requestNames.filter((name) => !['device', 'vault', 'item', 'file', 'unknown'].includes(name)),
  'an overview',
  'details',
];

export async function fuzzAnswers(options: FuzzOptions): Promise<Report> {
  const { seed, count } = options;
  const findings = new Findings('answers');
  const machine = await FetchMachine.start(data);
  try {
    await machine.load(
      { app: { PASSWORD: 'op://Homelab/App/password' } },
      { tries: 1, timeout: `${timeout}s` },
    );
    for (let index = 0; index < count && hasTime(options); index++) {
      const random = new Random('answer', seed, index);
      const target = targets[index % targets.length] ?? '';
      const where = `answers --seed ${seed}, case ${index} (${target})`;
      const inner = ['an overview', 'details'].includes(target) || random.chance(0.6);
      machine.emulator.tamper({
        plain: (name, value) => (inner && name === target ? changed(random, value) : value),
        sent: (name, body) =>
          !inner && name === target ? mutateBytes(random, body, [Buffer.from('{"a":[null]}')]) : body,
      });
      machine.forget();
      machine.wipe('app');
      const { exitCode, stderr, milliseconds } = await machine.fetch('app');
      findings.count(`exit code ${exitCode}`);
      if (![0, 65, 69, 75, 77, 78].includes(exitCode ?? -1))
        findings.add(where, `exit code ${exitCode}: ${stderr}`);
      if (milliseconds > (timeout + grace) * 1000) findings.add(where, `took ${Math.round(milliseconds)} ms`);
      if (stderr.includes(secret) || stderr.includes('ops_'))
        findings.add(where, `a secret is in the output: ${stderr}`);
      if (/\bat .*:\d+|panicked|RuntimeError/.test(stderr))
        findings.add(where, `a trace is in the output: ${stderr}`);
      const written = machine.environmentOf('app');
      if (exitCode === 0 && !parseEnvironmentFile(written ?? '')?.has('PASSWORD'))
        findings.add(where, 'succeeds without its file');
      if (exitCode !== 0 && readdirSync(machine.directoryOf('app')).length > 0)
        findings.add(where, 'fails and leaves files');
      if (machine.leftovers().length > 0) findings.add(where, `leaves ${machine.leftovers().join()}`);
    }
  } finally {
    machine.emulator.tamper();
    await machine.stop();
  }
  return findings.report();
}

/** JSON with something else in one place, or bytes that are no JSON any more. */
function changed(random: Random, value: unknown): unknown {
  if (random.chance(0.2)) return mutateBytes(random, Buffer.from(JSON.stringify(value)), []);
  const copy: unknown = structuredClone(value);
  if (typeof copy !== 'object' || copy === null) return odd(random);
  let node = copy as Record<string, unknown>;
  for (;;) {
    const names = Object.keys(node);
    if (names.length === 0) return copy;
    const name = random.pick(names);
    const next = node[name];
    if (typeof next === 'object' && next !== null && random.chance(0.8))
      node = next as Record<string, unknown>;
    else {
      if (random.chance(0.2)) delete node[name];
      else if (random.chance(0.1))
        node[random.pick(['__proto__x', 'constructor', name.toUpperCase()])] = next;
      else
        node[name] =
          typeof next === 'string' && random.chance(0.4)
            ? mutateBytes(random, Buffer.from(next), []).toString('utf8')
            : odd(random);
      return copy;
    }
  }
}

function odd(random: Random): unknown {
  return random.pick<() => unknown>([
    () => null,
    () => [],
    () => ({}),
    () => -1,
    () => 1e308,
    () => true,
    () => '',
    () => oddText(random),
    () => 'x'.repeat(random.pick([1000, 2_000_000])),
    () => [[[[{ a: null }]]]],
  ])();
}
