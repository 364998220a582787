import { mkdirSync, renameSync } from 'node:fs';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { quoteName } from '../domain/problem.ts';
import { fetchedServices } from '../effects/fetched-services.ts';
import { remove, writeNew } from '../effects/secret-directory.ts';
import { addServices, noteServices } from '../effects/service-list.ts';
import { readTokenCredential, readTokenFile } from '../effects/token.ts';
import { readLoadedUnit } from '../effects/unit-reader.ts';
import { paths } from '../unit/paths.ts';
import { toExitCode } from './report-failure.ts';

const unitName = 'unit-secrets-token.service';

/**
 * `token open`, as unit-secrets-token.service calls it: opens the service account token into RAM once for
 * all, and notes the services' names for a boot at which the manifest cannot be read.
 */
export function tokenOpenCommand(root: string): Promise<ExitCode> {
  return toExitCode(async () => {
    const { settings } = await readLoadedUnit(root, unitName);
    noteServices(root + paths.serviceList, settings.get('KnownService') ?? []);
    if (settings.get('Provider')?.[0] !== '1password') return exitCodes.ok;
    const [file] = settings.get('TokenFile') ?? [];
    const [age] = settings.get('TokenAge') ?? [];
    const [credential] = settings.get('TokenCredential') ?? [];
    const identities = (settings.get('Identity') ?? []).map((path) => root + path);
    if (file !== undefined) install(root, readTokenFile(root + file), file);
    else if (credential !== undefined)
      install(root, readTokenCredential(credential), `the credential ${quoteName(credential)}`);
    else if (age !== undefined) install(root, await openSealed(root + age, identities), age);
    else {
      throw new FailureError({
        class: 'permanent',
        exitCode: exitCodes.configuration,
        message: `[X-Secrets] of ${unitName} does not say where the token is`,
        hint: 'run systemctl daemon-reload, so that the units are written anew',
      });
    }
    return exitCodes.ok;
  });
}

/**
 * `token wipe`: removes the opened token, and notes the services that came into the manifest since it was opened; the
 * directories of the token unit outlive it.
 */
export function tokenWipeCommand(root: string): Promise<ExitCode> {
  return toExitCode(() => {
    remove(root + paths.token);
    addServices(root + paths.serviceList, fetchedServices(root + paths.queue));
    return exitCodes.ok;
  });
}

async function openSealed(path: string, identities: readonly string[]): Promise<string> {
  // only this way of handing over the token needs age
  const { openAgeFile } = await import('../effects/age-open.ts');
  return new TextDecoder().decode((await openAgeFile({ path, identities, purpose: 'token' })).plaintext);
}

function install(root: string, text: string, source: string): void {
  // the SDK takes the token exactly: an editor's newline at the end would spoil it
  const token = text.trim();
  if (!/^ops_[A-Za-z0-9+/=_-]+$/.test(token)) {
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message: `${source} does not hold a service account token`,
      hint: 'a token begins with "ops_" and is one line',
    });
  }
  const path = root + paths.token;
  const temporary = `${path}.new`;
  try {
    mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true, mode: 0o700 });
    writeNew(temporary, token, 0o400);
    renameSync(temporary, path);
  } catch (error) {
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.cannotCreate,
      message: `cannot write ${path}${error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''}`,
    });
  }
}
