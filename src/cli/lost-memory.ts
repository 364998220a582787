import { readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { companionName, directoryName, type ServiceName } from '../domain/service-name.ts';
import { readXSecrets } from '../effects/ini.ts';
import { log } from '../effects/journal-log.ts';
import { isActive, showUnits, systemctlJob } from '../effects/systemctl.ts';
import { tokenUnitName } from '../unit/common.ts';
import { paths } from '../unit/paths.ts';
import type { UnitTree } from '../unit/unit-changes.ts';
import { withProgress } from './progress.ts';

/**
 * What is in memory can be taken away under units that stay active: `umount /run/unit-secrets` does. systemd
 * starts nothing anew that is active, so somebody has to ask for it.
 *
 * @returns whether the set of a service is not there; false as well where this user may not look
 */
export function isSetGone({ name }: ServiceName): boolean {
  try {
    return !readdirSync(`${paths.secrets}/${directoryName(name)}`).some((one) => one.startsWith('.ok-'));
  } catch (error) {
    return isMissing(error);
  }
}

/**
 * What unit-secrets-token.service made or brought and is not there any more; undefined if all is, or if neither it
 * nor what fetches is active.
 */
export function lostByTokenUnit(loaded: UnitTree): string | undefined {
  const lost = isMounted()
    ? [paths.queue, ...(opensToken(loaded) ? [paths.token] : [])].find(isGone)
    : `the memory at ${paths.state}`;
  if (lost === undefined) return undefined;
  const units = [
    tokenUnitName,
    ...[...loaded.keys()].filter((path) => /-secrets(?:@.*)?\.service$/.test(path)),
  ];
  const states = [...showUnits(units, ['ActiveState']).values()].map((shown) => shown.get('ActiveState'));
  return states.includes('active') ? lost : undefined;
}

/** Of these services, those whose X-secrets.service is active although what it fetched is gone. */
export function servicesWithoutSet(names: readonly ServiceName[]): ReadonlySet<string> {
  const gone = names.filter(isSetGone).map((name) => [name.name, secretsUnitOf(name)] as const);
  const shown = showUnits(
    gone.map(([, unit]) => unit),
    ['ActiveState'],
  );
  return new Set(
    gone.filter(([, unit]) => shown.get(unit)?.get('ActiveState') === 'active').map(([name]) => name),
  );
}

/**
 * Restarts the token unit if what it made is gone, which mounts the memory, too. Best effort: the fetch tells
 * what is still missing.
 *
 * @returns whether that went well, or was not needed
 */
export async function restoreToken(loaded: UnitTree): Promise<boolean> {
  const lost = lostByTokenUnit(loaded);
  if (lost === undefined) return true;
  log('info', `${lost} is gone: systemctl restart ${tokenUnitName}`);
  return await succeeds('restart', tokenUnitName);
}

/**
 * Opens the token anew if what it is sealed in was replaced after it was opened. Best effort, as above: the token that
 * was opened stays in use.
 *
 * @returns whether that went well, or was not needed
 */
export async function renewToken(loaded: UnitTree): Promise<boolean> {
  const source = tokenSource(loaded);
  if (source === undefined || !isNewer(source, paths.token) || !isActive(tokenUnitName)) return true;
  const verb = tokenVerb(loaded);
  log('info', `${source} is newer than the token that was opened: systemctl ${verb} ${tokenUnitName}`);
  return await succeeds(verb, tokenUnitName);
}

/** What opens another token: a reload is given no credentials by systemd. */
export const tokenVerb = (loaded: UnitTree): 'reload' | 'restart' =>
  tokenSettings(loaded)?.has('TokenCredential') ? 'restart' : 'reload';

const tokenSettings = (loaded: UnitTree) => readXSecrets(loaded.get(tokenUnitName) ?? '');

/** The file that the token is in. */
function tokenSource(loaded: UnitTree): string | undefined {
  const settings = tokenSettings(loaded);
  const [credential] = settings?.get('TokenCredential') ?? [];
  if (credential !== undefined) return `/etc/credstore.encrypted/${credential}`;
  return (settings?.get('TokenAge') ?? settings?.get('TokenFile'))?.[0];
}

/** By the time of the last change, which a copy does not take over. */
function isNewer(path: string, than: string): boolean {
  try {
    return statSync(path).ctimeMs > statSync(than).ctimeMs;
  } catch {
    return false;
  }
}

/**
 * Fetches the set of a service anew if it is gone although X-secrets.service is active.
 *
 * @returns whether that went well, or was not needed
 */
export async function restoreSet(name: ServiceName): Promise<boolean> {
  if (!servicesWithoutSet([name]).has(name.name)) return true;
  log('info', `what was fetched for ${name.name}.service is gone: systemctl reload ${secretsUnitOf(name)}`);
  return fetchAnew(name);
}

/**
 * Fetches the set of a service whose X-secrets.service is active anew: a reload, as a restart would restart the
 * service.
 *
 * @returns whether that went well
 */
export async function fetchAnew(name: ServiceName): Promise<boolean> {
  const secrets = secretsUnitOf(name);
  if (!isMounted()) {
    // a reload does not bring it, and would leave secrets in memory that may be swapped
    log('error', `${paths.state} is not mounted: systemctl status run-unit\\\\x2dsecrets.mount tells why`);
    return false;
  }
  if (!(await succeeds('reload', secrets))) return false;
  // that brings a reload of the configuration, too, which nobody has waited for
  const config = `${companionName(name, 'config')}.service`;
  return !isActive(config) || (await succeeds('reload', config));
}

const secretsUnitOf = (name: ServiceName): string => `${companionName(name, 'secrets')}.service`;

async function succeeds(verb: string, unit: string): Promise<boolean> {
  const { exitCode, complaint } = await withProgress(`waiting for ${unit}`, () =>
    systemctlJob([verb, '--', unit]),
  );
  if (exitCode !== 0) log('error', `systemctl ${verb} ${unit} failed: ${complaint}`);
  return exitCode === 0;
}

/** Whether the token unit has a token to open. */
const opensToken = (loaded: UnitTree): boolean => tokenSettings(loaded)?.get('Provider')?.[0] === '1password';

/** Directories of the same name may be below the memory. */
function isMounted(): boolean {
  try {
    return statSync(paths.state).dev !== statSync(dirname(paths.state)).dev;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function isGone(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    return isMissing(error);
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';
