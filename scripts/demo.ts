/**
 * The main job, to watch: a machine boots with the manifest of examples/quick-start, a service gets its
 * secrets, proves it, is stopped, and nothing is left. Touches nothing here but the cache of root file
 * systems.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Container } from '../test/container/container.ts';
import {
  hostKeyPath,
  makeHostKey,
  manifestPath,
  seal,
  vaultPath,
  waitUntilGone,
} from '../test/systemd/machine.ts';

const repository = join(import.meta.dirname, '..');
const example = (name: string): string =>
  readFileSync(join(repository, 'examples/quick-start', name), 'utf8');
const colours = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const paint = (code: number, text: string): string => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);

function say(text: string): void {
  console.log(`\n${paint(1, `== ${text}`)}\n`);
}

/** Shows a command and what it says, as if typed on the machine. */
async function show(machine: Container, command: string): Promise<string> {
  console.log(paint(36, `demo# ${command}`));
  const { stdout, stderr } = await machine.exec(command, { check: false });
  const output = (stdout + stderr).trimEnd();
  if (output !== '') console.log(output);
  console.log();
  return output;
}

function fail(text: string): never {
  console.error(`demo: ${text}`);
  process.exit(1);
}

const key = makeHostKey();
const vault = JSON.parse(example('vault.json')) as {
  Demo: { Hello: { 'api-key': string; database: { password: string } } };
};
const { 'api-key': apiKey, database } = vault.Demo.Hello;
const databaseUrl = `postgresql://hello:${database.password}@127.0.0.1/hello`;

say('booting Debian 12 in a container (the first time, its root file system is built: about a minute)');
const started = performance.now();
await using machine = await Container.boot({
  name: 'demo',
  files: {
    [hostKeyPath]: { content: key.privateKey, mode: 0o600 },
    [manifestPath]: example('manifest.json'),
    // sealed with age for this machine's SSH host key, as it would be in git
    [vaultPath]: { content: seal(JSON.stringify(vault), key) },
    '/etc/systemd/system/hello.service': example('hello.service'),
    '/usr/local/bin/hello': { content: example('hello'), mode: 0o755 },
  },
  copies: { '/usr/bin/unit-secrets': join(repository, 'dist/unit-secrets') },
  setup:
    'ln -s /usr/bin/unit-secrets /usr/lib/systemd/system-generators/unit-secrets-generator && systemctl --quiet enable hello',
});
console.log(`it is up after ${((performance.now() - started) / 1000).toFixed(1)} s`);

say('the manifest, as it would be in git: which service gets which secrets');
await show(machine, `cat ${manifestPath}`);

say('the unit that the generator made of it during the boot');
await show(machine, 'systemctl cat --no-pager hello-secrets.service');
await show(machine, 'systemctl cat --no-pager hello.service');

say('what became of it');
await show(machine, 'systemctl status --no-pager --lines=5 hello-secrets.service hello.service');
await show(machine, 'ls -lA /run/unit-secrets/secrets/hello');

say('the proof: the service has the values (digests of what the vault holds, and what the service says)');
const digest = (value: string): string =>
  `${[...value].length} characters, SHA-256 ${createHash('sha256').update(value).digest('hex').slice(0, 16)}…`;
const expected = [`API_KEY: ${digest(apiKey)}`, `DATABASE_URL: ${digest(databaseUrl)}`];
console.log(expected.join('\n'), '\n');
const proof = await show(machine, 'journalctl --no-pager --output=cat --identifier=hello');
if (!expected.every((line) => proof.includes(line))) fail('the service has other values than the vault');

say('the service is stopped, and its secrets are gone');
await show(machine, 'systemctl stop hello');
await waitUntilGone(machine, '/run/unit-secrets/secrets/hello');
await show(machine, 'ls -lA /run/unit-secrets/secrets');
const leaks = await machine.exec('journalctl --no-pager --all; systemctl show "*"');
for (const value of [apiKey, database.password]) {
  if (leaks.stdout.includes(value)) fail('a secret is in the journal or in what systemctl shows');
}
console.log(
  'neither the journal nor systemctl show has seen a secret. that was all: see README.md for your own machine',
);
