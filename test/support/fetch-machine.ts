/** A machine's directories, with generated units and an emulator to ask, for the program as it is built. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from '../../generators/unit-secrets-generator.ts';
import { paths } from '../../src/unit/paths.ts';
import { binary } from '../build/binary.ts';
import { type Emulator, type EmulatorOptions, startEmulator } from '../emulator/server.ts';
import { manifestPath } from './manifests.ts';

export interface Fetched {
  readonly exitCode: number | null;
  readonly stderr: string;
  /** The names of the requests that the emulator got meanwhile. */
  readonly requests: readonly string[];
  readonly milliseconds: number;
}

export class FetchMachine {
  readonly root: string;
  readonly emulator: Emulator;
  readonly #program: string;

  private constructor(root: string, emulator: Emulator, program: string) {
    this.root = root;
    this.emulator = emulator;
    this.#program = program;
  }

  /** @param data what the vaults hold */
  static async start(data: EmulatorOptions['data']): Promise<FetchMachine> {
    const program = await binary();
    const root = mkdtempSync(join(tmpdir(), 'unit-secrets-machine-'));
    const machine = new FetchMachine(root, await startEmulator({ data }), program);
    machine.setToken(machine.emulator.token);
    return machine;
  }

  async stop(): Promise<void> {
    await this.emulator.close();
    rmSync(this.root, { recursive: true });
  }

  /** The path of the executable. */
  get program(): string {
    return this.#program;
  }

  get queue(): string {
    return this.root + paths.queue;
  }

  setToken(token: string): void {
    const path = this.root + paths.token;
    mkdirSync(join(path, '..'), { recursive: true });
    rmSync(path, { force: true });
    writeFileSync(path, token, { mode: 0o400 });
  }

  /** Generates the units of some services; their directories are made anew, as by a start. */
  async load(
    services: Readonly<Record<string, Readonly<Record<string, string>>>>,
    fetch: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    const entries = Object.entries(services).map(([name, environment]) => [name, { environment }]);
    const manifest = { version: 1, fetch, services: Object.fromEntries(entries) };
    mkdirSync(join(this.root, manifestPath, '..'), { recursive: true });
    writeFileSync(join(this.root, manifestPath), JSON.stringify(manifest));
    const units = this.root + paths.generated;
    rmSync(units, { recursive: true, force: true });
    await generate(units, { root: this.root, executable: this.#program });
    for (const name of Object.keys(services)) this.wipe(name);
  }

  /** What systemd does with the directory of a unit that has stopped and starts again. */
  wipe(name: string): void {
    const directory = this.directoryOf(name);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  directoryOf(name: string): string {
    return `${this.root}${paths.secrets}/${name}`;
  }

  /** The environment file of a service; undefined if it has none. */
  environmentOf(name: string): string | undefined {
    try {
      return readFileSync(`${this.directoryOf(name)}/env`, 'utf8');
    } catch {
      return undefined;
    }
  }

  /** What is in the request area, but for what is remembered. */
  leftovers(): readonly string[] {
    return readdirSync(this.queue).filter((name) => !name.endsWith('.state') && name !== 'cool-down');
  }

  forget(): void {
    rmSync(this.queue, { recursive: true, force: true });
  }

  spawn(name: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn(this.#program, ['fetch', name, '--root', this.root], {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
      // so that a test can end it with all that it has started
      detached: true,
    });
  }

  /** Runs `fetch NAME` to its end. */
  async fetch(name: string, env: NodeJS.ProcessEnv = {}): Promise<Fetched> {
    const before = this.emulator.requests.length;
    const begin = performance.now();
    const child = this.spawn(name, env);
    const chunks: Buffer[] = [];
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
    const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return {
      exitCode,
      stderr: Buffer.concat(chunks).toString('utf8'),
      requests: this.emulator.requests.slice(before).map((request) => request.name),
      milliseconds: performance.now() - begin,
    };
  }
}
