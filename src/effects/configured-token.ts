import { exitCodes } from '../domain/exit-codes.ts';
import type { Token } from '../domain/manifest.ts';
import { openAgeFile } from './age-open.ts';
import type { KeyFacts } from './identity-file.ts';
import { permanentFailure } from './read-limited.ts';
import { readTokenFile } from './token.ts';

export interface ConfiguredToken {
  readonly text: string;
  readonly path: string;
  /** What opened it; undefined for a plain file. */
  readonly key?: KeyFacts;
}

/**
 * Reads the service account token from where the manifest says that it is.
 *
 * @throws FailureError as `openAgeFile` or `readTokenFile`; 78 for a place that only systemd can read
 */
export async function readConfiguredToken(token: Token, root: string): Promise<ConfiguredToken> {
  if (token.kind === 'file') {
    const path = root + token.path;
    return { text: readTokenFile(path).trim(), path };
  }
  if (token.kind !== 'age') {
    throw permanentFailure(
      exitCodes.configuration,
      'the token',
      'is a credential of systemd, which only its services can read',
    );
  }
  const path = root + token.path;
  const opened = await openAgeFile({
    path,
    identities: token.identities.map((identity) => root + identity),
    purpose: 'token',
  });
  return {
    text: new TextDecoder().decode(opened.plaintext).trim(),
    path,
    key: await opened.key.about(),
  };
}
