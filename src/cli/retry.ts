import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { companionName } from '../domain/service-name.ts';
import { coolDownFailure } from '../effects/cool-down.ts';
import { forgetFetchState, readFetchState } from '../effects/fetch-state.ts';
import { readLoadedUnits } from '../effects/loaded-units.ts';
import { writeOut } from '../effects/standard-output.ts';
import { isActive, systemctlJob } from '../effects/systemctl.ts';
import { paths } from '../unit/paths.ts';
import { serviceOf } from './fetch.ts';
import { waitingFor } from './fetch-progress.ts';
import { findService } from './known-service.ts';
import { fetchAnew, renewToken, restoreToken } from './lost-memory.ts';
import { planChanges } from './plan.ts';
import { withProgress } from './progress.ts';
import { toExitCode } from './report-failure.ts';
import { failureOf, knownServices } from './status-facts.ts';

/**
 * `retry X`: forgets what is known of X's secrets and starts X, so that the provider is asked even for what was
 * not there a moment ago. Of an X-secrets.service that is active the set is fetched anew, as nothing would be by a
 * start; X goes on with the one that it was started with. A rate limit is not forgotten: it concerns all services, and to
 * ask in spite of it makes it longer.
 */
export function retryCommand(name: string): Promise<ExitCode> {
  return toExitCode(async () => {
    const loaded = readLoadedUnits('');
    const { name: known, inline, errors } = findService(knownServices(loaded), name);
    const parsed = serviceOf(known);
    const service = `${parsed.name}.service`;
    const secrets = inline ? service : `${companionName(parsed, 'secrets')}.service`;
    if (process.getuid?.() !== 0) {
      throw new FailureError({
        class: 'permanent',
        exitCode: exitCodes.noPermission,
        message: `only root can start ${service}`,
        hint: `sudo unit-secrets retry ${name}`,
      });
    }
    if (errors[0] !== undefined) throw await keptDownFailure(service, errors[0]);
    const token = readFetchState(paths.queue, service)?.token;
    const coolDown = token === undefined ? undefined : coolDownFailure(paths.queue, token);
    if (coolDown) throw new FailureError(coolDown);
    forgetFetchState(paths.queue, service);
    await restoreToken(loaded);
    await renewToken(loaded);
    const wasActive = isActive(service);
    const isFetched = inline || !isActive(secrets) || (await fetchAnew(parsed));
    const { exitCode } = await withProgress(waitingFor(service, service), () =>
      systemctlJob(['start', '--', service]),
    );
    if (exitCode === 0 && isFetched) {
      if (wasActive) writeOut(`${goesOn(service, inline)}\n`);
      return exitCodes.ok;
    }
    const state = readFetchState(paths.queue, service);
    if (state?.state === 'failed' && state.failure) throw new FailureError(state.failure);
    const reason = failureOf(readLoadedUnits(''), known);
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.problems,
      message: `${service} could not be started${reason === undefined ? '' : `: ${reason}`}`,
      hint: `systemctl status ${[...new Set([service, secrets])].join(' ')} unit-secrets-token.service`,
    });
  });
}

/**
 * Of an entry that is loaded with an error there is nothing to fetch, and nothing to start: it has to be corrected, or
 * what was corrected has to be loaded.
 */
async function keptDownFailure(service: string, error: string): Promise<FailureError> {
  const next = (await planChanges('')).changes.services.find((one) => one.service === service)?.change;
  const failed = isActive(service)
    ? `nothing can be fetched for ${service}, which runs on`
    : `${service} could not be started: it is kept down`;
  const isRight = next === 'mended' || next === 'released';
  const why = next === 'mended' ? 'its entry is right now' : 'the manifest does not name it any more';
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.problems,
    message: isRight ? `${failed}, as ${why} but what is loaded is older` : `${failed}: ${error}`,
    hint: isRight
      ? `run unit-secrets apply, then systemctl start ${service}`
      : 'correct it, then run unit-secrets apply',
  });
}

function goesOn(service: string, inline: boolean): string {
  const restart = `"systemctl restart ${service}"`;
  return inline
    ? `${service} runs, and fetches by itself when it starts: ${restart}`
    : `fetched anew; ${service} goes on with the secrets that it was started with until ${restart}`;
}
