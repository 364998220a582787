import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { Token } from '../domain/manifest.ts';
import { parseServiceAccountToken } from '../domain/service-account-token.ts';
import {
  describeRecipient,
  distinct,
  hostRecipients,
  type Recipient,
  readRecipientOption,
  requireRecipients,
} from '../effects/age-recipients.ts';
import { sealAge } from '../effects/age-seal.ts';
import {
  createFile,
  isThere,
  makeDirectoryOf,
  replaceFile,
  requireWritable,
} from '../effects/atomic-file.ts';
import { log } from '../effects/journal-log.ts';
import { readSecret } from '../effects/prompt.ts';
import { permanentFailure } from '../effects/read-limited.ts';
import { tokenUnitName } from '../unit/common.ts';
import { paths } from '../unit/paths.ts';
import { readHostSettings, tokenIdentities } from './host-settings.ts';
import { toExitCode } from './report-failure.ts';

export interface TokenSealOptions {
  /** As the command line names them: keys, or files of keys. */
  readonly recipients: readonly string[];
  /** False to leave out this host's own keys. */
  readonly host: boolean;
  /** Where to write; undefined for where the manifest says that the token is. */
  readonly output: string | undefined;
  readonly force: boolean;
  readonly armor: boolean;
  readonly root: string;
}

/** `token seal`: encrypts a service account token for this host, and others. */
export function tokenSealCommand(options: TokenSealOptions): Promise<ExitCode> {
  return toExitCode(async () => {
    if (options.output === '-') {
      throw new FailureError({
        class: 'permanent',
        exitCode: exitCodes.usage,
        message: '--output needs a file: the sealed token is not written to standard output',
        hint: 'a file of that name is ./-',
      });
    }
    const { token } = await readHostSettings(options.root);
    const path = options.output ?? defaultOutput(token, options.root);
    // before anything is asked
    refuseToOverwrite(path, options.force);
    if (options.output === undefined) makeDirectoryOf(path);
    requireWritable(path);
    const identities = tokenIdentities(token).map((identity) => options.root + identity);
    const recipients = await recipientsOf(options, identities);

    const text = (await readSecret('service account token')).trim();
    const parsed = parseServiceAccountToken(text);
    if (!parsed.ok) throw text === '' ? refuse('no token was entered') : refuse(parsed.message, parsed.hint);

    const sealed = await sealAge(Buffer.from(text, 'utf8'), recipients, { armored: options.armor });
    if (options.force && isThere(path)) replaceFile(path, sealed);
    else createFile(path, sealed);
    log('info', `sealed the token of ${parsed.token.email} into ${path}`);
    log('info', `it can be opened by ${recipients.map(describeRecipient).join(', ')}`);
    if (options.output === undefined && isThere(options.root + paths.token))
      log('info', `services go on with the token before until "systemctl reload ${tokenUnitName}"`);
    return exitCodes.ok;
  });
}

function defaultOutput(token: Token, root: string): string {
  if (token.kind === 'age') return root + token.path;
  throw new FailureError({
    class: 'permanent',
    exitCode: exitCodes.configuration,
    message: 'the manifest says that the token is not in an age file',
    hint: 'name a file with --output',
  });
}

function refuseToOverwrite(path: string, force: boolean): void {
  if (force || !isThere(path)) return;
  throw permanentFailure(exitCodes.cannotCreate, path, 'exists already', 'to replace it, use --force');
}

async function recipientsOf(options: TokenSealOptions, identities: readonly string[]): Promise<Recipient[]> {
  const others = options.recipients.flatMap(readRecipientOption);
  const own = options.host ? await hostRecipients(identities) : [];
  if (options.host && own.length === 0 && others.length > 0) {
    log('warning', 'this host has no key: it will not be able to open the file');
  }
  const recipients = distinct([...own, ...others]);
  requireRecipients(recipients, identities, options.host);
  return recipients;
}

function refuse(message: string, hint?: string): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.dataError,
    message: `${message}; nothing was written`,
    ...(hint === undefined ? {} : { hint }),
  });
}
