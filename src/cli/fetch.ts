import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { companionName, parseServiceName, type ServiceName } from '../domain/service-name.ts';
import { isDevice, log } from '../effects/journal-log.ts';
import { hasMarker } from '../effects/secret-directory.ts';
import { shortHash } from '../effects/short-hash.ts';
import { readTemplateFile } from '../effects/template-file.ts';
import { readLoadedUnit } from '../effects/unit-reader.ts';
import { fetchSecrets } from '../fetch/fetch.ts';
import { errorsOf, readPlan } from '../fetch/read-plan.ts';
import { xSecretsText } from '../unit/x-secrets.ts';
import { keptDown } from './kept-down.ts';
import { type Obtaining, obtainFrom } from './obtain.ts';
import { toExitCode } from './report-failure.ts';
import { triedAgain } from './tried-again.ts';
import { stateDirectory, writeSecretSet } from './write-secrets.ts';

/**
 * `fetch X`, as X-secrets.service calls it: fetches what its own loaded unit says and leaves a complete
 * new set of files in its directory, or the old one.
 */
export function fetchCommand(name: string, root: string): Promise<ExitCode> {
  return toExitCode(async () => {
    const service = serviceOf(name);
    const unitName = `${companionName(service, 'secrets')}.service`;
    const unit = await readLoadedUnit(root, unitName);
    const errors = errorsOf(unit.settings);
    if (errors.length > 0) return reportErrors(errors, keptDown(`${service.name}.service`));
    const plan = readPlan(unit.settings);
    const unitDigest = shortHash(xSecretsText(unit.text));
    const { runtimeDirectory, grouped } = plan.fetch;
    const owned = process.env['RUNTIME_DIRECTORY'];
    const places = { root, service, runtimeDirectory, grouped, owned };
    const obtaining = obtainFrom(plan.provider, root, {
      ...plan.fetch,
      unitDigest,
      // a start finds an empty directory: this is a reload, by which somebody wants to know
      force: hasMarker(stateDirectory(places)),
    });
    try {
      await fetchSecrets(plan.fetch, {
        obtain: (references) => shown(obtaining, () => obtaining.obtain(references)),
        readTemplate: (path) => readTemplateFile(root + path),
        write: (set) => writeSecretSet(set, `.ok-${unitDigest}`, places),
      });
    } catch (error) {
      if (error instanceof FailureError && error.failure.class === 'permanent')
        obtaining.remember(error.failure);
      throw error;
    }
    await requireUnchanged(root, unitName, unitDigest);
    return exitCodes.ok;
  });
}

/** By hand, one sees how far it is; below systemd, which has the unit's status for that, nothing more is loaded. */
export async function shown<T>({ status }: Obtaining, work: () => Promise<T>): Promise<T> {
  if (!isDevice()) return work();
  const { withProgress } = await import('./progress.ts');
  return withProgress(status, work);
}

/**
 * A `daemon-reload` during the fetch may have brought another edition of the entry. Its set X would refuse: an
 * assertion that fails triggers nothing, so X would stay down, where a fetch that fails is tried again.
 *
 * @throws FailureError with 75
 */
async function requireUnchanged(root: string, unitName: string, unitDigest: string): Promise<void> {
  if ((await digestOf(root, unitName)) === unitDigest) return;
  throw new FailureError({
    class: 'transient',
    exitCode: exitCodes.temporaryFailure,
    message: 'the entry in the manifest was edited while its secrets were fetched',
    hint: triedAgain,
  });
}

/** @returns undefined if the unit is gone, or has nothing to fetch any more */
async function digestOf(root: string, unitName: string): Promise<string | undefined> {
  try {
    return shortHash(xSecretsText((await readLoadedUnit(root, unitName)).text));
  } catch (error) {
    if (error instanceof FailureError) return undefined;
    throw error;
  }
}

/** The service that a command is given by name. @throws FailureError with 64 */
export function serviceOf(name: string): ServiceName {
  const parsed = parseServiceName(name);
  if (parsed.ok) return parsed.service;
  throw new FailureError({ class: 'permanent', exitCode: exitCodes.usage, message: parsed.message });
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
