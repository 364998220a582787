import { readdirSync, statSync } from 'node:fs';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { type Failure, FailureError } from '../domain/failure.ts';
import { sshKeySetup } from '../domain/manifest-ssh-keys.ts';
import { formatProblem } from '../domain/problem.ts';
import {
  companionName,
  directoryName,
  parseServiceName,
  type ServiceName,
  serviceKey,
} from '../domain/service-name.ts';
import { readFetchState } from '../effects/fetch-state.ts';
import { log } from '../effects/journal-log.ts';
import { readLoadedUnits } from '../effects/loaded-units.ts';
import { isActive, showUnits, systemctl, systemctlJob } from '../effects/systemctl.ts';
import { uptime } from '../effects/uptime.ts';
import { tokenUnitName } from '../unit/common.ts';
import { dropInName, paths } from '../unit/paths.ts';
import type { ServiceChange, UnitTree } from '../unit/unit-changes.ts';
import { waitingFor } from './fetch-progress.ts';
import { resetLeftovers } from './leftovers.ts';
import { renewToken, restoreSet, restoreToken, servicesWithoutSet, tokenVerb } from './lost-memory.ts';
import { planOfManifest, printChanges, printTemplates } from './plan.ts';
import { withProgress } from './progress.ts';
import { type RenderedFiles, renderedFiles } from './rendered-files.ts';
import { toExitCode } from './report-failure.ts';
import { failureOf, lastWord } from './status-facts.ts';

/**
 * `apply`: shows the plan and carries it out: `daemon-reload`, the token anew if it is another, then for each
 * service that is given something new a reload of its secrets and, if it runs, a restart; keys of users are
 * set up anew. What an earlier call left undone is done, too, and what was taken out of memory is brought back. A
 * manifest with problems is not applied.
 *
 * @returns 0, 1 if the manifest has problems, 75 if secrets could not be fetched or a service not restarted and that
 *   may pass; if it cannot, the exit code of the first such failure
 */
export function applyCommand(): Promise<ExitCode> {
  return toExitCode(async () => {
    const planned = await planOfManifest('');
    const { changes, problems, templates } = planned;
    for (const problem of problems) log('error', formatProblem(problem));
    if (problems.length > 0) {
      log(
        'error',
        'nothing was changed: correct the manifest first, or take what is right of it with systemctl daemon-reload',
      );
      return exitCodes.problems;
    }
    printChanges(planned);
    printTemplates(templates);
    const before = readLoadedUnits('');
    if (changes.units.length > 0) await reloadUnits();
    const outcomes: ExitCode[] = [];
    const tokenChanged = changes.units.some(({ path }) => path === tokenUnitName);
    const loaded = readLoadedUnits('');
    resetLeftovers(before, loaded);
    if (!(await restoreToken(loaded))) outcomes.push(exitCodes.temporaryFailure);
    if (tokenChanged && isActive(tokenUnitName)) outcomes.push(await reopenToken(loaded));
    else if (!(await renewToken(loaded))) outcomes.push(exitCodes.temporaryFailure);
    for (const one of affected(changes.services, loaded)) outcomes.push(await refresh(one, loaded));
    const failed = outcomes.filter((code) => code !== exitCodes.ok);
    const [first] = failed;
    if (first === undefined) return exitCodes.ok;
    log('error', 'not all of it could be done: run it again when what is told above is mended');
    return failed.includes(exitCodes.temporaryFailure) ? exitCodes.temporaryFailure : first;
  });
}

/** A service that is to be given something: fetched anew, or only handed over by a restart. */
interface Affected {
  readonly service: ServiceName;
  readonly refetch: boolean;
  /** Whether it was kept down until now. */
  readonly mended: boolean;
  /** Whether it is only that templates were edited: a restart is for files that have come to differ. */
  readonly templates: boolean;
}

