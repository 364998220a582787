import { resolve } from 'node:path';
import { Option } from './commander.ts';

export function rootOption(): Option {
  return new Option('--root <dir>', 'look for the files of this machine below this directory').default(
    '',
    'this machine',
  );
}

export function jsonOption(): Option {
  return new Option('--json', 'print JSON for programs instead of text for people');
}

/** A root as it is put in front of absolute paths: '' for this machine. */
export function rootOf(text: string): string {
  return text === '' ? '' : resolve(text).replace(/\/$/, '');
}

/** An option that can be given more than once. */
export function listOption(flags: string, description: string): Option {
  return new Option(flags, description)
    .default([], 'none')
    .argParser((value: string, all: readonly string[]) => [...all, value]);
}
