import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { Token } from '../domain/manifest.ts';
import type { Provider } from '../domain/provider.ts';
import { parseSecretReference } from '../domain/secret-reference.ts';
import { parseServiceAccountToken } from '../domain/service-account-token.ts';
import { ageVaultProvider } from '../effects/age-vault-provider.ts';
import { readConfiguredToken } from '../effects/configured-token.ts';
import { openOnePassword } from '../effects/onepassword-provider.ts';
import { canAsk, readSecret } from '../effects/prompt.ts';
import { writeOut } from '../effects/standard-output.ts';
import { readHostSettings, vaultIdentities } from './host-settings.ts';
import { toExitCode } from './report-failure.ts';
import { selfCommand } from './self.ts';

/** The longest that the provider may take, in milliseconds. */
const deadline = 60_000;

export interface ReadOptions {
  readonly reference: string;
  readonly newline: boolean;
  /** A vault file, in the place of the provider that the manifest names. */
  readonly vault: string | undefined;
  /** Private keys for a vault; empty for those of the manifest. */
  readonly identities: readonly string[];
  readonly root: string;
}

/** `read REFERENCE`: prints one value, for people. */
export function readCommand(options: ReadOptions): Promise<ExitCode> {
  return toExitCode(async () => {
    const { reference } = options;
    // before a token is asked for
    const parsed = parseSecretReference(reference);
    if (!parsed.ok) throw badData(`${JSON.stringify(reference)}: ${parsed.message}`);
    const provider = await providerOf(options);
    const resolution = (await provider.resolve([reference])).get(reference);
    if (!resolution) throw new Error('the provider gave no answer for a reference');
    if (!resolution.ok) throw new FailureError(resolution.failure);
    writeOut(options.newline ? `${resolution.value}\n` : resolution.value);
    return exitCodes.ok;
  });
}

async function providerOf({ vault, identities, root }: ReadOptions): Promise<Provider> {
  const settings = await readHostSettings(root);
  if (vault !== undefined || settings.provider.type === 'age-vault') {
    const path = settings.provider.type === 'age-vault' ? root + settings.provider.path : '';
    return ageVaultProvider({
      path: vault ?? path,
      identities: identities.length > 0 ? identities : vaultIdentities(settings, root),
    });
  }
  const token = await tokenOf(settings.token, root);
  return {
    async resolve(references) {
      const session = openOnePassword({ command: selfCommand('resolve-child'), token });
      try {
        return await session.resolve(references, deadline);
      } finally {
        session.close();
      }
    },
  };
}

/** From the environment, as 1Password's own tools take it; else the host's, for root; else from the terminal. */
async function tokenOf(token: Token, root: string): Promise<string> {
  const given = process.env['OP_SERVICE_ACCOUNT_TOKEN']?.trim();
  if (given) return checked(given, 'OP_SERVICE_ACCOUNT_TOKEN');
  if (process.geteuid?.() === 0) {
    try {
      const { text, path } = await readConfiguredToken(token, root);
      return checked(text, path);
    } catch (error) {
      const missing = error instanceof FailureError && error.failure.exitCode === exitCodes.noInput;
      if (!missing || !canAsk()) throw error;
    }
  }
  if (canAsk()) return checked((await readSecret('service account token')).trim(), 'what was entered');
  throw new FailureError({
    class: 'permanent',
    exitCode: exitCodes.noPermission,
    message: 'there is no service account token',
    hint: 'set OP_SERVICE_ACCOUNT_TOKEN, or run it as root or on a terminal',
  });
}

function checked(token: string, source: string): string {
  const parsed = parseServiceAccountToken(token);
  if (parsed.ok) return token;
  throw badData(`${source}: ${parsed.message}`, parsed.hint);
}

function badData(message: string, hint?: string): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.dataError,
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}
