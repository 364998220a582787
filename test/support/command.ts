import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const entryPoint = join(import.meta.dirname, '../../src/main.ts');

export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
}

function run(program: string, args: readonly string[], options: RunOptions): Outcome {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    input: options.input ?? '',
    env: { PATH: process.env['PATH'], ...options.env },
    timeout: 60_000,
  });
  return { exitCode: status, stdout, stderr };
}

/** How to run the program from source. */
export const sourceCommand: readonly [string, ...string[]] = [process.execPath, entryPoint];

/** Runs the program from source, as a process of its own with an environment of its own. */
export function unitSecrets(args: readonly string[], options: RunOptions = {}): Outcome {
  return run(process.execPath, [entryPoint, ...args], options);
}

/** Runs an executable as a process of its own, likewise. */
export function runnerOf(program: string): typeof unitSecrets {
  return (args, options = {}) => run(program, args, options);
}

/** Runs a module's text with the sources beside it, as a process of its own. */
export function runModule(text: string, env: NodeJS.ProcessEnv = {}): Outcome {
  const source = join(import.meta.dirname, '../../src');
  return run(process.execPath, ['--input-type=module', '-e', text.replaceAll('SOURCE', source)], { env });
}
