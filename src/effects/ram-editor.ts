import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { exitCodes } from '../domain/exit-codes.ts';
import { permanentFailure } from './read-limited.ts';
import { writeNew } from './secret-directory.ts';

/** statfs(2): the file systems that are in memory. */
const memory = [0x01021994, 0x858458f6];

/** A text that a person edits, in a file in memory. */
export interface EditedText {
  /** Has the person edit it, once more if called again; gives the text that was saved. */
  edit(): Promise<string>;
  /** Where it is, for when it must be kept. */
  readonly path: string;
  remove(): void;
}

/**
 * Puts a text into a file in memory, 0600 in a directory 0700, for `$VISUAL`, `$EDITOR` or vi. The directory is
 * also the editor's TMPDIR. It must be removed; a signal that ends this process removes it, too.
 *
 * @throws FailureError with 73 where no file system in memory can be written to
 */
export function openInMemory(text: string, name: string): EditedText {
  const directory = memoryDirectory();
  const path = join(directory, name);
  const discard = (): void => rmSync(directory, { recursive: true, force: true });
  const end = (signal: NodeJS.Signals): void => {
    discard();
    unguard();
    process.kill(process.pid, signal);
  };
  const guard = (): void => {
    for (const signal of signals) process.on(signal, end);
  };
  const unguard = (): void => {
    for (const signal of signals) process.off(signal, end);
  };
  guard();
  writeNew(path, text, 0o600);
  return {
    path,
    async edit() {
      // the signals of a terminal are the editor's while it runs
      unguard();
      try {
        await runEditor(path, directory);
      } finally {
        guard();
      }
      try {
        return readFileSync(path, 'utf8');
      } catch {
        throw permanentFailure(exitCodes.dataError, path, 'the editor left no file', 'nothing was changed');
      }
    },
    remove: () => {
      discard();
      unguard();
    },
  };
}

const signals = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'] as const;

function memoryDirectory(): string {
  for (const parent of [process.env['XDG_RUNTIME_DIR'], '/dev/shm', '/run']) {
    if (parent === undefined) continue;
    try {
      // somebody else's, as sudo may leave it: they could put a directory of their own in the place of ours
      const { uid, mode } = statSync(parent);
      if (uid !== process.geteuid?.() && uid !== 0) continue;
      if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0) continue;
      // 0700 by mkdtemp(3)
      if (memory.includes(statfsSync(parent).type)) return mkdtempSync(join(parent, 'unit-secrets-edit-'));
    } catch {
      // not there, or not for us: the next one
    }
  }
  throw permanentFailure(
    exitCodes.cannotCreate,
    '/dev/shm',
    'there is no file system in memory that can be written to',
    'use "vault set", or mount a tmpfs there',
  );
}

async function runEditor(path: string, directory: string): Promise<void> {
  const editor = process.env['VISUAL'] || process.env['EDITOR'] || 'vi';
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', path], {
    stdio: 'inherit',
    env: { ...process.env, TMPDIR: directory },
  });
  // Ctrl-C is the editor's; whoever ends us ends the editor, and the file is removed behind it
  const ignore = (): void => {};
  const pass = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  process.on('SIGINT', ignore).on('SIGQUIT', ignore).on('SIGTERM', pass).on('SIGHUP', pass);
  try {
    const status = await new Promise<number | null>((resolve) => {
      child.once('error', () => resolve(null));
      child.once('close', resolve);
    });
    if (status !== 0) {
      // sh(1): what cannot be executed, or is not there
      const missing = status === 126 || status === 127;
      throw permanentFailure(
        missing ? exitCodes.configuration : exitCodes.problems,
        editor.split(' ', 1)[0] ?? editor,
        `the editor ended with ${status === null ? 'a signal' : `exit code ${status}`}`,
        'nothing was changed; set EDITOR to another',
      );
    }
  } finally {
    process.off('SIGINT', ignore).off('SIGQUIT', ignore).off('SIGTERM', pass).off('SIGHUP', pass);
  }
}
