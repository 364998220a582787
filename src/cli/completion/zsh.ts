import {
  allCommands,
  type DescribedArgument,
  type DescribedCommand,
  type DescribedOption,
} from './describe.ts';

/** A completion script for zsh, to be found as `_unit-secrets` in its fpath. */
export function zshCompletion(program: DescribedCommand): string {
  return `#compdef unit-secrets
# zsh completion for unit-secrets: printed by 'unit-secrets completion zsh'

# the services that the generator last wrote a drop-in for
_unit_secrets_services() {
  local root=\${\${(v)opt_args[--root]}%/}
  local -a services=($root/run/systemd/generator/*.service.d/50-unit-secrets.conf(N:h:t))
  services=(\${services%.service.d})
  # a template that is kept down is no service
  services=(\${services:#*@})
  _wanted services expl service compadd -a services
}

${allCommands(program)
  .map((command) => functionOf(command, program))
  .join('\n\n')}

if [ "$funcstack[1]" = _unit-secrets ]; then
  _unit_secrets "$@"
else
  compdef _unit_secrets unit-secrets
fi
`;
}

function functionOf(command: DescribedCommand, program: DescribedCommand): string {
  const options = command.options.flatMap(optionSpecs);
  const open = `${nameOf(command)}() {`;
  if (command.commands.length === 0) {
    const specs = [
      ...options,
      ...command.arguments.map((argument) => argumentSpec(argument, command, program)),
    ];
    return `${open}\n  typeset -A opt_args\n  _arguments -s -S ${specs.map((spec) => `\\\n    ${quote(spec)}`).join(' ')}\n}`;
  }
  const specs = [...options, '1: :->command', '*:: :->rest'];
  return `${open}
  local curcontext=$curcontext state line ret=1
  typeset -A opt_args
  _arguments -C -S ${specs.map((spec) => `\\\n    ${quote(spec)}`).join(' ')} && ret=0
  case $state in
    command)
      local -a commands=(${commandWords(command)})
      _describe -t commands command commands && ret=0
      ;;
    rest)
      case $line[1] in
${command.commands.map((one) => `        ${one.name}) ${nameOf(one)} && ret=0 ;;`).join('\n')}
      esac
      ;;
  esac
  return ret
}`;
}

function nameOf({ path }: DescribedCommand): string {
  return ['_unit_secrets', ...path.split(/[ -]/)].filter((part) => part !== '').join('_');
}

function commandWords({ commands }: DescribedCommand): string {
  return commands
    .map(({ name, description }) => quote(`${name}:${description.replaceAll(':', '\\:')}`))
    .join(' ');
}

/** Each flag shuts out its synonyms, and help and the version everything else. */
function optionSpecs({ flags, description, value }: DescribedOption): readonly string[] {
  const alone = flags.includes('--help') || flags.includes('--version');
  const others = alone ? '(- *)' : flags.length > 1 ? `(${flags.join(' ')})` : '';
  const what = `[${description.replaceAll(/[[\]\\:]/g, '\\$&')}]`;
  const rest = value === undefined ? '' : `:${value.name}:${actionOf(value)}`;
  return flags.map((flag) => {
    const repeated = value?.variadic ? '*' : '';
    return `${repeated}${others}${flag}${rest !== '' && flag.startsWith('--') ? '=' : ''}${what}${rest}`;
  });
}

function argumentSpec(
  argument: DescribedArgument,
  command: DescribedCommand,
  program: DescribedCommand,
): string {
  const action = argument.kind === 'command' ? `(${siblings(command, program)})` : actionOf(argument);
  return `${argument.variadic ? '*' : ''}:${argument.name}:${action}`;
}

/** `help` takes the name of a command beside it. */
function siblings(command: DescribedCommand, program: DescribedCommand): string {
  const parent = allCommands(program).find(({ commands }) => commands.includes(command)) ?? program;
  return parent.commands.map(({ name }) => name).join(' ');
}

/** `()` and not a message: that would keep zsh from completing the options, too. */
function actionOf({ kind }: DescribedArgument): string {
  if (typeof kind !== 'string') return `(${kind.join(' ')})`;
  return {
    command: '()',
    directory: '_files -/',
    file: '_files',
    service: '_unit_secrets_services',
    nothing: '()',
  }[kind];
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
