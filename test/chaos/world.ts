/** A machine for a campaign, what actions do to it, and what is known of it meanwhile. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { Container } from '../container/container.ts';
import { poll } from '../container/poll.ts';
import type { Suite } from '../container/rootfs.ts';
import { RunError } from '../container/run.ts';
import type { Fault } from '../emulator/faults.ts';
import { bootEmulated, type EmulatedMachine } from '../systemd/emulated.ts';
import { seal, vaultPath } from '../systemd/machine.ts';
import { Observer, prepareRecords, type Violation } from './observer.ts';
import type { Meaning, World } from './script.ts';
import {
  companion,
  type Entry,
  entriesUnder,
  fetchingUnit,
  isInline,
  isOneshot,
  judge,
  longestRecord,
  type Manifest,
  manifestFiles,
  type Name,
  names,
  type StartRecord,
  serviceFiles,
  soundManifest,
  users,
  vaultOf,
  withConfig,
} from './services.ts';

const queue = '/run/unit-secrets/queue';
const filler = '/run/unit-secrets/filler';
const requestLog = '/run/op-requests.log';

/** Seconds that things may take on a machine that does much else. */
export const deadlines = { command: 150, daemonReload: 90, generator: 30, heal: 150, quiet: 90 } as const;

/** How long a record may be under way, and how long what was loaded before may still count, in milliseconds. */
const [settling, lingering] = [1_500, 8_000];
/** How long a command that only queued a stop may take to take effect, in milliseconds. */
const stopping = 15_000;

/** A minute's worth: one at a time takes the better part of a second, and who fails waits before the next. */
const mostSignIns = 100;

/** How long to wait for a process to send a signal to, in milliseconds. */
const aiming = 600;

interface Loaded {
  readonly manifest: Manifest;
  until: number;
}

/** What somebody wants a service to be, as the last commands say. */
interface Want {
  state: 'up' | 'down' | 'maybe';
  /** Since when, on our monotonic clock. */
  since: number;
  /** Commands that are under way, by what they want. */
  readonly pending: Map<number, 'up' | 'down' | 'maybe'>;
  /** Two were under way that do not agree: nobody can say which was last. */
  contested: boolean;
}

export class ChaosMachine implements World, AsyncDisposable {
  readonly machine: Container;
  readonly #emulated: EmulatedMachine;
  readonly #onViolation: (violation: Violation) => void;
  #observer: Observer;
  readonly token: string;
  /** systemd before 248 gives ExecStartPre= no credentials. */
  readonly #inlineWorks: boolean;

  #generation = 1;
  #written: Manifest;
  #loaded: Loaded[];
  #reloads = 0;
  readonly #wants = new Map<Name, Want>();
  readonly #floor = new Map<Name, number>();
  /** Starts that have been told of and not judged yet. */
  #starts: { readonly record: StartRecord; readonly at: number }[] = [];
  /** Services whose entry had an error at some time since the last peace: they may need somebody's help. */
  readonly #hurt = new Set<Name>();
  /** Whether the token was refused since then: what failed for that is remembered for 15 minutes. */
  #revoked = false;
  readonly #running = new Set<Promise<void>>();
  readonly #frozen = new Set<number>();
  #exclusive: Promise<unknown> = Promise.resolve();
  #commands = 0;
  #requestsRead = 0;
  readonly #requests: { readonly at: number; readonly name: string }[] = [];
  #closed = false;

  readonly counts = {
    /** Signals that found a process. */
    hits: 0,
    starts: 0,
    startsWithout: 0,
    daemonReloads: 0,
    longestReload: 0,
    generators: 0,
    longestGenerator: 0,
    helped: 0,
    /** Services that were helped over a gap which is known. */
    knownGaps: 0,
    mostRequests: 0,
    requests: 0,
    signIns: 0,
  };

