import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { Provider } from '../domain/provider.ts';
import { parseSecretReference } from '../domain/secret-reference.ts';
import { ageVaultProvider } from '../effects/age-vault-provider.ts';
import { writeOut } from '../effects/standard-output.ts';
import { readHostSettings, vaultIdentities } from './host-settings.ts';
import { openProvider } from './open-provider.ts';
import { toExitCode } from './report-failure.ts';

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

/** The provider that is asked: that of the manifest, or a vault that is named. */
async function providerOf({ vault, identities, root }: ReadOptions): Promise<Provider> {
  const settings = await readHostSettings(root);
  if (vault === undefined && identities.length === 0) return openProvider(settings, root);
  if (vault === undefined && settings.provider.type !== 'age-vault') return openProvider(settings, root);
  const path = settings.provider.type === 'age-vault' ? root + settings.provider.path : '';
  return ageVaultProvider({
    path: vault ?? path,
    identities: identities.length > 0 ? identities : vaultIdentities(settings, root),
  });
}

function badData(message: string, hint?: string): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.dataError,
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}
