import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { companionName, directoryName, parseServiceName, type ServiceName } from '../domain/service-name.ts';
import { log } from '../effects/journal-log.ts';
import { hasMarker, writeSecrets } from '../effects/secret-directory.ts';
import { shortHash } from '../effects/short-hash.ts';
import { readLoadedUnit } from '../effects/unit-reader.ts';
import { fetchSecrets } from '../fetch/fetch.ts';
import { errorsOf, readPlan } from '../fetch/read-plan.ts';
import { paths } from '../unit/paths.ts';
import { xSecretsText } from '../unit/x-secrets.ts';
import { obtainFrom } from './obtain.ts';
import { toExitCode } from './report-failure.ts';

/**
 * `fetch X`, as X-secrets.service calls it: fetches what its own loaded unit says and leaves a complete
 * new set of files in its directory, or the old one.
 */
export function fetchCommand(name: string, root: string): Promise<ExitCode> {
  return toExitCode(async () => {
    const parsed = parseServiceName(name);
    if (!parsed.ok) {
      throw new FailureError({ class: 'permanent', exitCode: exitCodes.usage, message: parsed.message });
    }
    const unit = await readLoadedUnit(root, `${companionName(parsed.service, 'secrets')}.service`);
    const errors = errorsOf(unit.settings);
    if (errors.length > 0) return reportErrors(errors, `${parsed.service.name}.service is kept down`);
    const plan = readPlan(unit.settings);
    const directory = `${root}${paths.secrets}/${directoryName(parsed.service.name)}`;
    const unitDigest = shortHash(xSecretsText(unit.text));
    const obtaining = obtainFrom(plan.provider, root, {
      ...plan.fetch,
      unitDigest,
      // a start finds an empty directory: this is a reload, by which somebody wants to know
      force: hasMarker(directory),
    });
    try {
      await fetchSecrets(plan.fetch, {
        obtain: (references) => obtaining.obtain(references),
        write: (environment) => write(directory, environment, `.ok-${unitDigest}`, parsed.service),
      });
    } catch (error) {
      if (error instanceof FailureError && error.failure.class === 'permanent')
        obtaining.remember(error.failure);
      throw error;
    }
    return exitCodes.ok;
  });
}

/** `fetch --manifest`, as unit-secrets-manifest.service calls it: tells what is wrong with the manifest. */
export function reportManifestCommand(root: string): Promise<ExitCode> {
  return toExitCode(async () => {
    const unit = await readLoadedUnit(root, 'unit-secrets-manifest.service');
    return reportErrors(errorsOf(unit.settings), 'correct the manifest, then run systemctl daemon-reload');
  });
}

function reportErrors(errors: readonly string[], consequence: string): ExitCode {
  for (const error of errors) log('error', error);
  log('error', consequence);
  return exitCodes.configuration;
}

function write(
  directory: string,
  environment: string | undefined,
  marker: string,
  service: ServiceName,
): void {
  try {
    writeSecrets(directory, environment, marker);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new FailureError({
      class: 'transient',
      exitCode: code === 'ENOSPC' ? exitCodes.ioError : exitCodes.cannotCreate,
      message: `cannot write to ${directory}${code === '' ? '' : ` (${code})`}`,
      hint:
        code === 'ENOENT'
          ? `${companionName(service, 'secrets')}.service makes it: start that unit`
          : 'what was there before is still there',
    });
  }
}
