import { resolve } from 'node:path';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { nearest } from '../domain/suggest.ts';
import { writeErr } from '../effects/standard-error.ts';
import { writeOut } from '../effects/standard-output.ts';
import { buildIdentity } from '../version.ts';
import { Argument, Command, CommanderError } from './commander.ts';
import { jsonOption, rootOf, rootOption } from './options.ts';
import { toExitCode } from './report-failure.ts';
import { addReadCommand, addTokenCommands, addVaultCommands } from './secret-commands.ts';

/**
 * The command line, `unit-secrets COMMAND …`.
 *
 * @returns the exit code; 64 for anything that it does not know
 */
export async function runCommandLine(args: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.ok;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(helpAsOption(program, args), { from: 'user' });
    return exitCode;
  } catch (error) {
    // help and version could not be written
    if (error instanceof FailureError) return toExitCode(() => Promise.reject(error));
    if (!(error instanceof CommanderError)) throw error;
    // asked for help or the version: that is success, whatever name commander has for it
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
}

/**
 * `help token seal` as `token seal --help`, which commander does for one name only; a name that is no command is left
 * alone in its place, where it is told as such.
 */
function helpAsOption(program: Command, args: readonly string[]): string[] {
  const [first = '', ...rest] = args;
  const asked = first === 'help' && rest[0] !== undefined && !rest[0].startsWith('-');
  if (!asked) return first === 'help' || known(program, first) ? [...args] : [first];
  if (rest[0] === 'help') return ['help'];
  let command = program;
  for (const [index, name] of rest.entries()) {
    const found = findCommand(command, name);
    if (found) command = found;
    else if (command.commands.length > 0) return rest.slice(0, index + 1);
    else command.error(`error: unknown command '${name}'`, { exitCode: exitCodes.usage });
  }
  return [...rest, '--help'];
}

/**
 * An error of commander's in the form of ours: one sentence without a full stop, and of the names that it takes for
 * meant those that are near.
 */
