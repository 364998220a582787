import { spawnSync } from 'node:child_process';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { companionName, parseServiceName } from '../domain/service-name.ts';
import { coolDownFailure } from '../effects/cool-down.ts';
import { forgetFetchState, readFetchState } from '../effects/fetch-state.ts';
import { readLoadedUnit } from '../effects/unit-reader.ts';
import { paths } from '../unit/paths.ts';
import { toExitCode } from './report-failure.ts';

/**
 * `retry X`: forgets what is known of X's secrets and starts X, so that the provider is asked even for what was
 * not there a moment ago. A rate limit is not forgotten: it concerns all services, and to ask in spite of it
 * makes it longer.
 */
export function retryCommand(name: string): Promise<ExitCode> {
  return toExitCode(async () => {
    const parsed = parseServiceName(name);
    if (!parsed.ok) {
      throw new FailureError({ class: 'permanent', exitCode: exitCodes.usage, message: parsed.message });
    }
    const service = `${parsed.service.name}.service`;
    const secrets = `${companionName(parsed.service, 'secrets')}.service`;
    // says what to do if there is no such unit
    await readLoadedUnit('', secrets, 0);
    if (process.getuid?.() !== 0) {
      throw new FailureError({
        class: 'permanent',
        exitCode: exitCodes.noPermission,
        message: `only root can start ${service}`,
        hint: `sudo unit-secrets retry ${name}`,
      });
    }
    const token = readFetchState(paths.queue, service)?.token;
    const coolDown = token === undefined ? undefined : coolDownFailure(paths.queue, token);
    if (coolDown) throw new FailureError(coolDown);
    forgetFetchState(paths.queue, service);
    const { status, error } = spawnSync('systemctl', ['start', service], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (status === 0) return exitCodes.ok;
    if (error) {
      throw new FailureError({
        class: 'permanent',
        exitCode: exitCodes.unavailable,
        message: 'systemctl could not be started',
      });
    }
    const state = readFetchState(paths.queue, service);
    if (state?.state === 'failed' && state.failure) throw new FailureError(state.failure);
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.problems,
      message: `${service} could not be started`,
      hint: `systemctl status ${service} ${secrets}`,
    });
  });
}
