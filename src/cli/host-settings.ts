import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { defaultToken, type ProviderSetting, type Token } from '../domain/manifest.ts';
import { formatProblem } from '../domain/problem.ts';
import { readManifestFiles } from '../effects/read-manifest.ts';
import { paths } from '../unit/paths.ts';

/** What the manifest says about provider and token, paths as written; the defaults without a manifest. */
export interface HostSettings {
  readonly provider: ProviderSetting;
  readonly token: Token;
}

/**
 * Reads what of the manifest is about the host, whatever is wrong with its services.
 *
 * @throws FailureError with 78 if that cannot be read
 */
export async function readHostSettings(root: string): Promise<HostSettings> {
  const source = await readManifestFiles(root, paths);
  if (source.kind === 'missing') return { provider: { type: '1password' }, token: defaultToken };
  const { provider, token, general } = source.manifest;
  // a file that could not be read at all has problems without a path
  const problem = general.find(
    ({ path }) => path === undefined || path[0] === 'provider' || path[0] === 'token',
  );
  if (!problem) return { provider, token };
  throw new FailureError({
    class: 'permanent',
    exitCode: exitCodes.configuration,
    message: formatProblem(problem),
  });
}

/** The private keys that open what is sealed for this host; paths as written. */
export function tokenIdentities(token: Token): readonly string[] {
  if (token.kind === 'age') return token.identities;
  return defaultToken.kind === 'age' ? defaultToken.identities : [];
}

/** The private keys that open an age vault of this host, below the root. */
export function vaultIdentities({ provider, token }: HostSettings, root: string): readonly string[] {
  const identities = provider.type === 'age-vault' ? provider.identities : tokenIdentities(token);
  return identities.map((path) => root + path);
}
