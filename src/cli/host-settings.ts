import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { defaultToken, type ProviderSetting, type Token } from '../domain/manifest.ts';
import { formatProblem } from '../domain/problem.ts';
import { readManifestFile } from '../effects/read-manifest.ts';
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
  const source = await readManifestFile(root, paths.manifest);
  if (source.kind === 'missing') return { provider: { type: '1password' }, token: defaultToken };
  const problems = source.kind === 'read' ? source.manifest.problems : source.problems;
  const [problem] = problems.filter(
    ({ path }) => source.kind === 'unreadable' || path?.[0] === 'provider' || path?.[0] === 'token',
  );
  if (problem || source.kind === 'unreadable') {
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.configuration,
      message: problem ? formatProblem(problem) : `${paths.manifest} cannot be read`,
    });
  }
  const { provider, token } = source.manifest;
  return { provider, token };
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
