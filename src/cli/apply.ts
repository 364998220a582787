import { readdirSync, statSync } from 'node:fs';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { sshKeySetup } from '../domain/manifest-ssh-keys.ts';
import { formatProblem } from '../domain/problem.ts';
import { companionName, directoryName, parseServiceName, type ServiceName } from '../domain/service-name.ts';
import { log } from '../effects/journal-log.ts';
import { readLoadedUnits } from '../effects/loaded-units.ts';
import { showUnits, systemctlJob } from '../effects/systemctl.ts';
import { uptime } from '../effects/uptime.ts';
import { dropInName, paths } from '../unit/paths.ts';
import type { ServiceChange, UnitTree } from '../unit/unit-changes.ts';
import { waitingFor } from './fetch-progress.ts';
import { restoreSet, restoreToken, servicesWithoutSet } from './lost-memory.ts';
import { planChanges, printChanges } from './plan.ts';
import { withProgress } from './progress.ts';
import { toExitCode } from './report-failure.ts';

const tokenUnit = 'unit-secrets-token.service';

/**
 * `apply`: shows the plan and carries it out: `daemon-reload`, the token anew if it is another, then for each
 * service that is given something new a reload of its secrets and, if it runs, a restart; keys of users are
 * set up anew. What an earlier call left undone is done, too, and what was taken out of memory is brought back. A manifest with problems is not applied.
 *
 * @returns 0, 1 if the manifest has problems, 75 if secrets could not be fetched or a service not restarted
 */
export function applyCommand(): Promise<ExitCode> {
  return toExitCode(async () => {
    const { changes, problems } = await planChanges('');
    for (const problem of problems) log('error', formatProblem(problem));
    if (problems.length > 0) {
      log(
        'error',
        'nothing was changed: correct the manifest first, or take what is right of it with systemctl daemon-reload',
      );
      return exitCodes.problems;
    }
    printChanges(changes);
    if (changes.units.length > 0) await reloadUnits();
    let failed = 0;
    const tokenChanged = changes.units.some(({ path }) => path === tokenUnit);
    const loaded = readLoadedUnits('');
    if (!(await restoreToken(loaded))) failed++;
    if (tokenChanged && isActive(tokenUnit) && !(await reload(tokenUnit, tokenUnit))) failed++;
    for (const one of affected(changes.services, loaded)) if (!(await refresh(one, loaded))) failed++;
    if (failed === 0) return exitCodes.ok;
    log('error', 'not all of it could be done: run it again when what is told above is mended');
    return exitCodes.temporaryFailure;
  });
}

/** A service that is to be given something: fetched anew, or only handed over by a restart. */
interface Affected {
  readonly service: ServiceName;
  readonly refetch: boolean;
}

/** Services that have changed, and those whose secrets or processes are older than their entries say. */
function affected(changes: readonly ServiceChange[], loaded: UnitTree): Affected[] {
  const changed = new Map(changes.map((change) => [change.service, change]));
  const names = new Set(changed.keys());
  for (const path of loaded.keys()) {
    const [, service] = /^(.*\.service)\.d\//.exec(path) ?? [];
    if (service !== undefined) names.add(service);
  }
  const services = [...names].map((name) => [name, parseServiceName(name)] as const);
  const lost = servicesWithoutSet(services.flatMap(([, parsed]) => (parsed.ok ? [parsed.service] : [])));
  return services.flatMap(([name, parsed]): Affected[] => {
    const { change, refetch = false } = changed.get(name) ?? {};
    if (!parsed.ok || change === 'removed' || change === 'broken') return [];
    const { service } = parsed;
    const secrets = newestSecret(service);
    const dropIn = loaded.get(`${name}.d/${dropInName}`) ?? '';
    const other = secrets !== undefined && dropIn !== '' && !dropIn.includes(`/${secrets.marker}\n`);
    if (lost.has(service.name)) return [{ service, refetch: false }];
    if (refetch || other) return [{ service, refetch: true }];
    const fresh = change === 'added' || change === 'mended';
    return fresh || (secrets && isOlder(name, secrets.changed)) ? [{ service, refetch: false }] : [];
  });
}

/** Whether a service was started before a time of the wall clock, in milliseconds. */
function isOlder(unit: string, time: number): boolean {
  const shown = showUnits([unit], ['ActiveState', 'ActiveEnterTimestampMonotonic']).get(unit);
  const since = Number(shown?.get('ActiveEnterTimestampMonotonic') ?? 0) / 1e6;
  const age = (Date.now() - time) / 1000;
  return shown?.get('ActiveState') === 'active' && since > 0 && uptime() - since > age;
}

/** The marker of a service's secrets, and when any of their files was last replaced; undefined if there are none. */
function newestSecret(
  service: ServiceName,
): { readonly marker: string; readonly changed: number } | undefined {
  const directory = `${paths.secrets}/${directoryName(service.name)}`;
  try {
    const names = readdirSync(directory, { recursive: true }).map(String);
    const marker = names.find((name) => name.startsWith('.ok-'));
    if (marker === undefined) return undefined;
    const contents = names.filter((name) => name !== marker).map((name) => statSync(`${directory}/${name}`));
    return {
      marker,
      changed: Math.max(0, ...contents.filter((one) => one.isFile()).map((one) => one.mtimeMs)),
    };
  } catch {
    // not there, or gone meanwhile
    return undefined;
  }
}

const isActive = (unit: string): boolean =>
  showUnits([unit], ['ActiveState']).get(unit)?.get('ActiveState') === 'active';

/** Gives a service what is new. @returns whether all went well */
async function refresh({ service: name, refetch }: Affected, loaded: UnitTree): Promise<boolean> {
  const service = `${name.name}.service`;
  if (name.base === sshKeySetup) return attempt('start', service, service, 'could not be started');
  const secrets = `${companionName(name, 'secrets')}.service`;
  const config = `${companionName(name, 'config')}.service`;
  if (!(await restoreSet(name))) return false;
  if (refetch && isActive(secrets)) {
    if (!(await reload(secrets, service))) return false;
    // that brings a reload of the configuration, too, which nobody has waited for
    if (loaded.has(config) && isActive(config) && !(await reload(config, service))) return false;
  }
  if (isActive(service)) return attempt('try-restart', service, service, 'could not be restarted');
  log('info', `${service} does not run: it is given its secrets when it is started`);
  return true;
}

const reload = (unit: string, service: string): Promise<boolean> =>
  attempt('reload', unit, service, 'could not be reloaded');

/** @param service whose fetch is told of while it is waited for */
async function attempt(verb: string, unit: string, service: string, failure: string): Promise<boolean> {
  log('info', `systemctl ${verb} ${unit}`);
  const { exitCode, complaint } = await withProgress(waitingFor(unit, service), () =>
    systemctlJob([verb, unit]),
  );
  if (exitCode === 0) return true;
  log('error', `${unit} ${failure}: ${complaint}`);
  return false;
}

async function reloadUnits(): Promise<void> {
  log('info', 'systemctl daemon-reload');
  const { exitCode, complaint } = await withProgress('waiting for systemd', () =>
    systemctlJob(['daemon-reload']),
  );
  if (exitCode === 0) return;
  throw new FailureError({
    class: 'permanent',
    exitCode: process.geteuid?.() === 0 ? exitCodes.unavailable : exitCodes.noPermission,
    message: `systemctl daemon-reload failed: ${complaint}`,
    ...(process.geteuid?.() === 0 ? {} : { hint: 'run this as root' }),
  });
}
