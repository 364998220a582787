import type { ExitCode } from '../domain/exit-codes.ts';
import { type Command, Option } from './commander.ts';
import { listOption, rootOf, rootOption } from './options.ts';
import type { VaultOptions, VaultWriteOptions } from './vault.ts';

/** The commands for people who handle secrets: `token seal`, `token check`, `vault …` and `read`. */

const recipientOption = (): Option =>
  listOption('--recipient <key>', 'also encrypt for this SSH or age public key, or file of them; repeatable');
const armorOption = (): Option => new Option('--armor', 'write text (ASCII armor) instead of bytes');
const hostOption = (): Option => new Option('--no-host', "leave out this host's own keys");
const newlineOption = (): Option =>
  new Option('-n, --no-newline', 'print the value exactly, without a newline');
const jsonOption = (): Option => new Option('--json', 'print JSON');
const vaultOption = (): Option =>
  new Option('--vault <path>', 'the vault file, else the one of the manifest');
const identityOption = (): Option =>
  listOption('--identity <path>', 'a private key to open it with, else those of the manifest; repeatable');

export function addTokenCommands(token: Command, end: (code: ExitCode) => void): void {
  token
    .command('seal')
    .description(
      "encrypt a service account token for this host's SSH keys; asks for it, or reads it from standard input",
    )
    .addOption(recipientOption())
    .addOption(hostOption())
    .option('--output <path>', 'the file to write, else where the manifest says that the token is')
    .option('--force', 'replace the file if it exists')
    .addOption(armorOption())
    .addOption(rootOption())
    .action(
      async (options: {
        recipient: string[];
        host: boolean;
        output?: string;
        force?: true;
        armor?: true;
        root: string;
      }) => {
        const { tokenSealCommand } = await import('./token-seal.ts');
        end(
          await tokenSealCommand({
            recipients: options.recipient,
            host: options.host,
            output: options.output,
            force: options.force ?? false,
            armor: options.armor ?? false,
            root: rootOf(options.root),
          }),
        );
      },
    );
  token
    .command('check')
    .description("tell what the token is for, and that it opens with this host's key")
    .addOption(jsonOption())
    .addOption(rootOption())
    .action(async (options: { json?: true; root: string }) => {
      const { tokenCheckCommand } = await import('./token-check.ts');
      end(await tokenCheckCommand({ json: options.json ?? false, root: rootOf(options.root) }));
    });
}

interface GivenVaultOptions {
  readonly vault?: string;
  readonly identity: string[];
  readonly recipient?: string[];
  readonly root: string;
}

const read = (given: GivenVaultOptions): VaultOptions => ({
  vault: given.vault,
  identities: given.identity,
  root: rootOf(given.root),
});
const write = (given: GivenVaultOptions): VaultWriteOptions => ({
  ...read(given),
  recipients: given.recipient ?? [],
});

export function addVaultCommands(program: Command, end: (code: ExitCode) => void): void {
  const vault = program.command('vault').description('the embedded vault: secrets in one age file, in git');
  const add = (name: string, description: string, identity = identityOption()): Command =>
    vault
      .command(name)
      .description(description)
      .addOption(vaultOption())
      .addOption(identity)
      .addOption(rootOption());
  const reference = ['<reference>', 'op://vault/item/[section/]field'] as const;

  const own = listOption(
    '--identity <path>',
    'a private key of this host that it is for, else those of the manifest; repeatable',
  );
  add('init', "make an empty vault for this host's SSH keys", own)
    .addOption(recipientOption())
    .addOption(hostOption())
    .addOption(armorOption())
    .action(async (options: GivenVaultOptions & { host: boolean; armor?: true }) => {
      const { vaultInitCommand } = await import('./vault.ts');
      end(await vaultInitCommand({ ...write(options), host: options.host, armor: options.armor ?? false }));
    });
  add('list', 'list the references of all fields')
    .addOption(jsonOption())
    .action(async (options: GivenVaultOptions & { json?: true }) => {
      const { vaultListCommand } = await import('./vault.ts');
      end(await vaultListCommand({ ...read(options), json: options.json ?? false }));
    });
  add('get', 'print the value of a reference')
    .argument(...reference)
    .addOption(newlineOption())
    .action(async (text: string, options: GivenVaultOptions & { newline: boolean }) => {
      const { vaultGetCommand } = await import('./vault.ts');
      end(await vaultGetCommand(text, { ...read(options), newline: options.newline }));
    });
  add('set', 'set a field; asks for the value, or reads it from standard input')
    .argument(...reference)
    .addOption(recipientOption())
    .action(async (text: string, options: GivenVaultOptions) => {
      const { vaultSetCommand } = await import('./vault.ts');
      end(await vaultSetCommand(text, write(options)));
    });
  add('rm', 'remove a field')
    .argument(...reference)
    .addOption(recipientOption())
    .action(async (text: string, options: GivenVaultOptions) => {
      const { vaultRmCommand } = await import('./vault.ts');
      end(await vaultRmCommand(text, write(options)));
    });
  add('edit', 'edit the whole vault, and for whom it is, in $EDITOR, in memory')
    .addOption(recipientOption())
    .action(async (options: GivenVaultOptions) => {
      const { vaultEditCommand } = await import('./vault-edit.ts');
      end(await vaultEditCommand(write(options)));
    });
}

export function addReadCommand(program: Command, end: (code: ExitCode) => void): void {
  program
    .command('read')
    .description(
      'print the value of a secret reference, for people; takes the token from OP_SERVICE_ACCOUNT_TOKEN, for root from where the manifest says, or asks for it',
    )
    .argument('<reference>', 'op://vault/item/[section/]field')
    .addOption(newlineOption())
    .addOption(vaultOption())
    .addOption(identityOption())
    .addOption(rootOption())
    .action(async (reference: string, options: GivenVaultOptions & { newline: boolean }) => {
      const { readCommand } = await import('./read.ts');
      end(await readCommand({ ...read(options), reference, newline: options.newline }));
    });
}