  static async boot(suite: Suite, onViolation: (violation: Violation) => void): Promise<ChaosMachine> {
    const manifest = soundManifest(1, 'lambda');
    const emulated = await bootEmulated({
      suite,
      name: 'chaos',
      items: {},
      files: {
        ...manifestFiles(manifest),
        ...serviceFiles(),
        '/etc/op/data.json': { content: dataOf(1), mode: 0o600 },
        '/etc/systemd/system/op-emulator.service.d/log.conf': `[Service]\nExecStart=\nExecStart=/usr/bin/op-emulator --port 8080 --data /etc/op/data.json --account /etc/op/account.json --log ${requestLog}\n`,
      },
      setup: users,
    });
    const machine = new ChaosMachine(emulated, manifest, suite !== 'bullseye', onViolation);
    await machine.provide(1);
    return machine;
  }

  private constructor(
    emulated: EmulatedMachine,
    manifest: Manifest,
    inlineWorks: boolean,
    onViolation: (violation: Violation) => void,
  ) {
    this.#emulated = emulated;
    this.#inlineWorks = inlineWorks;
    this.machine = emulated.machine;
    this.token = emulated.token;
    this.#onViolation = onViolation;
    this.#written = manifest;
    this.#loaded = [{ manifest, until: Number.POSITIVE_INFINITY }];
    for (const name of names) this.#wants.set(name, noWant());
    this.#observer = this.#observe();
  }

