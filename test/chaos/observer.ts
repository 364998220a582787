/**
 * Looks at a machine from outside, some ten times a second: no process in there is needed for it, and nothing that is
 * looked at can notice. Whatever must never be is reported once.
 */
import {
  closeSync,
  constants,
  type Dirent,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  type Stats,
} from 'node:fs';
import {
  allowedFiles,
  canariesIn,
  canary,
  type Name,
  names,
  parseRecord,
  recordsPath,
  runtimeDirectories,
  type StartRecord,
} from './services.ts';

/** What must never be, and was. */
export interface Violation {
  /** Which invariant. */
  readonly kind:
    | 'start'
    | 'journal'
    | 'command line'
    | 'environment'
    | 'disk'
    | 'mode'
    | 'processes'
    | 'lock'
    | 'requests'
    | 'deadline'
    | 'healing'
    | 'stopped'
    | 'leftovers'
    | 'zombie'
    | 'permanent';
  readonly text: string;
  /** The unit to look at, if it is about one. */
  readonly unit?: string;
}

/** How often to look, in milliseconds: for records, and at everything. */
const [often, seldom] = [20, 100];
/** How long a lock may stay that nobody touches, in milliseconds. */
const longestLock = 30_000;
/** How long an SDK process whose fetcher was killed may go on, in milliseconds: systemd's own TimeoutStopSec= is 10 s. */
const longestOrphan = 12_000;

interface Process {
  readonly pid: number;
  /** The unit, as the innermost cgroup that is one tells. */
  readonly unit: string;
  readonly commandLine: string;
}

export interface ObserverOptions {
  /** As `Container.outside`. */
  readonly root: string;
  readonly cgroup: string;
  /** Texts that may be nowhere at all but in memory: parts of the token. */
  readonly never: readonly string[];
  readonly onStart: (record: StartRecord, at: number) => void;
  readonly onViolation: (violation: Violation) => void;
}

export class Observer {
  readonly #options: ObserverOptions;
  readonly #pipe: number;
  /** The names of groups by number. */
  readonly #groups: ReadonlyMap<number, string>;
  #timer: NodeJS.Timeout | undefined;
  #text = '';
  #lastLook = 0;
  /** The set of each service as it was seen last: the directory's inode, and the marker's. */
  readonly #sets = new Map<Name, { readonly directory: number; readonly marker: number }>();
  readonly #replaced = new Map<Name, number>();
  #fetching = false;
  #lock: { readonly key: string; readonly since: number } | undefined;
  readonly #orphans = new Map<number, number>();
  #sdkBefore = '';
  /** What should not be there, as of the last look. */
  #odd: ReadonlySet<string> = new Set();
  /** How often it has looked, and at most how many processes of the SDK it has seen, those that ended included. */
  readonly seen = { looks: 0, processes: 0, files: 0, mostSdk: 0, orphans: 0 };

  constructor(options: ObserverOptions) {
    this.#options = options;
    // also for writing: else whoever writes would wait for a reader, and we would see the end
    this.#pipe = openSync(options.root + recordsPath, constants.O_RDWR | constants.O_NONBLOCK);
    const groups = readFileSync(`${options.root}/etc/group`, 'utf8').matchAll(/^([^:]*):[^:]*:(\d+):/gm);
    this.#groups = new Map([...groups].map(([, name = '', gid]) => [Number(gid), name]));
    this.#timer = setInterval(() => this.#tick(), often);
  }

  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    closeSync(this.#pipe);
  }

