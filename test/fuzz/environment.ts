/**
 * Adversarial values through the encoder of environment files, read by the real systemd of each release: what a
 * service gets is the value, byte for byte; and what is refused here is refused there.
 */
import { environmentValueProblem, serialiseEnvironmentFile } from '../../src/domain/environment-file.ts';
import { Container } from '../container/container.ts';
import type { Suite } from '../container/rootfs.ts';
import { oddText, Random, trouble } from './random.ts';
import { Findings, type FuzzOptions, type Report } from './report.ts';

export const suites: readonly Suite[] = ['bullseye', 'bookworm', 'trixie', 'sid'];

/** How many variables a service is given: below the kernel's limit for all of them together, 2 MiB. */
const variablesPerService = 1000;
const bytesPerService = 1_000_000;

export interface EnvironmentFuzzOptions extends FuzzOptions {
  readonly suites?: readonly Suite[];
}

type Variables = readonly (readonly [name: string, value: string])[];

export async function fuzzEnvironment({
  seed,
  count,
  suites: chosen = suites,
}: EnvironmentFuzzOptions): Promise<Report> {
  const findings = new Findings('environment');
  const { services, refused } = variablesFor(seed, count);
  findings.count('values', services.flat().length);
  findings.count('values refused here', refused.length);
  // of those that are refused, some by systemd itself
  const foreign = refused.filter(({ reason }) => reason !== 'length').slice(0, 25);
  const files = new Map<string, string>();
  for (const [index, variables] of services.entries())
    files.set(`v${index}`, serialiseEnvironmentFile(variables));
  for (const [index, { value }] of foreign.entries())
    files.set(`r${index}`, `GOOD="x"\n${serialiseEnvironmentFile([['V', value]])}`);
  for (const suite of chosen) await oneSuite(suite);
  return findings.report();

  async function oneSuite(suite: Suite): Promise<void> {
    const unit = [
      '[Service]',
      'Type=oneshot',
      'EnvironmentFile=/etc/fuzz/%i.env',
      // no shell, which would put names of its own between
      'ExecStart=/bin/cat /proc/self/environ',
      'StandardOutput=file:/var/out/%i',
      '',
    ].join('\n');
    await using machine = await Container.boot({
      suite,
      name: 'fuzz',
      files: {
        '/etc/systemd/system/fuzz@.service': unit,
        '/var/out/.keep': '',
        ...Object.fromEntries([...files].map(([name, content]) => [`/etc/fuzz/${name}.env`, content])),
      },
    });
    const { stdout } = await machine.exec('systemctl --version');
    const version = /^systemd (\S+)/.exec(stdout)?.[1] ?? 'unknown';
    findings.count(`systemd ${version} (${suite}): services`, services.length);
    for (const [index, variables] of services.entries()) {
      const where = `environment --seed ${seed}, service ${index} of systemd ${version}`;
      const started = await machine.exec(['systemctl', 'start', `fuzz@v${index}.service`], { check: false });
      if (started.code !== 0) {
        findings.add(where, `does not start: ${started.stderr}`);
        continue;
      }
      const received = parseEnviron(await machine.readBytes(`/var/out/v${index}`));
      for (const [name, value] of variables) {
        findings.count(`systemd ${version} (${suite}): values compared`);
        const got = received.get(name);
        if (got === undefined || !got.equals(Buffer.from(value)))
          findings.add(
            where,
            `${name} ${shown(Buffer.from(value))} arrives as ${got ? shown(got) : 'nothing'}`,
          );
      }
    }
    for (const [index, { value }] of foreign.entries()) {
      const { code: exitCode } = await machine.exec(['systemctl', 'start', `fuzz@r${index}.service`], {
        check: false,
      });
      findings.count(`systemd ${version} (${suite}): values that it refuses, too`, exitCode === 0 ? 0 : 1);
      // where systemd is more lenient, to refuse is still right for the others
      if (exitCode === 0) findings.count(`systemd ${version} (${suite}): values that it would take`);
      if (exitCode === 0 && value.includes('\0'))
        findings.add(
          `environment --seed ${seed}, refused ${index}`,
          `systemd ${version} takes ${shown(Buffer.from(value))}`,
        );
    }
  }
}

