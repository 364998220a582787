import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { Provider } from '../domain/provider.ts';
import { companionName, directoryName, parseServiceName, type ServiceName } from '../domain/service-name.ts';
import { ageVaultProvider } from '../effects/age-vault-provider.ts';
import { log } from '../effects/journal-log.ts';
import { takeLock } from '../effects/lock.ts';
import { onePasswordProvider } from '../effects/onepassword-provider.ts';
import { writeSecrets } from '../effects/secret-directory.ts';
import { shortHash } from '../effects/short-hash.ts';
import { readOpenedToken } from '../effects/token.ts';
import { readLoadedUnit } from '../effects/unit-reader.ts';
import { type FetchWorld, fetchSecrets } from '../fetch/fetch.ts';
import { errorsOf, type ProviderPlan, readPlan } from '../fetch/read-plan.ts';
import { paths } from '../unit/paths.ts';
import { xSecretsText } from '../unit/x-secrets.ts';
import { toExitCode } from './report-failure.ts';
import { selfCommand } from './self.ts';

/** The longest that one try may take, in milliseconds: the SDK itself waits for ever. */
const longestTry = 30_000;

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
    const marker = `.ok-${shortHash(xSecretsText(unit.text))}`;
    await fetchSecrets(
      plan.fetch,
      world(plan.provider, root, (environment) => {
        write(directory, environment, marker, parsed.service);
      }),
    );
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

function world(provider: ProviderPlan, root: string, write: FetchWorld['write']): FetchWorld {
  return {
    provider: (remaining) => open(provider, root, remaining),
    exclusively: async (deadline, work) => {
      // a vault file is read by as many as like: the lock is for the service's sake
      if (provider.type === 'age-vault') return work();
      const lock = await takeLock(root + paths.queue, deadline);
      if (!lock) return undefined;
      try {
        return await work();
      } finally {
        await lock.release();
      }
    },
    write,
    log,
    now: () => performance.now(),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    random: Math.random,
  };
}

async function open(provider: ProviderPlan, root: string, remaining: number): Promise<Provider> {
  if (provider.type === 'age-vault') {
    return ageVaultProvider({
      path: root + provider.path,
      identities: provider.identities.map((path) => root + path),
    });
  }
  return onePasswordProvider({
    command: selfCommand('resolve-child'),
    token: readOpenedToken(root),
    deadline: Math.max(1000, Math.min(longestTry, remaining)),
  });
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
