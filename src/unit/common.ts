import { companionName, directoryName, type ServiceName } from '../domain/service-name.ts';
import type { Machine } from './context.ts';
import { paths } from './paths.ts';
import { escapeSpecifiers, quoteArgument, quotePath, quoteProgram, replaceUnfit } from './syntax.ts';
import type { Setting } from './unit-file.ts';

export const tokenUnitName = 'unit-secrets-token.service';

const origins = new Map<string, readonly [Setting, Setting]>();

/** What stands in every unit: where it comes from, and where it is described. */
export function origin(file: string): readonly [Setting, Setting] {
  const known = origins.get(file);
  if (known) return known;
  // no setting can carry a control character
  const path = replaceUnfit(file, '?') === file && !file.endsWith('\\') ? file : paths.manifest;
  const settings: readonly [Setting, Setting] = [
    ['SourcePath', escapeSpecifiers(path)],
    ['Documentation', 'man:unit-secrets-generator(8)'],
  ];
  origins.set(file, settings);
  return settings;
}

/** A duration in seconds as systemd.time(7) has it. */
export const seconds = (value: number): string => `${Number(value.toFixed(3))}s`;

/** `X-secrets.service` and the like. */
export function unitName(name: ServiceName, suffix: 'secrets' | 'config' | 'retry'): string {
  return `${companionName(name, suffix)}.${suffix === 'retry' ? 'timer' : 'service'}`;
}

/** A command of this program. */
export function command(machine: Pick<Machine, 'executable'>, ...args: readonly string[]): string {
  let line = quoteProgram(machine.executable);
  for (const arg of args) line += ` ${quoteArgument(arg)}`;
  return line;
}

/** A list of paths, as in `RequiresMountsFor=`. */
export function pathList(list: readonly string[]): string {
  let text = '';
  for (const path of new Set(list)) text += `${text === '' ? '' : ' '}${quotePath(path)}`;
  return text;
}

/** Where a service's secrets are: relative to /run, as in `RuntimeDirectory=`. */
export function secretsDirectory(name: ServiceName): string {
  return `unit-secrets/secrets/${directoryName(name.name)}`;
}

/** The same for its rendered configuration, or for what shows that it is complete. */
export function configDirectory(name: ServiceName): string {
  return `unit-secrets/config/${directoryName(name.name)}`;
}

/** The same for the secrets that a service fetches itself. */
export function inlineDirectory(name: ServiceName): string {
  return `unit-secrets/inline/${directoryName(name.name)}`;
}

/** What orders a unit behind all that a fetch over the network can hope for. */
export const networkOrdering: readonly Setting[] = [
  ['Wants', 'network-online.target'],
  ['After', 'network-online.target nss-lookup.target time-set.target'],
];

/**
 * Binds the files that a unit reads to where it finds them though it may not enter the directories that they
 * are in: a checkout may lie in a home of mode 0700. What is not there is left out; so are paths with
 * characters that mean something in this setting, whose directories must be open.
 */
export function sources(files: readonly string[]): readonly Setting[] {
  if (files.length === 0) return [];
  return [...new Set(files)]
    .filter((file) => /^[A-Za-z0-9_@.,/+-]+$/.test(file))
    .map((file) => ['BindReadOnlyPaths', `-${file}:${paths.sources}${file}`] as const);
}