  #observe(): Observer {
    const outside = this.machine.outside;
    prepareRecords(outside.root, (path) => execFileSync('mkfifo', ['--mode=0622', path]));
    // the umask takes from a mode
    execFileSync('chmod', ['0622', `${outside.root}/run/chaos/records`]);
    return new Observer({
      ...outside,
      never: this.tokenParts,
      onStart: (record, at) => this.#starts.push({ record, at }),
      onViolation: (violation) => this.#onViolation(violation),
    });
  }

  get observer(): Observer {
    return this.#observer;
  }

  /** Pieces of the token, which as a whole is in no line. */
  get tokenParts(): readonly string[] {
    return [this.token.slice(40, 80), this.token.slice(-60, -20)];
  }

  get root(): string {
    return this.machine.outside.root;
  }

  // --- what actions do

  async command(text: string, means: Meaning = { names: [] }): Promise<void> {
    const number = ++this.#commands;
    const about = means.names.filter((name) => !isOneshot(name));
    if (means.wants !== undefined)
      for (const name of about) this.#begin(name, number, means.wants === 'down' ? 'down' : 'up');
    const reloaded = means.reloads ? this.#beginReload() : undefined;
    const deadline = (means.deadline ?? deadlines.command) * 1_000;
    let stderr = '';
    let code = 0;
    try {
      ({ code, stderr } = await this.machine.exec(text, { check: false, timeoutMs: deadline }));
    } catch (error) {
      if (this.#closed) return;
      if (!(error instanceof RunError)) throw error;
      this.#violation('deadline', `not finished after ${deadline / 1_000} s: ${text}`, means.names[0]);
    }
    reloaded?.();
    if (means.wants === undefined) return;
    // somebody else's job was in the way
    const refused = /cancel|destructive|conflict/i.test(stderr);
    const state =
      means.wants === 'up if it succeeds' && code === 0
        ? 'up'
        : (means.wants === 'up' || means.wants === 'down') && !refused
          ? means.wants
          : 'maybe';
    for (const name of about) this.#end(name, number, state, means.queues === true);
  }

  async signal(
    pattern: RegExp,
    which: number,
    signal: 'KILL' | 'STOP',
    resumeAfterMs?: number,
  ): Promise<void> {
    // many live for less than a second
    const until = performance.now() + aiming;
    let found = this.#observer.processesOf(pattern);
    while (found.length === 0 && performance.now() < until && !this.#closed) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      found = this.#observer.processesOf(pattern);
    }
    const pid = found[Math.floor(which * found.length)]?.pid;
    if (pid === undefined) return;
    this.counts.hits++;
    send(pid, signal);
    if (resumeAfterMs === undefined) return;
    this.#frozen.add(pid);
    await new Promise((resolve) => setTimeout(resolve, resumeAfterMs));
    if (this.#frozen.delete(pid)) send(pid, 'CONT');
  }

  async crash(name: Name): Promise<void> {
    const unit = `${name}.service`;
    const main = this.#observer
      .processesOf(/^(?:sleep|\/bin\/sh \/usr\/local\/lib\/chaos\/record)/)
      .find((process) => process.unit === unit);
    if (main === undefined) return;
    const want = this.#wants.get(name);
    // what has no Restart= stays down
    if (want?.state === 'up' && !restartsItself(name)) this.#wants.set(name, { ...noWant(), state: 'maybe' });
    this.counts.hits++;
    send(main.pid, 'KILL');
  }

  provide(generation: number): Promise<void> {
    return this.#alone(async () => {
      // before anybody can have it
      this.#generation = Math.max(this.#generation, generation);
      const data = dataOf(generation);
      this.#replace('/etc/op/data.json', data, 0o600);
      this.#writeVault();
      await this.#control('POST', '/control/data', JSON.parse(data) as object);
    });
  }

  damageVault(damaged: boolean): Promise<void> {
    return this.#alone(async () => {
      this.#vaultDamaged = damaged;
      this.#writeVault();
    });
  }

  async fault(fault: Fault): Promise<void> {
    await this.#control('POST', '/control/faults', fault);
  }

  async clearFaults(): Promise<void> {
    await this.#control('DELETE', '/control/faults');
  }

  emulator(state: 'stop' | 'start'): Promise<void> {
    return this.#alone(async () => {
      if (state === 'stop')
        await this.machine.exec(['systemctl', state, 'op-emulator.service'], { check: false });
      // a daemon-reexec at the same time may lose the job
      else
        await this.machine.waitFor(
          ['bash', '-c', 'systemctl start op-emulator.service && : </dev/tcp/127.0.0.1/8080'],
          'the emulator to listen',
        );
    });
  }

  async permit(state: 'revoke' | 'restore'): Promise<void> {
    if (state === 'revoke') this.#revoked = true;
    await this.#control('POST', `/control/${state}`);
  }

  async expireSessions(): Promise<void> {
    await this.#control('POST', '/control/expire');
  }

  endCoolDown(): Promise<void> {
    rmSync(`${this.root}${queue}/cool-down`, { force: true });
    return Promise.resolve();
  }

  ageLock(seconds: number): Promise<void> {
    const time = Math.max(0, Date.now() / 1_000 + seconds);
    for (const path of ['fetch.lock', 'holder']) {
      try {
        utimesSync(`${this.root}${queue}/${path}`, time, time);
      } catch {
        // nobody holds it
      }
    }
    return Promise.resolve();
  }

  fill(freeKiB: number): Promise<void> {
    const file = open(`${this.root}${filler}`);
    if (file === undefined) return Promise.resolve();
    let size = 0;
    try {
      for (const piece of [1 << 20, 1 << 16, 1 << 12]) {
        try {
          for (;;) size += writeSync(file, Buffer.alloc(piece), 0, piece, size);
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
        }
      }
      ftruncateSync(file, Math.max(0, size - freeKiB * 1_024));
    } finally {
      closeSync(file);
    }
    return Promise.resolve();
  }

  free(): Promise<void> {
    rmSync(`${this.root}${filler}`, { force: true });
    return Promise.resolve();
  }

  write(manifest: Manifest): Promise<void> {
    return this.#alone(async () => {
      this.#written = manifest;
      // a daemon-reload that is under way may read either
      if (this.#reloads > 0) this.#load(manifest);
      for (const [path, content] of Object.entries(manifestFiles(manifest))) this.#replace(path, content);
    });
  }

  async daemonReload(how: 'daemon-reload' | 'daemon-reexec', times: number): Promise<void> {
    const one = async (): Promise<void> => {
      const done = this.#beginReload();
      const began = performance.now();
      try {
        const { code, stderr } = await this.machine.exec(['systemctl', how], {
          check: false,
          timeoutMs: deadlines.daemonReload * 1_000,
        });
        // another one that is under way makes it say so
        if (code !== 0 && !/already|refus|disconnect|reset|Transport/i.test(stderr) && !this.#closed)
          this.#violation('deadline', `systemctl ${how} failed: ${stderr.trim()}`);
      } catch (error) {
        if (this.#closed) return;
        if (!(error instanceof RunError)) throw error;
        this.#violation('deadline', `systemctl ${how} took more than ${deadlines.daemonReload} s`);
      }
      this.counts.daemonReloads++;
      this.counts.longestReload = Math.max(this.counts.longestReload, performance.now() - began);
      done();
    };
    await Promise.all(Array.from({ length: times }, one));
  }

  /** Into the same directory, each into its own, and as systemd calls it. */
  async generate(times: number): Promise<void> {
    const one = async (index: number): Promise<void> => {
      const directory = `/run/chaos/generated-${index % 2 === 0 ? 'shared' : index}`;
      const generator = '/usr/lib/systemd/system-generators/unit-secrets-generator';
      const call =
        index === 0
          ? `${generator} ${directory} ${directory} ${directory}`
          : `unit-secrets generate --output ${directory}`;
      const began = performance.now();
      try {
        await this.machine.exec(`mkdir -p ${directory} && ${call}`, {
          check: false,
          timeoutMs: deadlines.generator * 1_000,
        });
      } catch (error) {
        if (this.#closed) return;
        if (!(error instanceof RunError)) throw error;
        this.#violation('deadline', `a generator took more than ${deadlines.generator} s`);
      }
      this.counts.generators++;
      this.counts.longestGenerator = Math.max(this.counts.longestGenerator, performance.now() - began);
    };
    await Promise.all(Array.from({ length: times }, (_, index) => one(index)));
    // half a unit has no end of its last line, a temporary name stays where a writer gave up
    const { stdout } = await this.machine.exec(
      `cd /run/chaos && find generated-* -type f \\( -name '*.new' -o -name '.*' -o -name '*~' \\); for file in $(find generated-* -type f ! -name '*.new'); do [ -z "$(tail -c 1 "$file")" ] || echo "$file"; done; rm -rf generated-*`,
      { check: false },
    );
    if (stdout.trim() !== '' && !this.#closed)
      this.#violation('leftovers', `generators side by side left ${stdout.trim().replaceAll('\n', ' ')}`);
  }

  /** Starts something that nobody waits for, but for peace. */
  background(work: Promise<void>): void {
    const settled = work.finally(() => this.#running.delete(settled));
    this.#running.add(settled);
    settled.catch(() => {});
  }

  /** Waits until no more than so many are under way; what went wrong in one is thrown. */
  async atMost(count: number): Promise<void> {
    while (this.#running.size > count) await Promise.race(this.#running);
  }

  // --- what is known

  #violation(kind: Violation['kind'], text: string, unit?: string): void {
    this.#onViolation({ kind, text, ...(unit === undefined ? {} : { unit }) });
  }

  #begin(name: Name, number: number, state: 'up' | 'down' | 'maybe'): void {
    const want = this.#wants.get(name) ?? noWant();
    want.contested ||= [...want.pending.values()].some((other) => other !== state);
    want.pending.set(number, state);
    // what is under way may have taken effect or not
    want.state = 'maybe';
    this.#wants.set(name, want);
  }

  #end(name: Name, number: number, state: 'up' | 'down' | 'maybe', queued: boolean): void {
    const want = this.#wants.get(name);
    if (want === undefined || !want.pending.delete(number)) return;
    if (want.pending.size > 0) {
      want.contested ||= state === 'maybe';
      return;
    }
    want.state = want.contested ? 'maybe' : state;
    want.since = performance.now() + (queued ? stopping : 0);
    want.contested = false;
  }

  #load(manifest: Manifest): Loaded {
    const loaded = { manifest, until: Number.POSITIVE_INFINITY };
    this.#loaded.push(loaded);
    for (const name of names)
      if (entriesUnder(manifest, name).some((entry) => typeof entry === 'string')) this.#hurt.add(name);
    return loaded;
  }

  /** systemd reads the manifest from now on; to be called when it has. */
  #beginReload(): () => void {
    this.#reloads++;
    const loaded = this.#load(this.#written);
    return () => {
      this.#reloads--;
      const index = this.#loaded.indexOf(loaded);
      const now = performance.now();
      for (const [at, earlier] of this.#loaded.entries())
        if (at < index && earlier.until > now) earlier.until = now;
      this.#loaded = this.#loaded.filter(({ until }) => until > now - 10 * lingering);
    };
  }

  #entriesSince(name: Name, at: number): ReadonlySet<Entry> {
    return new Set(
      this.#loaded
        .filter(({ until }) => until > at - lingering)
        .flatMap(({ manifest }) => entriesUnder(manifest, name)),
    );
  }

  /** Judges the starts of a while ago: by now it is known whether a set was replaced meanwhile. */
  judgeStarts(everything = false): void {
    const now = performance.now();
    const due = this.#starts.filter(({ at }) => everything || at < now - settling);
    this.#starts = this.#starts.filter((start) => !due.includes(start));
    for (const { record, at } of due) this.#judge(record, at);
  }

  #judge(record: StartRecord, at: number): void {
    const { name } = record;
    this.counts.starts++;
    const length = Buffer.byteLength(JSON.stringify(record.given));
    if (length * 1.4 > longestRecord)
      throw new Error(`a record of ${name} is too long for a pipe: ${length}`);
    const verdict = judge(record, {
      entries: this.#entriesSince(name, at),
      generations: { from: this.#floor.get(name) ?? 1, to: this.#generation },
      replaced: this.#observer.wasReplaced(name, performance.now() - at + 3_000),
    });
    if ('wrong' in verdict) {
      this.#violation('start', `${name}.service ${verdict.wrong}`, `${name}.service`);
      return;
    }
    if (verdict.generation === undefined) this.counts.startsWithout++;
    else this.#floor.set(name, verdict.generation);
    const want = this.#wants.get(name);
    if (want?.state === 'down' && at > want.since + 500)
      this.#violation('stopped', `${name}.service was started though it had been stopped`, `${name}.service`);
  }

  /** Whom somebody wants up or down, as far as that is certain. */
  wanted(state: 'up' | 'down'): readonly Name[] {
    return names.filter((name) => this.#wants.get(name)?.state === state);
  }

  /** Reads what the emulator has written down since the last time. */
  readRequests(): void {
    let text = '';
    try {
      text = readFileSync(this.root + requestLog, 'utf8');
    } catch {
      return;
    }
    const lines = text.slice(this.#requestsRead).split('\n');
    this.#requestsRead = text.length - (lines.pop()?.length ?? 0);
    const now = performance.now();
    for (const line of lines)
      this.#requests.push({ at: now, name: (JSON.parse(line) as { name: string }).name });
    this.counts.requests += lines.length;
    this.counts.signIns += lines.filter((line) => line.includes('"auth-start"')).length;
    const lately = this.#requests.filter(({ at }) => at > now - 60_000);
    this.#requests.splice(0, this.#requests.length, ...lately);
    const signIns = lately.filter(({ name }) => name === 'auth-start').length;
    this.counts.mostRequests = Math.max(this.counts.mostRequests, lately.length);
    if (signIns > mostSignIns)
      this.#violation('requests', `${signIns} sign-ins within a minute, ${lately.length} requests`);
  }

  // --- peace

  /** After the last fault: what is wanted comes up, what was stopped stays down, nothing is left over. */
  async settle(): Promise<{ readonly healed: number }> {
    for (const pid of this.#frozen) send(pid, 'CONT');
    this.#frozen.clear();
    await this.atMost(0);
    const began = performance.now();
    const up = this.wanted('up').filter((name) => this.#inlineWorks || !isInline(name));
    await this.#heal(up);
    const healed = performance.now() - began;
    await this.#quiet();
    if (await this.#helpKnownGap()) await this.#quiet();
    this.judgeStarts(true);
    const states = await this.#states();
    for (const name of this.wanted('down')) {
      const state = states.get(name) ?? '';
      if (!['inactive', 'failed'].includes(state))
        this.#violation('stopped', `${name}.service is ${state} though it was stopped`, `${name}.service`);
    }
    await this.#leftovers();
    this.#hurt.clear();
    this.#revoked = false;
    return { healed };
  }

  async #heal(up: readonly Name[]): Promise<void> {
    const helped = new Set<Name>();
    const missing = async (): Promise<readonly Name[]> => {
      const states = await this.#states();
      return up.filter((name) => states.get(name) !== 'active');
    };
    const deadline = performance.now() + deadlines.heal * 1_000;
    for (;;) {
      await this.#helpKnownGap();
      const left = await missing();
      if (left.length === 0 || this.#closed) return;
      for (const name of left) {
        if (helped.has(name)) continue;
        const permanent = this.#hasPermanentFailure(name);
        if (permanent && !this.#revoked && !this.#hurt.has(name)) {
          this.#violation('permanent', `what passes was taken for permanent: ${name}`, fetchingUnit(name));
          return;
        }
        // as a person would who has mended what was wrong
        if (!permanent && !this.#hurt.has(name)) continue;
        helped.add(name);
        this.counts.helped++;
        const verb = permanent ? 'unit-secrets retry' : 'systemctl start';
        this.background(this.machine.exec(`${verb} '${name}'`, { check: false }).then(() => {}));
      }
      if (performance.now() > deadline) {
        const all = left.map((name) => `${name}.service`).join(', ');
        const what = `${all} did not come up within ${deadlines.heal} s after the last fault`;
        this.#violation('healing', what, `${left[0]}.service`);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  /**
   * A daemon-reload that brings another edition between the end of a fetch and that of the rendering leaves a service
   * with a failed assertion, which triggers nothing: docs/reliability.md.
   */
  async #helpKnownGap(): Promise<boolean> {
    let helped = false;
    for (const name of withConfig) {
      const { stdout } = await this.machine.exec(
        `systemctl show --property=ActiveState,AssertResult,Job '${name}.service'`,
      );
      if (!/^ActiveState=inactive$/m.test(stdout) || !/^AssertResult=no$/m.test(stdout)) continue;
      if (/^Job=[1-9]/m.test(stdout)) continue;
      helped = true;
      this.counts.knownGaps++;
      const down = this.#wants.get(name)?.state === 'down';
      const text = down ? `systemctl stop ${companion(name, 'secrets')}` : `systemctl start ${name}`;
      this.background(this.machine.exec(text, { check: false }).then(() => {}));
    }
    if (helped) await this.atMost(0);
    return helped;
  }

  #hasPermanentFailure(name: Name): boolean {
    try {
      const text = readFileSync(`${this.root}${queue}/${name}.service.state`, 'utf8');
      const state = JSON.parse(text) as { state?: string; failure?: { class?: string }; reload?: boolean };
      return state.state === 'failed' && state.failure?.class === 'permanent' && state.reload !== true;
    } catch {
      return false;
    }
  }

  /** No job, no fetcher and no request any more. */
  async #quiet(): Promise<void> {
    const isQuiet = async (): Promise<boolean> => {
      await this.atMost(0);
      if (this.#observer.processesOf(/unit-secrets (?:fetch|resolve-child|render|apply|retry)/).length > 0)
        return false;
      return (await this.machine.exec('systemctl list-jobs --no-legend')).stdout.trim() === '';
    };
    try {
      await poll(isQuiet, 'the machine to be quiet', deadlines.quiet * 1_000);
    } catch (error) {
      if (this.#closed) return;
      const jobs = (await this.machine.exec('systemctl list-jobs --no-legend', { check: false })).stdout;
      const left = this.#observer
        .processesOf(/unit-secrets /)
        .map(({ unit, commandLine }) => `${unit}: ${commandLine}`);
      this.#violation(
        'leftovers',
        `${error instanceof Error ? error.message : ''}; jobs:\n${jobs}\nprocesses:\n${left.join('\n')}`,
      );
    }
  }

  async #states(): Promise<ReadonlyMap<Name, string>> {
    const units = names.map((name) => `${name}.service`);
    const { stdout } = await this.machine.exec(['systemctl', 'show', '--property=Id,ActiveState', ...units]);
    return new Map(
      stdout
        .split('\n\n')
        .map((text) => [
          (/^Id=(.*)\.service$/m.exec(text)?.[1] ?? '') as Name,
          /^ActiveState=(.*)$/m.exec(text)?.[1] ?? '',
        ]),
    );
  }

  async #leftovers(): Promise<void> {
    // whom a retry starts meanwhile is not down any more
    const script = async (): Promise<string> => {
      const states = await this.#states();
      const down = names.filter(
        (name) => !isInline(name) && ['inactive', 'failed'].includes(states.get(name) ?? ''),
      );
      return `
ls -A ${queue} | grep -E '\\.(answer|new)$' | sed 's|^|${queue}/|'
# one of a dead process has no secret, and is swept by whoever comes next
for request in ${queue}/*.request; do pid=\${request##*/}; [ ! -e "/proc/\${pid%%-*}" ] || echo "$request"; done
find /run/unit-secrets ${'/run/epsilon /run/epsilon-else'} -name '.unit-secrets-new' 2>/dev/null
${down.map((name) => `[ ! -e '/run/unit-secrets/secrets/${name}' ] || echo '/run/unit-secrets/secrets/${name}'`).join('\n')}
ps -eo stat=,pid=,comm= | grep '^Z' | sed 's/^/zombie /'
:`;
    };
    let last = '';
    try {
      await poll(
        async () => {
          last = (await this.machine.exec(await script())).stdout.trim();
          return last === '';
        },
        'leftovers to be gone',
        30_000,
      );
    } catch (error) {
      if (this.#closed) return;
      if (last === '') throw error;
      this.#violation(
        last.includes('zombie') ? 'zombie' : 'leftovers',
        `left over: ${last.replaceAll('\n', ', ')}`,
      );
    }
  }

  /** With everything up and nobody who wants something, nobody asks. */
  async requireSilence(milliseconds: number): Promise<void> {
    // a retry that is pending is somebody who wants something; one whose service runs stays active as long as that
    await this.machine.waitFor(
      [
        'bash',
        '-c',
        '[ -z "$(systemctl list-units --no-legend --state=waiting "*-retry*.timer"; systemctl list-jobs --no-legend)" ]',
      ],
      'retries to be over',
    );
    this.readRequests();
    const before = this.counts.requests;
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    this.readRequests();
    if (this.counts.requests > before)
      this.#violation('requests', `${this.counts.requests - before} requests though nobody wants anything`);
  }

  /** The power goes and comes back: nothing of before may be seen any more. */
  async cutPower(): Promise<void> {
    this.#observer.stop();
    this.judgeStarts(true);
    await this.machine.reboot();
    this.#requestsRead = 0;
    for (const name of names) {
      this.#wants.set(name, noWant());
      this.#floor.set(name, this.#generation);
    }
    this.#loaded = [{ manifest: this.#written, until: Number.POSITIVE_INFINITY }];
    this.#observer = this.#observe();
    await this.machine.waitFor(['bash', '-c', ': </dev/tcp/127.0.0.1/8080'], 'the emulator to listen');
  }

  close(): void {
    this.#closed = true;
    this.#observer.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.machine.kill();
  }

  // --- helpers

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#exclusive.then(work, work);
    this.#exclusive = next.catch(() => {});
    return next;
  }

  async #control(method: string, path: string, body: object = {}): Promise<void> {
    try {
      await this.#emulated.control(method, path, body);
    } catch (error) {
      // it may be gone just now, and then has nothing to forget; but it must not refuse
      if (error instanceof Error && error.message.includes('the emulator says: HTTP')) throw error;
    }
  }

  #vaultDamaged = false;

  #writeVault(): void {
    const sealed = seal(JSON.stringify(vaultOf(this.#generation)), this.#emulated.key);
    this.#replace(vaultPath, this.#vaultDamaged ? 'damaged\n' : sealed);
  }

  /** From outside: a process in there for each would be slow. */
  #replace(path: string, content: string | Uint8Array, mode = 0o644): void {
    const file = this.root + path;
    writeFileSync(`${file}.part`, content, { mode });
    renameSync(`${file}.part`, file);
  }
}

const noWant = (): Want => ({
  state: 'maybe',
  since: performance.now(),
  pending: new Map(),
  contested: false,
});

const restartsItself = (name: Name): boolean => !['alpha', 'gamma', 'delta@1', 'zeta'].includes(name);

function dataOf(generation: number): string {
  const vaults = Object.entries(vaultOf(generation)).map(([vault, items]) => [
    vault,
    { items: Object.fromEntries(Object.entries(items).map(([item, fields]) => [item, { fields }])) },
  ]);
  return JSON.stringify({ vaults: Object.fromEntries(vaults) });
}

function send(pid: number, signal: 'KILL' | 'STOP' | 'CONT'): void {
  try {
    process.kill(pid, `SIG${signal}`);
  } catch {
    // it has ended meanwhile
  }
}

function open(path: string): number | undefined {
  try {
    return openSync(path, 'w', 0o600);
  } catch {
    // not mounted yet, or full already
    return undefined;
  }
}