  /** Whether a service's set was replaced in place within some milliseconds before now. */
  wasReplaced(name: Name, within: number): boolean {
    return performance.now() - (this.#replaced.get(name) ?? Number.NEGATIVE_INFINITY) < within;
  }

  /** Processes of our program that run in some unit; their pids as this machine counts. */
  processesOf(pattern: RegExp): readonly Process[] {
    return this.#processes().filter(({ commandLine }) => pattern.test(commandLine));
  }

  #tick(): void {
    if (this.#timer === undefined) return;
    try {
      this.#readRecords();
      this.#lookAtSets();
      const now = performance.now();
      if (now - this.#lastLook >= seldom) {
        this.#lastLook = now;
        this.#lookAtProcesses(now);
        this.#lookAtFiles();
        this.#lookAtLock(now);
        this.seen.looks++;
      }
    } catch (error) {
      // the machine may be going down; what is wrong for long is seen by whoever waits for it
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  }

  #readRecords(): void {
    const buffer = Buffer.alloc(65_536);
    for (;;) {
      let length = 0;
      try {
        length = readSync(this.#pipe, buffer);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      }
      if (length === 0) break;
      this.#text += buffer.toString('latin1', 0, length);
    }
    const lines = this.#text.split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) this.#options.onStart(parseRecord(line), performance.now());
  }

  #lookAtSets(): void {
    for (const name of names) {
      const path = `${this.#options.root}/run/unit-secrets/secrets/${name}`;
      const directory = stat(path)?.ino;
      if (directory === undefined) {
        this.#sets.delete(name);
        continue;
      }
      const marker = entries(path).find((entry) => entry.name.startsWith('.ok-'))?.name;
      const ino = marker === undefined ? undefined : stat(`${path}/${marker}`)?.ino;
      if (ino === undefined) {
        // between two sets, or before the first
        if (this.#sets.get(name)?.directory === directory) this.#replaced.set(name, performance.now());
        continue;
      }
      const before = this.#sets.get(name);
      if (before?.directory === directory && before.marker !== ino)
        this.#replaced.set(name, performance.now());
      this.#sets.set(name, { directory, marker: ino });
    }
  }

  #processes(): Process[] {
    const found: Process[] = [];
    const walk = (path: string, unit: string): void => {
      for (const pid of read(`${path}/cgroup.procs`).split('\n')) {
        if (pid === '') continue;
        const commandLine = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
        found.push({ pid: Number(pid), unit, commandLine });
      }
      for (const entry of entries(path)) {
        if (!entry.isDirectory()) continue;
        const isUnit = /\.(?:service|scope|mount)$/.test(entry.name);
        walk(`${path}/${entry.name}`, isUnit ? entry.name : unit);
      }
    };
    walk(this.#options.cgroup, '');
    return found;
  }

  #lookAtProcesses(now: number): void {
    const processes = this.#processes();
    this.seen.processes += processes.length;
    const needles = [canary, ...this.#options.never];
    for (const { pid, unit, commandLine } of processes) {
      const inLine = needles.find((needle) => commandLine.includes(needle));
      if (inLine !== undefined)
        this.#violation('command line', `a secret is on a command line in ${unit}`, unit);
      const environment = read(`/proc/${pid}/environ`);
      if (this.#options.never.some((part) => environment.includes(part)))
        this.#violation('environment', `the token is in the environment of a process of ${unit}`, unit);
      if (!environment.includes(canary)) continue;
      const owners = [...canariesIn(environment).names];
      // asked again: it may have been PID 1's child a moment ago, not in its own cgroup yet
      const now = read(`/proc/${pid}/cgroup`);
      const stranger = owners.find(
        (owner) => unit !== `${owner}.service` && !now.includes(`/${owner}.service`) && now !== '',
      );
      if (stranger !== undefined) {
        const what = `secrets of ${stranger} are in the environment of a process of ${unit} (${commandLine})`;
        this.#violation('environment', what, unit);
      }
    }
    this.#lookAtSdk(processes, now);
  }

  /** Services that fetch themselves apart, only one may ask at a time; one whose fetcher was killed ends soon. */
  #lookAtSdk(processes: readonly Process[], now: number): void {
    const asking = processes.filter(
      ({ commandLine, unit }) => / resolve-child$/.test(commandLine) && !unit.startsWith('eta.'),
    );
    this.seen.mostSdk = Math.max(this.seen.mostSdk, asking.length);
    const fetchers = new Set(
      processes.filter(({ commandLine }) => / fetch /.test(commandLine)).map(({ pid }) => pid),
    );
    this.#fetching = fetchers.size > 0;
    const led: number[] = [];
    for (const { pid, unit } of asking) {
      const parent = Number(/^PPid:\t(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1]);
      if (fetchers.has(parent)) {
        led.push(pid);
        continue;
      }
      if (!this.#orphans.has(pid)) {
        this.#orphans.set(pid, now);
        this.seen.orphans++;
      }
      if (now - (this.#orphans.get(pid) ?? now) > longestOrphan)
        this.#violation(
          'processes',
          `a process that asks 1Password has outlived its fetcher in ${unit}`,
          unit,
        );
    }
    for (const pid of this.#orphans.keys())
      if (!asking.some((process) => process.pid === pid)) this.#orphans.delete(pid);
    // twice in a row: one may have ended while we looked
    const key = led.length > 1 ? led.join(' ') : '';
    if (key !== '' && key === this.#sdkBefore) {
      const units = asking.filter(({ pid }) => led.includes(pid)).map(({ unit }) => unit);
      this.#violation('processes', `${led.length} processes ask 1Password at once, in ${units.join(', ')}`);
    }
    this.#sdkBefore = key;
  }

  #lookAtFiles(): void {
    const run = `${this.#options.root}/run`;
    const odd = new Set<string>();
    const look = (path: string): void => {
      const found = stat(`${run}/${path}`);
      if (found === undefined) return;
      this.seen.files++;
      const user = found.uid === 0 ? 'root' : dynamic(found.uid);
      const group = this.#groups.get(found.gid) ?? dynamic(found.gid);
      const type = found.isDirectory() ? 'd' : found.isFile() ? 'f' : found.isSymbolicLink() ? 'l' : '?';
      const line = `${(found.mode & 0o7777).toString(8)} ${user}:${group} ${type} ${path}`;
      if (!allowedFiles.some((allowed) => allowed.test(line))) {
        // once may be half a step of systemd's: a directory is made, and then given away
        if (this.#odd.has(line)) this.#violation('mode', `/run has ${line}`);
        odd.add(line);
      }
      if (found.isDirectory()) for (const { name } of entries(`${run}/${path}`)) look(`${path}/${name}`);
    };
    // before it is mounted, there is an empty directory of systemd's
    const mounted = entries(`${run}/unit-secrets`).length > 0;
    for (const path of [...(mounted ? ['unit-secrets'] : []), ...runtimeDirectories]) look(path);
    this.#odd = odd;
  }

  #lookAtLock(now: number): void {
    const lock = stat(`${this.#options.root}/run/unit-secrets/queue/fetch.lock`);
    const key = lock === undefined ? undefined : `${lock.ino} ${lock.mtimeMs}`;
    // that of one who was killed is had at once by whoever comes, and nobody does
    if (key === undefined || !this.#fetching) this.#lock = undefined;
    else if (this.#lock?.key !== key) this.#lock = { key, since: now };
    else if (now - this.#lock.since > longestLock)
      this.#violation('lock', 'nobody has touched the lock of the fetchers for 30 s');
  }

  #violation(kind: Violation['kind'], text: string, unit?: string): void {
    this.#options.onViolation({ kind, text, ...(unit === undefined ? {} : { unit }) });
  }
}

/** Makes the pipe that services write to; before the first of them starts. */
export function prepareRecords(root: string, makePipe: (path: string) => void): void {
  mkdirSync(`${root}/run/chaos`, { recursive: true, mode: 0o755 });
  makePipe(root + recordsPath);
}

/** systemd's own range for `DynamicUser=`. */
function dynamic(id: number): string {
  return id >= 61_184 && id <= 65_519 ? 'dynamic' : String(id);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function entries(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}

function stat(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}