function inOurForm(text: string): string {
  const sentence =
    /^(too many arguments(?: for '[^']*')?)\. E(xpected \d+ arguments? but got .*)\.\n$/s.exec(text) ??
    /^(.* is invalid for argument '\w+')\. A(llowed choices are .*)\.\n$/s.exec(text);
  if (sentence) {
    const [, what, hint = ''] = sentence;
    return `${what}; ${hint.startsWith('x') ? 'e' : 'a'}${hint}\n`;
  }
  const suggestion =
    /^(unknown (?:option|command) '-{0,2}(.*)')\n\(Did you mean (?:one of )?([^\n]*)\?\)\n$/s.exec(text);
  if (!suggestion) return text;
  const [, what, name = '', candidates = ''] = suggestion;
  const meant = nearest(
    name,
    candidates.split(', ').map((candidate) => candidate.replace(/^--/, '')),
  );
  if (meant === undefined) return `${what}\n`;
  return `${what}\n(Did you mean ${candidates.startsWith('--') ? '--' : ''}${meant}?)\n`;
}

/** Not so: what an option behind it, `--help` too, must not hide. */
function known(program: Command, name: string): boolean {
  return name === '' || name.startsWith('-') || findCommand(program, name) !== undefined;
}

function findCommand(command: Command, name: string): Command | undefined {
  return command.commands.find((one) => one.name() === name);
}

const byUnits = 'Called by units:';

/** All commands and their options; the manual page is checked against it. */
export function buildProgram(end: (code: ExitCode) => void): Command {
  const program = new Command('unit-secrets')
    .description(
      'Secrets for systemd services: declared in git, fetched from 1Password at boot, kept in RAM only.',
    )
    .version(buildIdentity, '-V, --version', 'show the version, and the commit that was built')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut,
      writeErr,
      // errors are lower case, without "error: " in front, and say where to look next
      outputError: (text, write) => write(`unit-secrets: ${inOurForm(text.replace(/^error: /, ''))}`),
    });
  program.showHelpAfterError('run unit-secrets --help for what there is');
  program.addHelpText(
    'after',
    '\nBegin with check, apply and status; unit-secrets.manifest(5) describes the manifest.\n' +
      'Called with one or three absolute directories, it is a systemd generator: systemd.generator(7).',
  );

  program
    .command('check')
    .description('find everything that is wrong with the manifest and its templates')
    .argument('[file...]', 'files or directories of a checkout, instead of the manifest of this machine')
    .option('--online', 'ask the provider, too, whether each reference exists')
    .addOption(jsonOption())
    .addOption(rootOption())
    .action(async (files: string[], options: { online?: true; json?: true; root: string }) => {
      const { checkCommand } = await import('./check.ts');
      const { online = false, json = false } = options;
      end(await checkCommand({ files, root: rootOf(options.root), online, json }));
    });

  program
    .command('plan')
    .description('show what systemctl daemon-reload would change')
    .addOption(jsonOption())
    .addOption(rootOption())
    .action(async (options: { json?: true; root: string }) => {
      const { planCommand } = await import('./plan.ts');
      end(await planCommand({ root: rootOf(options.root), json: options.json === true }));
    });

  program
    .command('apply')
    .description(
      'carry out the plan, as root: reload units, fetch what has changed, restart the services concerned',
    )
    .action(async () => {
      const { applyCommand } = await import('./apply.ts');
      end(await applyCommand());
    });

  program
    .command('status')
    .description('show how services and their secrets stand; of one, all that is known')
    .argument('[service...]', 'services, instead of all')
    .option('--watch', 'look again every second, until Ctrl-C')
    .addOption(jsonOption())
    .action(async (services: string[], options: { json?: true; watch?: true }) => {
      const { statusCommand } = await import('./status.ts');
      end(await statusCommand({ services, json: options.json === true, watch: options.watch === true }));
    });

  program
    .command('retry')
    .description(
      'start a service whose secrets could not be fetched, as root, asking the provider in any case',
    )
    .argument('<service>', 'the service, with or without .service')
    .action(async (service: string) => {
      const { retryCommand } = await import('./retry.ts');
      end(await retryCommand(service));
    });

  program
    .command('doctor')
    .description('look at this machine, with a remedy for each thing that is wrong')
    .addOption(jsonOption())
    .action(async (options: { json?: true }) => {
      const { doctorCommand } = await import('./doctor.ts');
      end(await doctorCommand({ json: options.json === true }));
    });

  const token = program.command('token').description('the service account token of this host');
  addTokenCommands(token, end);
  token
    .command('open')
    .helpGroup(byUnits)
    .description('open the token into RAM; called by unit-secrets-token.service')
    .addOption(rootOption())
    .action(async (options: { root: string }) => {
      const { tokenOpenCommand } = await import('./token.ts');
      end(await tokenOpenCommand(rootOf(options.root)));
    });
  token
    .command('wipe')
    .helpGroup(byUnits)
    .description('remove the opened token from RAM; called by unit-secrets-token.service')
    .addOption(rootOption())
    .action(async (options: { root: string }) => {
      const { tokenWipeCommand } = await import('./token.ts');
      end(await tokenWipeCommand(rootOf(options.root)));
    });
  addVaultCommands(program, end);
  addReadCommand(program, end);

  program
    .command('generate')
    .description('write the units that the generator would write, into a directory of your choice')
    .option('--output <dir>', 'the directory to write to; it is made if it does not exist (required)')
    .addOption(rootOption())
    .action(async (options: { output?: string; root: string }, command: Command) => {
      // checked here: commander would do it before it looks for misspelt options
      if (options.output === undefined) {
        command.error("error: required option '--output <dir>' not specified", { exitCode: exitCodes.usage });
      }
      const { generateCommand } = await import('./generate.ts');
      end(await generateCommand({ output: resolve(options.output), root: rootOf(options.root) }));
    });

  program
    .command('schema')
    .description('print the JSON Schema of the manifest, for editors')
    .option('--fragment', 'of a file below manifest.d, which needs no version and has no settings')
    .action(async (options: { fragment?: true }) => {
      const { schemaCommand } = await import('./schema.ts');
      end(await schemaCommand({ fragment: options.fragment === true }));
    });

  program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { completionCommand } = await import('./completion.ts');
      end(await completionCommand(shell, program));
    });

  program
    .command('fetch')
    .helpGroup(byUnits)
    .description('fetch the secrets of a service; called by its X-secrets.service')
    .argument('[service]', 'the service, with or without .service')
    .option('--inline', 'within the service itself, in its own context; called by its drop-in')
    .option('--manifest', 'report the errors of the manifest; called by unit-secrets-manifest.service')
    .addOption(rootOption())
    .action(async (service: string | undefined, options: FetchOptions, command: Command) => {
      const root = rootOf(options.root);
      if ((service === undefined) === (options.manifest === undefined)) {
        command.error('error: name one service', { exitCode: exitCodes.usage });
      }
      if (options.inline && service !== undefined) {
        const { fetchInlineCommand } = await import('./fetch-inline.ts');
        end(await fetchInlineCommand(service, root));
        return;
      }
      const { fetchCommand, reportManifestCommand } = await import('./fetch.ts');
      end(service === undefined ? await reportManifestCommand(root) : await fetchCommand(service, root));
    });

  program
    .command('render')
    .helpGroup(byUnits)
    .description('render the configuration of a service; called by its X-config.service')
    .argument('<service>', 'the service, with or without .service')
    .addOption(rootOption())
    .action(async (service: string, options: { root: string }) => {
      const { renderCommand } = await import('./render.ts');
      end(await renderCommand(service, rootOf(options.root)));
    });

  program
    .command('install-keys')
    .helpGroup(byUnits)
    .description('put SSH keys in place; called by ssh-key-setup@USER.service, as that user')
    .argument('<user>', 'whose keys they are')
    .option('--authorize', 'let the key log in: put it into authorized_keys')
    .option('--file <name>', 'the name of the private key below ~/.ssh, instead of that of its type')
    .action(async (user: string, options: { authorize?: true; file?: string }) => {
      const { installKeysCommand } = await import('./install-keys.ts');
      end(await installKeysCommand({ user, authorize: options.authorize === true, file: options.file }));
    });
  return program;
}

interface FetchOptions {
  readonly inline?: true;
  readonly manifest?: true;
  readonly root: string;
}
