/**
 * A machine for tests: the systemd of a Debian release as PID 1 of a container, without network, on a
 * root file system of its own that forgets everything at the end.
 *
 *     await using machine = await Container.boot({ copies: { '/usr/bin/unit-secrets': 'dist/unit-secrets' } });
 *     const { stdout } = await machine.exec(['systemctl', 'is-active', 'dbus.service']);
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BOX_ROOT, Box } from './box.ts';
import { type Condition, DeadlineError, GiveUp, poll } from './poll.ts';
import { cacheDirectory, type RootfsOptions, rootfs } from './rootfs.ts';
import { RunError, type RunResult, run } from './run.ts';

/** Generous: they only matter when something hangs, and a loaded machine is no reason to fail. */
const BOOT_TIMEOUT_MS = 90_000;
const EXEC_TIMEOUT_MS = 120_000;
const WAIT_TIMEOUT_MS = 30_000;

/** Console logs of so many containers are kept for whoever looks into a failed run. */
const KEPT_LOGS = 40;

/** Nothing of the test process's own environment gets into a container. */
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  TERM: 'dumb',
  SYSTEMD_PAGER: '',
  SYSTEMD_COLORS: '0',
};

export interface FileSpec {
  readonly content: string | Uint8Array;
  /** 0644 by default. */
  readonly mode?: number;
}

export interface CopySpec {
  readonly from: string;
  /** 0755 by default: what is copied in mostly is a program. */
  readonly mode?: number;
}

export interface ContainerOptions extends RootfsOptions {
  /** The host name in the container. */
  readonly name?: string;
  /** Written before the first boot, so that generators find them: path → content, or content with a mode. */
  readonly files?: Readonly<Record<string, string | FileSpec>>;
  /** Copied in before the first boot: path in the container → path on this machine, or that with a mode. */
  readonly copies?: Readonly<Record<string, string | CopySpec>>;
  /** Shown read-only in the container: path in the container → path on this machine (not one in /run). */
  readonly bind?: Readonly<Record<string, string>>;
  /** Shell commands before the first boot, in the tree without a running system: links, users, enabling. */
  readonly setup?: string;
  /** More options for systemd-nspawn, such as `--capability=…`. */
  readonly nspawn?: readonly string[];
}

export interface StartOptions {
  /** `running` (default) waits for the end of the boot, `basic` only for basic.target, `manager` for PID 1. */
  readonly waitFor?: 'running' | 'basic' | 'manager';
  readonly timeoutMs?: number;
}

export interface ExecOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Throw when the exit code is not 0 (default). */
  readonly check?: boolean;
  readonly timeoutMs?: number;
}

/** What runs in the box between two power cycles. */
interface Machine {
  readonly nspawn: ChildProcess;
  readonly exited: Promise<void>;
  /** PID 1 of the container, as this machine counts. */
  leader: number | undefined;
}

export class Container {
  /** Everything that came over the container's console, of all its boots. */
  readonly consoleLog: string;
  readonly #box: Box;
  readonly #options: ContainerOptions;
  #machine: Machine | undefined;
  #closed: Promise<void> | undefined;

  private constructor(box: Box, options: ContainerOptions, consoleLog: string) {
    this.#box = box;
    this.#options = options;
    this.consoleLog = consoleLog;
  }

  /** A container with its files in place that has not been started yet. */
  static async create(options: ContainerOptions = {}): Promise<Container> {
    const box = await Box.open(await rootfs(options));
    const container = new Container(box, options, await newLog(box.name));
    try {
      await container.#place();
    } catch (error) {
      await container.kill();
      throw error;
    }
    return container;
  }

  /** Creates a container and boots it. Clean up with `await using`, `kill()` or `shutdown()`. */
  static async boot(options: ContainerOptions & StartOptions = {}): Promise<Container> {
    const container = await Container.create(options);
    try {
      await container.start(options);
    } catch (error) {
      await container.kill();
      throw error;
    }
    return container;
  }

