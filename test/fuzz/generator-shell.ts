/** Runs the built program in generator mode, again and again, from one shell. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

export interface GeneratorRun {
  /** 128 and more: ended by a signal, 137 when it took longer than the deadline. */
  readonly exitCode: number;
  readonly milliseconds: number;
}

/** Seconds; a generator has 90 together with all others. */
const deadline = 85;

/**
 * A shell in a mount namespace without /dev/kmsg, so that thousands of runs do not fill the machine's log. A
 * shell starts a program in a millisecond, which this process would take ten for.
 */
export class GeneratorShell implements AsyncDisposable {
  readonly #shell: ChildProcess;
  readonly #answers: Interface;
  #waiting: ((line: string | undefined) => void) | undefined;

  constructor(program: string) {
    const script = `
      mount --bind /dev/null /dev/kmsg 2>/dev/null
      while read -r root out initrd; do
        UNIT_SECRETS_ROOT=$root timeout --signal=KILL ${deadline} "$0" "$out/normal" "$out/early" "$out/late" \
          </dev/null >"$out/stdout" 2>"$out/stderr"
        echo "$?"
      done`;
    this.#shell = spawn('unshare', ['--mount', '--propagation=private', 'bash', '-c', script, program], {
      stdio: ['pipe', 'pipe', 'ignore'],
      cwd: '/',
      env: { PATH: process.env['PATH'] },
    });
    if (!this.#shell.stdin || !this.#shell.stdout) throw new Error('no pipes to the shell');
    this.#answers = createInterface({ input: this.#shell.stdout });
    this.#answers.on('line', (line) => this.#waiting?.(line));
    this.#shell.once('close', () => this.#waiting?.(undefined));
  }

  /**
   * @param root what is read, as UNIT_SECRETS_ROOT
   * @param out has the directories normal, early and late; what is printed is left there as stdout and stderr
   */
  async run(root: string, out: string): Promise<GeneratorRun> {
    const started = performance.now();
    const line = await new Promise<string | undefined>((resolve) => {
      this.#waiting = resolve;
      this.#shell.stdin?.write(`${root} ${out}\n`);
    });
    if (line === undefined) throw new Error('the shell that runs the generator has ended');
    return { exitCode: Number(line), milliseconds: performance.now() - started };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#shell.stdin?.end();
    if (this.#shell.exitCode === null) await new Promise((resolve) => this.#shell.once('exit', resolve));
  }
}
