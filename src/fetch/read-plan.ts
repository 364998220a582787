import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { FetchPlan } from './fetch.ts';

/** What `[X-Secrets]` says about where the values come from. */
export type ProviderPlan =
  | { readonly type: '1password' }
  | { readonly type: 'age-vault'; readonly path: string; readonly identities: readonly string[] };

type Settings = ReadonlyMap<string, readonly string[]>;

/** The errors that the generator found in this service's entry; empty if it can be fetched. */
export function errorsOf(settings: Settings): readonly string[] {
  return settings.get('Error') ?? [];
}

/**
 * Reads the settings of X-secrets.service.
 *
 * @throws FailureError with 78 if they are not what the generator of this version writes
 */
export function readPlan(settings: Settings): { readonly fetch: FetchPlan; readonly provider: ProviderPlan } {
  const one = (name: string): string => {
    const [value, ...more] = settings.get(name) ?? [];
    if (value === undefined || more.length > 0) throw unexpected(name);
    return value;
  };
  const number = (name: string): number => {
    const value = Number(one(name));
    if (!Number.isFinite(value) || value <= 0) throw unexpected(name);
    return value;
  };
  const type = one('Provider');
  if (type !== '1password' && type !== 'age-vault') throw unexpected('Provider');
  const environment = (settings.get('Environment') ?? []).map((assignment): readonly [string, string] => {
    const equals = assignment.indexOf('=');
    if (equals <= 0) throw unexpected('Environment');
    return [assignment.slice(0, equals), assignment.slice(equals + 1)];
  });
  return {
    fetch: { service: one('Service'), tries: number('Tries'), timeout: number('Timeout'), environment },
    provider:
      type === '1password'
        ? { type }
        : { type, path: one('Vault'), identities: settings.get('Identity') ?? [] },
  };
}

function unexpected(name: string): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.configuration,
    message: `the setting ${name}= in [X-Secrets] is missing or not as this version writes it`,
    hint: 'run systemctl daemon-reload, so that the units are written anew',
  });
}
