import {
  allCommands,
  type DescribedArgument,
  type DescribedCommand,
  type DescribedOption,
  type Kind,
} from './describe.ts';

/** A completion script for fish 3. */
export function fishCompletion(program: DescribedCommand): string {
  const commands = allCommands(program);
  const paths = commands.map(({ path }) => quote(path)).filter((path) => path !== "''");
  const valued = commands.flatMap(({ path, options }) =>
    options
      .filter(({ value }) => value !== undefined)
      .flatMap(({ flags }) => flags.map((flag) => quote(`${path} ${flag}`))),
  );
  return `# fish completion for unit-secrets: printed by 'unit-secrets completion fish'

# the command that is being typed, and after it how many arguments it has been given
function __unit_secrets_place
    set -l path
    set -l given 0
    set -l skip no
    for word in (commandline -opc)[2..]
        if test $skip = yes
            set skip no
        else if string match -q -- '-*' $word
            contains -- "$path $word" ${valued.join(' ')}; and set skip yes
        else if contains -- (string trim -- "$path $word") ${paths.join(' ')}
            set path (string trim -- "$path $word")
        else
            set given (math $given + 1)
        end
    end
    echo "$path"
    echo $given
end

function __unit_secrets_in
    set -l place (__unit_secrets_place)
    test "$place[1]" = "$argv[1]"
end

# after so many arguments, or more
function __unit_secrets_at
    set -l place (__unit_secrets_place)
    test "$place[1]" = "$argv[1]"; and test "$place[2]" $argv[2] "$argv[3]"
end

# the services that the generator last wrote a drop-in for
function __unit_secrets_services
    set -l root (string match -r -g -- '--root[= ](\\S+)' (commandline -pc))
    set -l paths (string trim -r -c / -- "$root")/run/systemd/generator/*.service.d/50-unit-secrets.conf
    # a template that is kept down is no service
    for path in (string match -v -- '*@.service.d/*' $paths)
        string replace -r -- '.*/(.*)\\.service\\.d/[^/]*$' '$1' $path
    end
end

complete -c unit-secrets -f
${commands.flatMap((command) => linesOf(command, program)).join('\n')}
`;
}

function linesOf(command: DescribedCommand, program: DescribedCommand): readonly string[] {
  const inside = `-n ${quote(`__unit_secrets_in ${quote(command.path)}`)}`;
  const last = command.arguments.length - 1;
  return [
    ...command.commands.map(
      ({ name, description }) =>
        `complete -c unit-secrets ${atArgument(command, 0, false)} -a ${name} -d ${quote(description)}`,
    ),
    ...command.options.map((option) => `complete -c unit-secrets ${inside} ${optionWords(option)}`),
    ...command.arguments
      .map((argument, index) => ({ action: actionOf(argument, command, program), argument, index }))
      .filter(({ action }) => action !== '')
      .map(
        ({ action, argument, index }) =>
          `complete -c unit-secrets ${atArgument(command, index, argument.variadic && index === last)} ${action}`,
      ),
  ];
}

function atArgument({ path }: DescribedCommand, index: number, orLater: boolean): string {
  return `-n ${quote(`__unit_secrets_at ${quote(path)} ${orLater ? '-ge' : '-eq'} ${index}`)}`;
}

function optionWords({ flags, description, value }: DescribedOption): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const rest = value === undefined ? [] : ['-r', ofKind(value.kind)];
  return [...names, ...rest, '-d', quote(description)].filter((word) => word !== '').join(' ');
}

function actionOf(argument: DescribedArgument, command: DescribedCommand, program: DescribedCommand): string {
  if (argument.kind !== 'command') return ofKind(argument.kind);
  // \`help\` takes the name of a command beside it
  const parent = allCommands(program).find(({ commands }) => commands.includes(command)) ?? program;
  return `-a ${quote(parent.commands.map(({ name }) => name).join(' '))}`;
}

function ofKind(kind: Kind): string {
  if (typeof kind !== 'string') return `-a ${quote(kind.join(' '))}`;
  return {
    command: '',
    directory: "-a '(__fish_complete_directories)'",
    file: '-F',
    service: "-a '(__unit_secrets_services)'",
    nothing: '',
  }[kind];
}

function quote(word: string): string {
  return `'${word.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
