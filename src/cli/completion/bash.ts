import { allCommands, type DescribedCommand, type Kind } from './describe.ts';

/** A completion script for bash 4.4 or later, with or without the package bash-completion. */
export function bashCompletion(program: DescribedCommand): string {
  const commands = allCommands(program);
  const values = commands.flatMap(({ path, options }) =>
    options.flatMap(({ flags, value }) =>
      value === undefined ? [] : flags.map((flag) => ({ when: `${path} ${flag}`, kind: value.kind })),
    ),
  );
  return `# bash completion for unit-secrets: printed by 'unit-secrets completion bash'

# what there is in a command
_unit_secrets_describe() {
    subcommands=() options=() arguments=() variadic=
    case $1 in
${commands.map(describeCase).join('\n')}
    esac
}

# what the value of an option is, as kind; fails for an option that takes none
_unit_secrets_value() {
    case $1 in
${values.map(({ when, kind }) => `        ${quote(when)}) kind=${quote(text(kind))} ;;`).join('\n')}
        *) return 1 ;;
    esac
}

# what there is beside a command
_unit_secrets_beside() {
    local path=" $1"
    path=\${path% *}
    _unit_secrets_describe "\${path# }"
}

# the services that the generator last wrote a drop-in for
_unit_secrets_services() {
    local path name
    for path in "$1"/run/systemd/generator/*.service.d/50-unit-secrets.conf; do
        [[ -e $path ]] || continue
        # a template that is kept down is no service
        [[ $path != *@.service.d/* ]] || continue
        name=\${path%.service.d/*}
        candidates+=("\${name##*/}")
    done
}

_unit_secrets() {
    # as the user sees it: bash itself takes @, : and = for ends of words
    local line=\${COMP_LINE:0:COMP_POINT} words word
    read -r -a words <<<"$line"
    [[ $line != *[[:space:]] ]] || words+=('')
    word=\${words[\${#words[@]} - 1]}

    local subcommands options arguments variadic kind command='' option='' root='' given=0 only_arguments='' i
    _unit_secrets_describe ''
    for ((i = 1; i < \${#words[@]} - 1; i++)); do
        if [[ -n $option ]]; then
            [[ $option != --root ]] || root=\${words[i]}
            option=
        elif [[ -n $only_arguments ]]; then
            given=$((given + 1))
        elif [[ \${words[i]} == -- ]]; then
            only_arguments=yes
        elif [[ \${words[i]} == --root=* ]]; then
            root=\${words[i]#--root=}
        elif [[ \${words[i]} == -* ]]; then
            ! _unit_secrets_value "$command \${words[i]}" || option=\${words[i]}
        elif [[ " \${subcommands[*]} " == *" \${words[i]} "* ]]; then
            command=\${command:+$command }\${words[i]}
            _unit_secrets_describe "$command"
        else
            given=$((given + 1))
        fi
    done

    kind=
    local candidates=() candidate lead
    if [[ -z $option && -z $only_arguments && $word == --*=* ]]; then
        option=\${word%%=*} word=\${word#*=}
    fi
    if [[ -n $option ]]; then
        _unit_secrets_value "$command $option" || return 0
    elif [[ $word == -* && -z $only_arguments ]]; then
        candidates=("\${options[@]}") kind=nothing
    elif [[ \${#subcommands[@]} -gt 0 ]]; then
        candidates=("\${subcommands[@]}") kind=nothing
    elif [[ $given -lt \${#arguments[@]} ]]; then
        kind=\${arguments[given]}
    elif [[ -n $variadic ]]; then
        kind=\${arguments[\${#arguments[@]} - 1]}
    fi

    COMPREPLY=()
    case $kind in
        directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
        file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        service) _unit_secrets_services "\${root%/}" ;;
        command) _unit_secrets_beside "$command"; candidates=("\${subcommands[@]}") ;;
        one\\ of\\ *) read -r -a candidates <<<"\${kind#one of }" ;;
    esac
    # bash replaces only what comes after the last character that it takes for the end of a word; from @ on
    lead=\${word%"\${word##*[$COMP_WORDBREAKS]}"}
    lead=\${lead%@}
    for candidate in "\${candidates[@]}"; do
        [[ $candidate == "$word"* ]] || continue
        candidate=\${candidate#"$lead"}
        COMPREPLY+=("\${candidate//\\\\/\\\\\\\\}")
    done
}

complete -F _unit_secrets unit-secrets
`;
}

function describeCase(command: DescribedCommand): string {
  const words = (list: readonly string[]): string => list.map(quote).join(' ');
  const parts = [
    `subcommands=(${words(command.commands.map(({ name }) => name))})`,
    `options=(${words(command.options.flatMap(({ flags }) => flags))})`,
    `arguments=(${words(command.arguments.map(({ kind }) => text(kind)))})`,
    ...(command.arguments.at(-1)?.variadic ? ['variadic=yes'] : []),
  ].filter((part) => !part.endsWith('=()'));
  return `        ${quote(command.path)}) ${parts.join(' ')} ;;`;
}

function text(kind: Kind): string {
  return typeof kind === 'string' ? kind : `one of ${kind.join(' ')}`;
}

function quote(word: string): string {
  return /^[A-Za-z0-9_./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
