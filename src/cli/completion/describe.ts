import type { buildProgram } from '../command-line.ts';

type Command = ReturnType<typeof buildProgram>;

/** What an argument, or the value of an option, is completed to; an array: to one of these words. */
export type Kind = 'command' | 'directory' | 'file' | 'service' | 'nothing' | readonly string[];

/** Of every name that the command line gives to an argument or a value: what it stands for. */
export const kinds: Readonly<Record<string, Kind>> = {
  command: 'command',
  dir: 'directory',
  field: 'nothing',
  file: 'file',
  files: 'file',
  item: 'nothing',
  key: 'file',
  name: 'nothing',
  path: 'file',
  recipient: 'nothing',
  reference: 'nothing',
  service: 'service',
  services: 'service',
  user: 'nothing',
  vault: 'nothing',
};

export interface DescribedArgument {
  readonly name: string;
  readonly kind: Kind;
  readonly variadic: boolean;
}

export interface DescribedOption {
  /** `-h`, `--help` */
  readonly flags: readonly string[];
  readonly description: string;
  /** Of an option that takes a value. */
  readonly value: DescribedArgument | undefined;
}

export interface DescribedCommand {
  /** From below the program: `token open`; '' is the program itself. */
  readonly path: string;
  readonly name: string;
  readonly description: string;
  readonly commands: readonly DescribedCommand[];
  readonly options: readonly DescribedOption[];
  readonly arguments: readonly DescribedArgument[];
}

/** The commands and options that the help shows, as plain data. */
export function describeCommands(program: Command): DescribedCommand {
  return describe(program, '');
}

/** A command and all below it. */
export function allCommands(command: DescribedCommand): readonly DescribedCommand[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function describe(command: Command, path: string): DescribedCommand {
  const help = command.createHelp();
  const name = command.name();
  return {
    path,
    name,
    description: command.description(),
    commands: help
      .visibleCommands(command)
      .map((one) => describe(one, path === '' ? one.name() : `${path} ${one.name()}`)),
    options: help.visibleOptions(command).map((option) => ({
      flags: [option.short, option.long].filter((flag) => flag !== undefined),
      description: option.description,
      value: option.required || option.optional ? describeValue(option.attributeName(), option) : undefined,
    })),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      kind: argument.argChoices ?? kinds[argument.name()] ?? 'nothing',
      variadic: argument.variadic,
    })),
  };
}

/** The name of a value is in the flags: `--root <dir>`. */
function describeValue(
  attribute: string,
  option: { readonly flags: string; readonly argChoices?: string[] | undefined; readonly variadic: boolean },
): DescribedArgument {
  const name = /[<[]([^\]>.]+)/.exec(option.flags)?.[1] ?? attribute;
  return { name, kind: option.argChoices ?? kinds[name] ?? 'nothing', variadic: option.variadic };
}
