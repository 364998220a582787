import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { Token } from '../domain/manifest.ts';
import type { Provider } from '../domain/provider.ts';
import { parseServiceAccountToken } from '../domain/service-account-token.ts';
import { ageVaultProvider } from '../effects/age-vault-provider.ts';
import { readConfiguredToken } from '../effects/configured-token.ts';
import { openOnePassword } from '../effects/onepassword-provider.ts';
import { canAsk, readSecret } from '../effects/prompt.ts';
import { type HostSettings, vaultIdentities } from './host-settings.ts';
import { withProgress } from './progress.ts';
import { selfCommand } from './self.ts';

/** The longest that the provider may take, in milliseconds. */
const deadline = 60_000;

/**
 * The provider that a manifest names, for a person: 1Password in a session of its own for each call, with a
 * token from the environment, from this host, or from the terminal.
 *
 * @throws FailureError if there is no token, or it is none
 */
export async function openProvider(settings: HostSettings, root: string): Promise<Provider> {
  const { provider } = settings;
  if (provider.type === 'age-vault')
    return ageVaultProvider({ path: root + provider.path, identities: vaultIdentities(settings, root) });
  const token = await tokenOf(settings.token, root);
  return {
    async resolve(references) {
      const session = openOnePassword({ command: selfCommand('resolve-child'), token });
      try {
        const count = `${references.length} reference${references.length === 1 ? '' : 's'}`;
        return await withProgress(`asking 1Password about ${count}`, () =>
          session.resolve(references, deadline),
        );
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
  throw new FailureError({
    class: 'permanent',
    exitCode: exitCodes.configuration,
    message: `${source}: ${parsed.message}`,
    ...(parsed.hint === undefined ? {} : { hint: parsed.hint }),
  });
}
