import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { version } from '../version.ts';

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
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // asked for help or the version: that is success, whatever name commander has for it
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
}

/** All commands and their options; the manual page is checked against it. */
export function buildProgram(end: (code: ExitCode) => void): Command {
  const program = new Command('unit-secrets')
    .description(
      'Secrets for systemd services: declared in git, fetched from 1Password at boot, kept in RAM only.',
    )
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      // errors are lower case, without "error: " in front, and say where to look next
      outputError: (text, write) => write(`unit-secrets: ${text.replace(/^error: /, '')}`),
    });
  program.showHelpAfterError('run unit-secrets --help for what there is');
  program.addHelpText(
    'after',
    '\nCalled with one or three absolute directories, it is a systemd generator: systemd.generator(7).',
  );

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
    .description('print the JSON Schema of the manifest')
    .action(async () => {
      const { schemaCommand } = await import('./schema.ts');
      end(schemaCommand());
    });

  program
    .command('fetch')
    .description('fetch the secrets of a service; called by its X-secrets.service')
    .argument('[service]', 'the service, with or without .service')
    .option('--manifest', 'report the errors of the manifest; called by unit-secrets-manifest.service')
    .addOption(rootOption())
    .action(
      async (service: string | undefined, options: { manifest?: true; root: string }, command: Command) => {
        const { fetchCommand, reportManifestCommand } = await import('./fetch.ts');
        const root = rootOf(options.root);
        if ((service === undefined) === (options.manifest === undefined)) {
          command.error('error: name one service', { exitCode: exitCodes.usage });
        }
        end(service === undefined ? await reportManifestCommand(root) : await fetchCommand(service, root));
      },
    );

  program
    .command('retry')
    .description('start a service whose secrets could not be fetched, asking the provider in any case')
    .argument('<service>', 'the service, with or without .service')
    .action(async (service: string) => {
      const { retryCommand } = await import('./retry.ts');
      end(await retryCommand(service));
    });

  const token = program.command('token').description('the service account token of this host');
  token
    .command('open')
    .description('open the token into RAM; called by unit-secrets-token.service')
    .addOption(rootOption())
    .action(async (options: { root: string }) => {
      const { tokenOpenCommand } = await import('./token.ts');
      end(await tokenOpenCommand(rootOf(options.root)));
    });
  token
    .command('wipe', { hidden: true })
    .description('remove the opened token from RAM; called by unit-secrets-token.service')
    .addOption(rootOption())
    .action(async (options: { root: string }) => {
      const { tokenWipeCommand } = await import('./token.ts');
      end(await tokenWipeCommand(rootOf(options.root)));
    });
  return program;
}

function rootOption(): Option {
  return new Option('--root <dir>', 'read every path below this directory').default('', 'this machine');
}

/** A root as it is put in front of absolute paths: '' for this machine. */
function rootOf(text: string): string {
  return text === '' ? '' : resolve(text).replace(/\/$/, '');
}
