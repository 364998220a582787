import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import type { buildProgram } from './command-line.ts';
import { bashCompletion } from './completion/bash.ts';
import { describeCommands } from './completion/describe.ts';
import { fishCompletion } from './completion/fish.ts';
import { zshCompletion } from './completion/zsh.ts';
import { toExitCode } from './report-failure.ts';
import { print } from './terminal.ts';

const writers = { bash: bashCompletion, fish: fishCompletion, zsh: zshCompletion } as const;

export type Shell = keyof typeof writers;

/** The shells that there is a completion for. */
export const shells: readonly Shell[] = ['bash', 'zsh', 'fish'];

/** The completion script of a shell, made of the commands and options that the program has. */
export function completionText(shell: Shell, program: ReturnType<typeof buildProgram>): string {
  return writers[shell](describeCommands(program));
}

/** `completion SHELL`: prints the completion script. */
export function completionCommand(shell: Shell, program: ReturnType<typeof buildProgram>): Promise<ExitCode> {
  return toExitCode(() => {
    print(completionText(shell, program));
    return exitCodes.ok;
  });
}
