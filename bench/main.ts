/**
 * All benchmarks, one after the other, with what they ran on. Figures in one table come from one run in turns:
 * trust their ratios, the rest is this machine's.
 *
 *     npx node bench/main.ts [--write] [NAME...]
 *
 * --write puts the result into docs/benchmarks.md as well.
 */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundlerVersion } from '../scripts/lib/bun.ts';
import { commitOf } from '../scripts/lib/commit.ts';

const repository = join(import.meta.dirname, '..');
const document = join(repository, 'docs/benchmarks.md');

interface Part {
  readonly title: string;
  readonly args?: readonly string[];
}

/** Where scripts/bench has unpacked other generators. */
const others = process.env['UNIT_SECRETS_BENCH_OTHERS'];

/** By the name of their file. */
const parts: Readonly<Record<string, Part>> = {
  generator: { title: 'The generator, beside those of Debian', args: others ? ['--others', others] : [] },
  boot: { title: 'Services that start together, and daemon-reload, in a container' },
  fetch: { title: 'Fetching, beside the ways in which it is commonly done', args: ['--quick'] },
  render: { title: 'Rendering' },
  check: { title: 'check' },
  envsubst: { title: 'Rendering of adversarial values, beside envsubst' },
  quota: { title: 'What two weeks of refreshes cost' },
};

const { values, positionals } = parseArgs({
  options: { write: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !(name in parts));
if (unknown.length > 0 || (values.write && positionals.length > 0)) {
  console.error(
    unknown.length > 0
      ? `bench: no part ${unknown.join(', ')}: there are ${Object.keys(parts).join(', ')}`
      : 'bench: --write needs all parts',
  );
  process.exit(64);
}

const text = [`${header()}\n`];
process.stdout.write(text[0] ?? '');
let failed = false;
for (const [name, part] of Object.entries(parts)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const args = [`bench/${name}.ts`, ...(part.args ?? [])];
  const heading = `\n## ${part.title}\n\n\`scripts/bench ${name}\`\n\n\`\`\`text\n`;
  process.stdout.write(heading);
  const { output, exitCode } = await run(args);
  process.stdout.write('```\n');
  text.push(`${heading}${output.trimEnd()}\n\`\`\`\n`);
  if (exitCode !== 0) {
    console.error(`bench: ${name} ended with exit code ${exitCode}`);
    failed = true;
  }
}
if (failed) process.exitCode = 1;
else if (values.write) writeFileSync(document, text.join(''));

function header(): string {
  const [cpu] = cpus();
  const system = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown';
  const systemd = execFileSync('systemctl', ['--version'], { encoding: 'utf8' }).split('\n', 1)[0];
  return `# Benchmarks

The output of \`scripts/bench --write\`. Figures of one table come from one run, in turns: the ratios say something,
seconds and megabytes are this machine's.

- ${new Date().toISOString().slice(0, 10)}, commit ${commitOf(repository)}
- ${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}
- ${system}, ${systemd}, Bun ${bundlerVersion(repository)}, Node.js ${process.version}`;
}

/** Shows the output as it comes. */
function run(
  args: readonly string[],
): Promise<{ readonly output: string; readonly exitCode: number | null }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: repository, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (chunk: string) => {
      output += chunk;
      process.stdout.write(chunk);
    });
    child.once('close', (exitCode) => resolve({ output, exitCode }));
  });
}
