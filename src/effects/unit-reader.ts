import { readFileSync } from 'node:fs';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { paths } from '../unit/paths.ts';
import { readXSecrets } from './ini.ts';

/** The unit that is loaded, between generator and fetcher the only truth. */
export interface LoadedUnit {
  readonly text: string;
  /** Settings of `[X-Secrets]`, in order; a name may be given many times. */
  readonly settings: ReadonlyMap<string, readonly string[]>;
}

/** `daemon-reload` empties the generator's directory for a moment. */
const patience = 10_000;
const interval = 100;

/**
 * Reads a generated unit with its `[X-Secrets]` section, waiting while a `daemon-reload` may be under way.
 *
 * @param unit the unit's name, such as `litellm-secrets.service`
 * @throws FailureError with 75 if it is not there, 74 if it cannot be read, 78 if it has no such section
 */
export async function readLoadedUnit(root: string, unit: string, wait = patience): Promise<LoadedUnit> {
  const path = `${root}${paths.generated}/${unit}`;
  const deadline = performance.now() + wait;
  for (;;) {
    const text = readIfThere(path);
    const settings = text === undefined ? undefined : readXSecrets(text);
    if (text !== undefined && settings !== undefined) return { text, settings };
    if (text !== undefined) {
      throw new FailureError({
        class: 'permanent',
        exitCode: exitCodes.configuration,
        message: `${path} has no [X-Secrets] section, so unit-secrets-generator did not write it`,
        hint: 'run systemctl daemon-reload',
      });
    }
    if (performance.now() >= deadline) {
      throw new FailureError({
        class: 'transient',
        exitCode: exitCodes.temporaryFailure,
        message: `${path} is not there`,
        hint: 'is the service in the manifest? run systemctl daemon-reload, then look for errors in journalctl --dmesg --grep unit-secrets',
      });
    }
    await new Promise((resolve) => setTimeout(resolve, interval));
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.ioError,
      message: `cannot read ${path}${code === '' ? '' : ` (${code})`}`,
    });
  }
}