  /** Boots (again); to be called once after `create` and after `powerOff`. */
  async start(options: StartOptions = {}): Promise<void> {
    if (this.#machine !== undefined || this.#closed !== undefined) {
      throw new Error('this container is running already, or was killed');
    }
    const machine = this.#spawn();
    this.#machine = machine;
    const deadline = performance.now() + (options.timeoutMs ?? BOOT_TIMEOUT_MS);
    const left = (): number => Math.max(0, Math.ceil(deadline - performance.now()));
    try {
      machine.leader = await poll(() => this.#findLeader(machine), 'systemd to start as PID 1', left());
      await this.#booted(options.waitFor ?? 'running', left);
    } catch (error) {
      if (error instanceof DeadlineError) {
        throw await this.#withDiagnosis(error);
      }
      throw error;
    }
  }

  /**
   * Runs a command (a string: by the shell) as root in the container; before the first boot and while it is
   * powered off, in its file system alone.
   */
  async exec(command: string | readonly string[], options: ExecOptions = {}): Promise<RunResult> {
    return this.#enter(command, options);
  }

  /**
   * How this machine sees the running container: the path of its root directory, and of the cgroup that all
   * its processes are in. To look often without starting a process in there.
   */
  get outside(): { readonly root: string; readonly cgroup: string } {
    const leader = this.#machine?.leader;
    if (leader === undefined) throw new Error('this container is not running');
    return { root: `/proc/${leader}/root`, cgroup: join(this.#box.cgroup, 'payload') };
  }

  /** Parent directories are made. Follows links, as a program in the container would. */
  async writeFile(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
    await this.#enter(writing(path, mode), { input: content });
  }

  async copyIn(hostPath: string, containerPath: string, mode = 0o755): Promise<void> {
    await this.#enter(writing(containerPath, mode), { inputFile: hostPath });
  }

  async readFile(path: string): Promise<string> {
    return (await this.readBytes(path)).toString('utf8');
  }

  async readBytes(path: string): Promise<Buffer> {
    return (await this.#enter(['cat', '--', path], {})).stdoutBytes;
  }

  /**
   * Waits until a command succeeds or a function returns something (not `false`, `undefined`, `null`; what
   * it throws counts as "not yet"). When time is up, the error tells what failed in the container.
   */
  async waitFor<T>(condition: Condition<T>, describe: string, timeoutMs?: number): Promise<NonNullable<T>>;
  async waitFor(command: string | readonly string[], describe?: string, timeoutMs?: number): Promise<void>;
  async waitFor(
    condition: Condition<unknown> | string | readonly string[],
    describe?: string,
    timeoutMs = WAIT_TIMEOUT_MS,
  ): Promise<unknown> {
    const ask = typeof condition === 'function' ? condition : () => this.exec(condition);
    const what = describe ?? `success of: ${String(condition)}`;
    try {
      const answer = await poll(ask, what, timeoutMs);
      return typeof condition === 'function' ? answer : undefined;
    } catch (error) {
      throw error instanceof DeadlineError ? await this.#withDiagnosis(error) : error;
    }
  }

  /** The journal since this boot, or what `journalctl` says with the arguments. */
  async journal(...args: readonly string[]): Promise<string> {
    return (await this.exec(['journalctl', '--no-pager', '--output=short-precise', '--boot', ...args]))
      .stdout;
  }

  /** The power goes and comes back: /etc and /var stay, /run does not, no service is stopped in order. */
  async reboot(options: StartOptions = {}): Promise<void> {
    await this.cutPower();
    await this.start(options);
  }

  /** Ends everything at once; the file system stays, to be looked at or to be booted by `start`. */
  async cutPower(): Promise<void> {
    await this.#box.clear();
    await this.#machine?.exited;
    this.#machine = undefined;
  }

  /** `systemctl poweroff`: services are stopped in order. The file system stays, as with `cutPower`. */
  async powerOff(timeoutMs = BOOT_TIMEOUT_MS): Promise<void> {
    const machine = this.#machine;
    if (machine === undefined) {
      return;
    }
    // the connection may end before the answer: what counts is that nspawn does
    await this.exec(['systemctl', 'poweroff'], { check: false });
    const { nspawn } = machine;
    try {
      await poll(
        () => nspawn.exitCode !== null || nspawn.signalCode !== null,
        'the container to power off',
        timeoutMs,
      );
    } catch (error) {
      throw error instanceof DeadlineError ? await this.#withDiagnosis(error) : error;
    }
    await this.cutPower();
  }

  /** Stops the services in order, then removes everything. */
  async shutdown(): Promise<void> {
    try {
      await this.powerOff();
    } finally {
      await this.kill();
    }
  }

  /** Ends everything at once and removes it: processes, mounts, cgroup. Calling it again does nothing. */
  async kill(): Promise<void> {
    this.#closed ??= this.cutPower().finally(() => this.#box.close());
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #place(): Promise<void> {
    const { files = {}, copies = {}, setup } = this.#options;
    for (const [path, spec] of Object.entries(files)) {
      const { content, mode } = typeof spec === 'string' ? { content: spec } : spec;
      await this.writeFile(path, content, mode);
    }
    for (const [path, spec] of Object.entries(copies)) {
      const { from, mode } = typeof spec === 'string' ? { from: spec } : spec;
      await this.copyIn(from, path, mode);
    }
    if (setup !== undefined) {
      await this.exec(setup);
    }
  }

  async #enter(
    command: string | readonly string[],
    options: ExecOptions & { readonly inputFile?: string },
  ): Promise<RunResult> {
    if (this.#closed !== undefined) {
      throw new Error('this container was killed');
    }
    const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
    const { env, ...rest } = options;
    return run(
      [...this.#entrance(), ...argv],
      { timeoutMs: EXEC_TIMEOUT_MS, ...rest, env: { ...ENVIRONMENT, ...env } },
      `in the container: ${typeof command === 'string' ? command : command.join(' ')}`,
    );
  }

  /** Into the running system, or else into its file system. */
  #entrance(): readonly string[] {
    const leader = this.#machine?.leader;
    if (leader === undefined) {
      return [...this.#box.enter, 'chroot', BOX_ROOT];
    }
    // Into PID 1's cgroup first: to logind and others, whoever is outside of the container's tree is no one.
    // A process may only be in a leaf there, and init.scope is the one that is sure to be there.
    const scope = join(this.#box.cgroup, 'payload/init.scope/cgroup.procs');
    return [
      ...['sh', '-c', 'umask 022 && echo $$ >"$0" && exec "$@"', scope],
      ...['nsenter', `--target=${leader}`, '--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup'],
      ...['--root', '--wd', '--'],
    ];
  }

  #spawn(): Machine {
    const { name = 'test', bind = {}, nspawn: more = [] } = this.#options;
    const log = openSync(this.consoleLog, 'a');
    const nspawn = spawn(
      'sh',
      [
        ...['-c', 'mkdir -p "$0" && echo $$ >"$0/cgroup.procs" && exec "$@"', this.#box.cgroup],
        ...this.#box.enter,
        // box.sh ends everything when the test process dies; this is for the case that it died too
        ...['setpriv', '--pdeathsig', 'KILL'],
        ...['systemd-nspawn', '--quiet', '--boot', `--directory=${BOX_ROOT}`, `--machine=${name}`],
        // nothing here may need the machine's own systemd: there may be none
        ...['--register=no', '--keep-unit', '--private-network', '--link-journal=no'],
        ...['--resolv-conf=off', '--timezone=off'],
        // a console that can be written to, as on a real machine, but without a terminal on our side
        '--console=read-only',
        ...Object.entries(bind).map(([inside, outside]) => `--bind-ro=${colons(outside)}:${colons(inside)}`),
        ...more,
      ],
      {
        stdio: ['ignore', log, log],
        detached: true,
        env: { ...ENVIRONMENT, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
      },
    );
    closeSync(log);
    const exited = new Promise<void>((resolve) => {
      nspawn.once('exit', () => resolve());
      nspawn.once('error', () => resolve());
    });
    nspawn.unref();
    return { nspawn, exited, leader: undefined };
  }

  /** systemd is PID 1 when the process in init.scope that is number 1 in its own namespace is there. */
  async #findLeader({ nspawn }: Machine): Promise<number | undefined> {
    if (nspawn.exitCode !== null || nspawn.signalCode !== null || nspawn.pid === undefined) {
      const log = await readFile(this.consoleLog, 'utf8').catch(() => '');
      throw new GiveUp(
        new Error(
          `systemd-nspawn ended instead of booting (scripts/test installs it):\n${lastLines(log, 20)}`,
        ),
      );
    }
    const scope = join(this.#box.cgroup, 'payload/init.scope/cgroup.procs');
    const pids = await readFile(scope, 'utf8').catch(() => '');
    for (const pid of pids.split('\n').filter((line) => line !== '')) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      if (/^NSpid:.*\t1$/m.test(status)) {
        return Number(pid);
      }
    }
    return undefined;
  }

  async #booted(goal: 'running' | 'basic' | 'manager', left: () => number): Promise<void> {
    // the manager's socket comes a moment after the manager
    await poll(() => this.exec('systemctl show --property=Version'), 'PID 1 to answer', left());
    if (goal === 'basic') {
      await poll(() => this.exec('systemctl is-active basic.target'), 'basic.target', left());
    } else if (goal === 'running') {
      await poll(
        async () => {
          const { stdout } = await this.#quietly('systemctl is-system-running --wait', left());
          return ['running', 'degraded'].includes(stdout.trim());
        },
        'the boot to finish',
        left(),
      );
    }
  }

  /** Whatever came of it: also when the command failed or did not end in time. */
  async #quietly(command: string, timeoutMs: number): Promise<RunResult> {
    try {
      return await this.exec(command, { check: false, timeoutMs });
    } catch (error) {
      if (error instanceof RunError) {
        return error.result;
      }
      throw error;
    }
  }

  /** Adds what one would look at first. Each part may fail, as the container may be in any state. */
  async #withDiagnosis(error: Error): Promise<Error> {
    const look = async (command: string): Promise<string> => {
      const result = await this.#quietly(command, 10_000).catch(() => undefined);
      return `--- ${command}\n${result === undefined ? '(not possible)' : result.stdout + result.stderr}`;
    };
    const parts = [
      await look('systemctl list-units --failed --no-legend --plain --no-pager'),
      await look('systemctl list-jobs --no-legend --no-pager'),
      await look('journalctl --boot --no-pager --output=short-precise --lines=60'),
    ];
    return new Error(`${error.message}\n${parts.join('\n')}\n--- console: ${this.consoleLog}`, {
      cause: error,
    });
  }
}

/** A command that writes its input to a file; its content is never readable by more than the mode allows. */
function writing(path: string, mode: number): readonly string[] {
  const script = 'mkdir -p "$(dirname "$0")" && umask 077 && cat >"$0" && chmod "$1" "$0"';
  return ['sh', '-c', script, path, mode.toString(8)];
}

/** In nspawn's options a colon ends a path. */
function colons(path: string): string {
  return path.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

async function newLog(name: string): Promise<string> {
  const directory = join(cacheDirectory(), 'logs');
  await mkdir(directory, { recursive: true });
  const path = join(directory, `${new Date().toISOString().replaceAll(':', '')}-${name}.log`);
  // the names begin with the time
  const old = (await readdir(directory)).sort().slice(0, -KEPT_LOGS);
  await Promise.all(old.map((log) => rm(join(directory, log), { force: true })));
  return path;
}
