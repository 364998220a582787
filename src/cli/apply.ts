import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { sshKeySetup } from '../domain/manifest-ssh-keys.ts';
import { formatProblem } from '../domain/problem.ts';
import { companionName, parseServiceName } from '../domain/service-name.ts';
import { log } from '../effects/journal-log.ts';
import { showUnits, systemctl } from '../effects/systemctl.ts';
import { planChanges, printChanges } from './plan.ts';
import { toExitCode } from './report-failure.ts';

/**
 * `apply`: shows the plan and carries it out: `daemon-reload`, then for each service that is given something
 * new a reload of its secrets and, if it runs, a restart; keys of users are set up anew. A manifest with problems is not applied.
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
    if (changes.units.length === 0) return exitCodes.ok;
    run(['daemon-reload']);
    let failed = 0;
    for (const { service, change, refetch } of changes.services) {
      if ((refetch || change === 'added' || change === 'mended') && !refresh(service)) failed++;
    }
    if (failed === 0) return exitCodes.ok;
    log(
      'error',
      `${failed} service${failed === 1 ? '' : 's'} could not be given what is new, and go${failed === 1 ? 'es' : ''} on with what they had`,
    );
    return exitCodes.temporaryFailure;
  });
}

/** Fetches anew for a service that has secrets, and restarts it if it runs. @returns whether all went well */
function refresh(service: string): boolean {
  const parsed = parseServiceName(service);
  if (!parsed.ok) return true;
  if (parsed.service.base === sshKeySetup)
    return attempt(['start', service], `${service} could not be started`);
  const secrets = `${companionName(parsed.service, 'secrets')}.service`;
  const states = showUnits([secrets, service], ['ActiveState']);
  const isActive = (unit: string): boolean => states.get(unit)?.get('ActiveState') === 'active';
  if (isActive(secrets) && !attempt(['reload', secrets], `${secrets} could not be reloaded`)) return false;
  if (!isActive(service)) return true;
  return attempt(['try-restart', service], `${service} could not be restarted`);
}

function attempt(args: readonly string[], failure: string): boolean {
  log('info', `systemctl ${args.join(' ')}`);
  const { exitCode, complaint } = systemctl(args);
  if (exitCode === 0) return true;
  log('error', `${failure}: ${complaint}`);
  return false;
}

function run(args: readonly string[]): void {
  log('info', `systemctl ${args.join(' ')}`);
  const { exitCode, complaint } = systemctl(args);
  if (exitCode === 0) return;
  throw new FailureError({
    class: 'permanent',
    exitCode: process.geteuid?.() === 0 ? exitCodes.unavailable : exitCodes.noPermission,
    message: `systemctl ${args.join(' ')} failed: ${complaint}`,
    ...(process.geteuid?.() === 0 ? {} : { hint: 'run this as root' }),
  });
}
