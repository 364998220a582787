import { type FormatName, formatNames } from '../domain/config-format.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { type ConfigFile, type NamedValue, type SecretFile, widestMode } from '../domain/manifest.ts';
import { fileName, variableName } from '../domain/names.ts';
import { isRuntimeDirectory } from '../domain/runtime-directory.ts';

/** What `[X-Secrets]` says about where the values come from. */
export type ProviderPlan =
  | { readonly type: '1password' }
  | { readonly type: 'age-vault'; readonly path: string; readonly identities: readonly string[] };

/** What a unit's `[X-Secrets]` section says. */
export interface FetchPlan {
  readonly service: string;
  readonly tries: number;
  /** Seconds for everything, waiting for others included. */
  readonly timeout: number;
  readonly environment: readonly NamedValue[];
  readonly credentials: readonly NamedValue[];
  readonly files: readonly SecretFile[];
  readonly configs: readonly Omit<ConfigFile, 'formatGiven'>[];
  /** Whether a group may read files. */
  readonly grouped: boolean;
  /** The directory below /run that has environment and files. */
  readonly runtimeDirectory: string | undefined;
}

type Settings = ReadonlyMap<string, readonly string[]>;

/** The errors that the generator found in this service's entry; empty if it can be fetched. */
export function errorsOf(settings: Settings): readonly string[] {
  return settings.get('Error') ?? [];
}

/**
 * Reads the settings of X-secrets.service, or of the drop-in of a service that fetches by itself.
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
  /** All settings of a name, taken apart by a pattern. */
  const each = <T>(name: string, pattern: RegExp, make: (...parts: string[]) => T): T[] =>
    (settings.get(name) ?? []).map((text) => {
      const match = pattern.exec(text);
      if (!match) throw unexpected(name);
      return make(...match.slice(1));
    });
  const named = (name: string, pattern: RegExp): NamedValue[] =>
    each(name, /^([^=]+)=(.*)$/s, (key = '', value = '') => [nameOf(name, key, pattern), value]);

  const has = (setting: string, name: string): boolean => settings.get(setting)?.includes(name) ?? false;

  const type = one('Provider');
  if (type !== '1password' && type !== 'age-vault') throw unexpected('Provider');
  const valuesOf = each('ConfigValue', /^(\S+) ([^=]+)=(.*)$/s, (config = '', name = '', value = '') => ({
    config,
    value: [nameOf('ConfigValue', name, variableName), value] as const,
  }));
  return {
    fetch: {
      service: one('Service'),
      tries: number('Tries'),
      timeout: number('Timeout'),
      environment: named('Environment', variableName),
      credentials: named('Credential', fileName),
      files: each('File', /^([0-7]{4}) ([^=]+)=(.*)$/s, (mode = '', name = '', value = '') => ({
        name: nameOf('File', name, fileName),
        value,
        mode: modeOf('File', mode),
        credential: has('FileCredential', name),
      })),
      configs: each(
        'Config',
        /^([0-7]{4}) (\S+) ([^=]+)=(.*)$/s,
        (mode = '', format = '', name = '', template = '') => ({
          name: nameOf('Config', name, fileName),
          template: pathOf('Config', template),
          format: formatOf(format),
          mode: modeOf('Config', mode),
          credential: has('ConfigCredential', name),
          values: valuesOf.filter(({ config }) => config === name).map(({ value }) => value),
        }),
      ),
      grouped: settings.has('Group'),
      runtimeDirectory: settings.has('RuntimeDirectory') ? directoryOf(one('RuntimeDirectory')) : undefined,
    },
    provider:
      type === '1password'
        ? { type }
        : {
            type,
            path: pathOf('Vault', one('Vault')),
            identities: (settings.get('Identity') ?? []).map((path) => pathOf('Identity', path)),
          },
  };
}

/** A name that becomes part of a path: it must not lead out of the service's directory. */
function nameOf(setting: string, name: string, pattern: RegExp): string {
  if (!pattern.test(name)) throw unexpected(setting);
  return name;
}

function directoryOf(name: string): string {
  if (!isRuntimeDirectory(name)) throw unexpected('RuntimeDirectory');
  return name;
}

function pathOf(setting: string, path: string): string {
  if (!path.startsWith('/') || path.includes('\0') || path.split('/').includes('..'))
    throw unexpected(setting);
  return path;
}

/** Never wider than the manifest allows. */
function modeOf(setting: string, octal: string): number {
  const mode = Number.parseInt(octal, 8);
  if ((mode & ~widestMode) !== 0) throw unexpected(setting);
  return mode;
}

function formatOf(text: string): FormatName {
  const format = formatNames.find((name) => name === text);
  if (format === undefined) throw unexpected('Config');
  return format;
}

function unexpected(name: string): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.configuration,
    message: `the setting ${name}= in [X-Secrets] is missing or not as this version writes it`,
    hint: 'run systemctl daemon-reload, so that the units are written anew',
  });
}
