/**
 * `check` on a manifest of a thousand services with as many templates, as a whole process; beside it the
 * same program doing nothing (`--version`) and Python reading the manifest, in turns. Prints medians and ratios.
 *
 *     npx node bench/check.ts
 *
 * Fails if `check` takes more than a second.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary } from '../test/build/binary.ts';

const count = 1000;
const rounds = 9;
const limit = 1000;
const program = await binary();
const directory = mkdtempSync('/dev/shm/unit-secrets-bench-');

try {
  mkdirSync(join(directory, 'templates'));
  const services = Object.fromEntries(
    Array.from({ length: count }, (_, index) => {
      writeFileSync(
        join(directory, `templates/${index}.yaml`),
        `key: \${TOKEN}\nurl: {{ op://Home/App ${index}/url }}\n`,
      );
      const template = `/etc/unit-secrets/templates/${index}.yaml`;
      const environment = { TOKEN: `op://Home/App ${index}/token` };
      return [`service-${index}`, { environment, configs: { 'config.yaml': { template } } }];
    }),
  );
  const manifest = join(directory, 'manifest.json');
  writeFileSync(manifest, JSON.stringify({ version: 1, services }, undefined, 2));

  const commands: Readonly<Record<string, readonly [string, ...string[]]>> = {
    'check of 1,000 services and templates': [program, 'check', manifest],
    'nothing (--version)': [program, '--version'],
    'Python reading the manifest': [
      'python3',
      '-c',
      `import json; json.load(open(${JSON.stringify(manifest)}))`,
    ],
  };
  const times = new Map(Object.keys(commands).map((name) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, [command, ...args]] of Object.entries(commands)) {
      const before = performance.now();
      execFileSync(command, args, { stdio: 'ignore' });
      times.get(name)?.push(performance.now() - before);
    }
  }
  const medians = [...times].map(
    ([name, all]) => [name, all.sort((a, b) => a - b)[rounds >> 1] ?? 0] as const,
  );
  const [, slowest = 0] = medians[0] ?? [];
  for (const [name, time] of medians)
    console.log(`${name.padEnd(40)} ${time.toFixed(0).padStart(5)} ms  ratio ${(slowest / time).toFixed(1)}`);
  if (slowest > limit) {
    console.error(`bench: check took more than ${limit} ms`);
    process.exitCode = 1;
  }
} finally {
  rmSync(directory, { recursive: true });
}