/** Services that have changed, and those whose secrets or processes are older than their entries say. */
function affected(changes: readonly ServiceChange[], loaded: UnitTree): Affected[] {
  const changed = new Map(changes.map((change) => [change.service, change]));
  const names = new Set(changed.keys());
  const rendered = new Map(renderedFiles(loaded, '').map((one) => [one.service, one]));
  for (const path of loaded.keys()) {
    const [, service] = /^(.*\.service)\.d\//.exec(path) ?? [];
    if (service !== undefined) names.add(service);
  }
  const services = [...names].map((name) => [name, parseServiceName(name)] as const);
  const lost = servicesWithoutSet(services.flatMap(([, parsed]) => (parsed.ok ? [parsed.service] : [])));
  return services.flatMap(([name, parsed]): Affected[] => {
    const { change, refetch = false } = changed.get(name) ?? {};
    if (!parsed.ok || change === 'removed' || change === 'released' || change === 'broken') return [];
    const { service } = parsed;
    const mended = change === 'mended';
    const configs = rendered.get(name);
    const secrets = newestSecret(service);
    const dropIn = loaded.get(`${name}.d/${dropInName}`) ?? '';
    const other = secrets !== undefined && dropIn !== '' && !dropIn.includes(`/${secrets.marker}\n`);
    if (lost.has(service.name)) return [{ service, refetch: false, mended, templates: false }];
    if (refetch || other) return [{ service, refetch: true, mended, templates: false }];
    const fresh = change === 'added' || mended;
    const isEdited = configs !== undefined && configs.edited.length > 0;
    if (isEdited) return [{ service, refetch: true, mended, templates: !fresh }];
    const newest = Math.max(secrets?.changed ?? 0, configs?.changed ?? 0);
    return fresh || isOlder(name, newest) ? [{ service, refetch: false, mended, templates: false }] : [];
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

/** Gives a service what is new. @returns 0 if all went well */
async function refresh(
  { service: name, refetch, mended, templates }: Affected,
  loaded: UnitTree,
): Promise<ExitCode> {
  const service = `${name.name}.service`;
  if (name.base === sshKeySetup) return attempt('start', service, service, 'could not be started');
  const secrets = `${companionName(name, 'secrets')}.service`;
  const config = `${companionName(name, 'config')}.service`;
  if (!(await restoreSet(name))) return exitCodes.temporaryFailure;
  if (refetch && isActive(secrets)) {
    const fetched = await reload(secrets, service);
    if (fetched !== exitCodes.ok) return fetched;
    // that brings a reload of the configuration, too, which nobody has waited for
    const rendered = loaded.has(config) && isActive(config) ? await reload(config, service) : exitCodes.ok;
    if (rendered !== exitCodes.ok) return rendered;
  }
  if (templates && !isOlder(service, newestOf(service, name, loaded))) return exitCodes.ok;
  if (!refetch && isOlder(service, newestOf(service, name, loaded)))
    log('info', `${service} was started before its secrets were fetched last`);
  if (isActive(service)) return attempt('try-restart', service, service, 'could not be restarted');
  // it failed with the error that the entry had, and nothing starts it for its service
  if (mended) systemctl(['reset-failed', '--', secrets]);
  log(
    'info',
    `${service} does not run: it is given its secrets when it is started (systemctl start ${service})`,
  );
  return exitCodes.ok;
}

/** When any file of a service was last replaced; milliseconds of the wall clock. */
function newestOf(service: string, name: ServiceName, loaded: UnitTree): number {
  const isOurs = (one: RenderedFiles): boolean => one.service === service;
  const configs = renderedFiles(loaded, '').find(isOurs);
  return Math.max(newestSecret(name)?.changed ?? 0, configs?.changed ?? 0);
}

const reload = (unit: string, service: string): Promise<ExitCode> =>
  attempt('reload', unit, service, 'could not be reloaded');

const reopenToken = (loaded: UnitTree): Promise<ExitCode> =>
  attempt(tokenVerb(loaded), tokenUnitName, tokenUnitName, 'could not open the token anew');

/** @param service whose fetch is told of while it is waited for */
async function attempt(verb: string, unit: string, service: string, failure: string): Promise<ExitCode> {
  const begun = uptime();
  log('info', `systemctl ${verb} ${unit}`);
  const { exitCode, complaint } = await withProgress(waitingFor(unit, service), () =>
    systemctlJob([verb, '--', unit]),
  );
  if (exitCode === 0) return exitCodes.ok;
  const known = fetchFailure(service, begun);
  if (known) {
    const { message, hint } = known;
    log('error', `${unit} ${failure}: ${message}${hint === undefined ? '' : ` (${hint})`}`);
    return known.class === 'permanent' ? known.exitCode : exitCodes.temporaryFailure;
  }
  const told = unit === service && unit !== tokenUnitName ? reasonOf(service) : lastWord(unit);
  log('error', `${unit} ${failure}: ${told ?? complaint}`);
  return exitCodes.temporaryFailure;
}

/** Why a fetch has failed that ended after a time of uptime(). */
function fetchFailure(service: string, begun: number): Failure | undefined {
  const fetch = readFetchState(paths.queue, service);
  return fetch?.state === 'failed' && fetch.since >= begun ? fetch.failure : undefined;
}

function reasonOf(service: string): string | undefined {
  const parsed = parseServiceName(service);
  return parsed.ok ? failureOf(readLoadedUnits(''), serviceKey(parsed.service)) : undefined;
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
