import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { quoteName } from '../domain/problem.ts';
import { fetchedServices } from '../effects/fetched-services.ts';
import { remove, writeNew } from '../effects/secret-directory.ts';
import { addServices, noteServices } from '../effects/service-list.ts';
import { readTokenFile } from '../effects/token.ts';
import { readTokenCredential } from '../effects/token-credential.ts';
import { readLoadedUnit } from '../effects/unit-reader.ts';
import { tokenUnitName } from '../unit/common.ts';
import { paths } from '../unit/paths.ts';
import { toExitCode } from './report-failure.ts';

/**
 * `token open`, as unit-secrets-token.service calls it: opens the service account token into RAM once for
 * all, and notes the services' names for a boot at which the manifest cannot be read.
 */
export function tokenOpenCommand(root: string): Promise<ExitCode> {
  return toExitCode(async () => {
    const { settings } = await readLoadedUnit(root, tokenUnitName);
    noteServices(root + paths.serviceList, settings.get('KnownService') ?? []);
    if (settings.get('Provider')?.[0] !== '1password') {
      // of an edition of the manifest that had one
      removeOpened(root);
      return exitCodes.ok;
    }
    try {
      await openToken(root, settings);
      return exitCodes.ok;
    } catch (error) {
      if (error instanceof FailureError) leaveReason(root, error.failure.message);
      throw error;
    }
  });
}

async function openToken(root: string, settings: ReadonlyMap<string, readonly string[]>): Promise<void> {
  const [file] = settings.get('TokenFile') ?? [];
  const [age] = settings.get('TokenAge') ?? [];
  const [credential] = settings.get('TokenCredential') ?? [];
  const identities = (settings.get('Identity') ?? []).map((path) => root + path);
  if (file !== undefined) install(root, readTokenFile(root + file), file);
  else if (credential !== undefined)
    install(
      root,
      readTokenCredential(credential, existsSync(root + paths.token)),
      `the credential ${quoteName(credential)}`,
    );
  else if (age !== undefined) install(root, await openSealed(root + age, identities), age);
  else {
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.configuration,
      message: `[X-Secrets] of ${tokenUnitName} does not say where the token is`,
      hint: 'run systemctl daemon-reload, so that the units are written anew',
    });
  }
}

/**
 * `token wipe`: removes the opened token when the token unit has ended (systemd.service(5), "ExecStopPost=");
 * the directories of the unit outlive it. Where the token could not be opened, the reason stays. Notes the
 * services that came into the manifest since the token was opened.
 */
export function tokenWipeCommand(root: string): Promise<ExitCode> {
  return toExitCode(() => {
    addServices(root + paths.serviceList, fetchedServices(root + paths.queue));
    const result = process.env['SERVICE_RESULT'] ?? 'success';
    if (result !== 'success' && existsSync(root + paths.tokenTrouble)) return exitCodes.ok;
    removeOpened(root);
    return exitCodes.ok;
  });
}

function removeOpened(root: string): void {
  remove(root + paths.token);
  remove(root + paths.tokenTrouble);
}

/** Leaves the reason for fetches to tell. An older token that was opened stays in use. */
function leaveReason(root: string, reason: string): void {
  try {
    if (existsSync(root + paths.token)) return;
    mkdirSync(parentOf(root + paths.token), { recursive: true, mode: 0o700 });
    replaceFile(root + paths.tokenTrouble, `${reason}\n`);
  } catch {
    // the reason is told by the unit itself in any case
  }
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

function replaceFile(path: string, content: string): void {
  writeNew(`${path}.new`, content, 0o400);
  renameSync(`${path}.new`, path);
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
      exitCode: exitCodes.configuration,
      message: `${source} does not hold a service account token`,
      hint: 'a token begins with "ops_" and is one line',
    });
  }
  const path = root + paths.token;
  try {
    mkdirSync(parentOf(path), { recursive: true, mode: 0o700 });
    replaceFile(path, token);
    remove(root + paths.tokenTrouble);
  } catch (error) {
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.cannotCreate,
      message: `cannot write ${path}${error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''}`,
    });
  }
}