const shown = (bytes: Buffer): string =>
  bytes.length > 200
    ? `${JSON.stringify(bytes.toString('utf8', 0, 200))}… (${bytes.length} bytes)`
    : JSON.stringify(bytes.toString('utf8'));

function parseEnviron(bytes: Buffer): Map<string, Buffer> {
  const variables = new Map<string, Buffer>();
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0, start);
    const assignment = bytes.subarray(start, end < 0 ? bytes.length : end);
    const equals = assignment.indexOf('=');
    variables.set(assignment.toString('latin1', 0, equals), assignment.subarray(equals + 1));
    start = end < 0 ? bytes.length : end + 1;
  }
  return variables;
}

function variablesFor(seed: number, count: number) {
  const services: (readonly [string, string])[][] = [[]];
  const refused: { readonly value: string; readonly reason: 'length' | 'text' }[] = [];
  let size = 0;
  for (const [index, value] of valuesFor(seed, count).entries()) {
    const name = `V${index}`;
    if (environmentValueProblem(name, value) !== undefined) {
      refused.push({ value, reason: Buffer.byteLength(value) > 100_000 ? 'length' : 'text' });
      continue;
    }
    const bytes = name.length + Buffer.byteLength(value) + 2;
    if (size + bytes > bytesPerService || (services.at(-1)?.length ?? 0) >= variablesPerService) {
      services.push([]);
      size = 0;
    }
    services.at(-1)?.push([name, value]);
    size += bytes;
  }
  return { services: services as readonly Variables[], refused };
}

/** Every byte and many code points alone and in company first, then combinations. */
function valuesFor(seed: number, count: number): string[] {
  const fixed: string[] = [''];
  const around = ['', ' ', '"', "'", '\\', '\n', '$', 'x'];
  for (let code = 0; code < 256; code++) {
    const character = String.fromCodePoint(code);
    for (const other of around) fixed.push(character + other, other + character, `x${character}${other}x`);
  }
  for (const one of trouble)
    for (const other of ['', '"', '\\', "'", '\n']) fixed.push(one + other, other + one, one + one);
  const lengths = [4095, 4096, 65_535, 100_000, 131_060];
  for (const length of lengths)
    for (const one of ['x', '"', '\\', '\n', 'é', '🔑', "'", ' '])
      fixed.push(one.repeat(Math.floor(length / Buffer.byteLength(one))));
  for (const length of [131_063, 131_064, 131_065, 131_066, 131_072, 200_000]) fixed.push('x'.repeat(length));
  const values = [...fixed];
  for (let index = 0; values.length < count; index++) {
    const random = new Random('environment', seed, index);
    values.push(
      random.pick([
        () => oddText(random, 12),
        () => oddText(random, 12),
        () => random.list(1, 40, () => String.fromCharCode(random.between(1, 127))).join(''),
        () =>
          random
            .list(1, 20, () =>
              random.pick(['"', "'", '\\', '$', '`', '\n', '\r', ' ', '\t', '#', ';', '=', '%', 'x']),
            )
            .join(''),
        () =>
          `${random.pick([' ', '\t', '\n', '#', ';', '"', "'", '\\', 'export '])}${oddText(random)}${random.pick([' ', '\\', '\n', '"', "'", '\\\n', '\r'])}`,
        () => oddText(random).repeat(random.between(1, 40)),
      ])(),
    );
  }
  // the fixed ones are in each run whose count has room for them; a short one takes some of all
  const step = Math.max(1, Math.floor(values.length / count));
  return values.filter((_, index) => index % step === 0).slice(0, count);
}
