import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type ExitCode, exitCodes } from '../src/domain/exit-codes.ts';
import { readManifest } from '../src/domain/manifest-reader.ts';
import { formatProblem } from '../src/domain/problem.ts';
import { isRuntimeDirectory } from '../src/domain/runtime-directory.ts';
import { fetchedServices } from '../src/effects/fetched-services.ts';
import { logToKernel, priority } from '../src/effects/kernel-log.ts';
import { type ManifestSource, readManifestFiles } from '../src/effects/read-manifest.ts';
import { shortHash } from '../src/effects/short-hash.ts';
import { writeFiles } from '../src/effects/unit-writer.ts';
import type { Machine as UnitMachine } from '../src/unit/context.ts';
import { directoryRecord, paths } from '../src/unit/paths.ts';
import { type GeneratorInput, type LeftDirectory, planUnits, type UnitPlan } from '../src/unit/plan-units.ts';

/** Where the generator reads; everything below `root`. */
export interface Machine {
  /** '' for this machine. */
  readonly root: string;
  readonly executable: string;
}

/** Reads the manifest and decides what to write; undefined when there is nothing to do at all. */
export async function plan({ root, executable }: Machine): Promise<UnitPlan | undefined> {
  const source = await readManifestFiles(root, paths);
  // at boot there is no such directory yet
  const isLeft = existsSync(root + paths.state);
  const secretsDirectories = isLeft ? leftDirectories(root) : [];
  const configDirectories = isLeft ? list(root + paths.config, 'directories') : [];
  const inlineDirectories = isLeft ? list(root + paths.inline, 'directories') : [];
  const left = secretsDirectories.length + configDirectories.length + inlineDirectories.length;
  const removed = source.kind === 'missing';
  if (removed && left === 0 && !(isLeft && existsSync(root + paths.token))) return undefined;
  const ownNamespace = isOwnNamespace(root);
  const input: GeneratorInput = {
    manifest: source.kind === 'read' ? source.manifest : readManifest(undefined, []),
    removed,
    visibleNames: source.kind === 'read' ? source.visibleNames : [],
    secretsDirectories,
    configDirectories,
    inlineDirectories,
    listed: wantsList(source)
      ? [...lines(root + paths.serviceList), ...fetchedServices(root + paths.queue)]
      : [],
  };
  const machine: UnitMachine = {
    executable,
    // `noswap` came with Linux 6.4 and is not for user namespaces; in doubt, ramfs, which is never swapped
    memory: !ownNamespace && isKernelFrom(root, 6, 4) ? 'tmpfs-noswap' : 'ramfs',
    privateUsers: !ownNamespace,
  };
  const planned = planUnits(input, machine, shortHash);
  if (planned.held.length === 0 || source.kind !== 'read') return planned;
  // a manifest that is right was read without places, which are wanted now
  return planUnits({ ...input, locate: await source.locator() }, machine, shortHash);
}

/**
 * systemd.generator(7): writes units into the normal directory. Reads the manifest and nothing else of
 * weight, touches neither network nor NSS nor other processes, and always ends.
 *
 * @returns the exit status: 0, 1 if anything in the manifest is wrong, 73 if nothing could be written
 */
export async function generate(normalDirectory: string, machine: Machine): Promise<ExitCode> {
  if (process.env['SYSTEMD_IN_INITRD'] === '1') return exitCodes.ok;
  try {
    const result = await plan(machine);
    if (!result) return exitCodes.ok;
    const failures = writeFiles(normalDirectory, result.files, result.links);
    // before SYSTEMD_SCOPE was, a daemon-reload did not look for units that are unneeded
    const reloads = machine.root === '' && normalDirectory === paths.generated;
    if (reloads && process.env['SYSTEMD_SCOPE'] === undefined)
      for (const directory of result.orphans) empty(`/run/${directory}`);
    // units first: a record may take milliseconds on a slow console, and boot waits
    if (result.problems.length > 0) report(result.problems.map(formatProblem));
    if (failures.length > 0) report(failures);
    if (failures.length > 0) return exitCodes.cannotCreate;
    return result.problems.length > 0 ? exitCodes.problems : exitCodes.ok;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    logToKernel(priority.error, `cannot write units to ${normalDirectory}: ${text}`);
    return exitCodes.cannotCreate;
  }
}

/** How many lines one run adds to the kernel's log at most. */
const mostLines = 20;

function report(lines: readonly string[]): void {
  for (const line of lines.slice(0, mostLines)) logToKernel(priority.error, line);
  const more = lines.length - mostLines;
  if (more > 0) logToKernel(priority.error, `and ${more} more; unit-secrets check shows all`);
}

function isKernelFrom(root: string, wantedMajor: number, wantedMinor: number): boolean {
  const [release] = lines(`${root}/proc/sys/kernel/osrelease`);
  const version = /^(\d+)\.(\d+)/.exec(release ?? '');
  if (!version) return false;
  const [major, minor] = [Number(version[1]), Number(version[2])];
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** Whether this is a user namespace other than the machine's, in which root is not quite root; in doubt it is. */
function isOwnNamespace(root: string): boolean {
  return lines(`${root}/proc/self/uid_map`).join().trim().replace(/\s+/g, ' ') !== '0 0 4294967295';
}

function leftDirectories(root: string): LeftDirectory[] {
  return list(root + paths.secrets, 'directories').map((directory) => {
    const path = `${root}${paths.secrets}/${directory}`;
    const files = list(path, 'files');
    const marker = files.find((name) => name.startsWith('.ok-'));
    return {
      directory,
      runtimeDirectories: files.includes(directoryRecord)
        ? lines(`${path}/${directoryRecord}`).filter(isRuntimeDirectory)
        : [],
      ...(marker === undefined ? {} : { marker }),
    };
  });
}

/** Whether names that the manifest had before matter: only then are they read. */
function wantsList(source: ManifestSource): boolean {
  return source.kind === 'read' && source.manifest.general.length + source.manifest.partial.length > 0;
}

/** Wipes what is in a directory. The directory stays, as what tells later runs that its unit has nothing in it. */
function empty(directory: string): void {
  try {
    for (const name of readdirSync(directory))
      rmSync(`${directory}/${name}`, { recursive: true, force: true });
  } catch (error) {
    // one of them may have gone with another
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}

function lines(path: string): string[] {
  try {
    // opening a pipe would wait for a writer for ever
    if (!statSync(path).isFile()) return [];
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}

function list(path: string, what: 'directories' | 'files'): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => (what === 'files' ? entry.isFile() : entry.isDirectory()))
      .map((entry) => entry.name)
      .sort();
  } catch {
    return [];
  }
}
