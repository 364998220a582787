import { unifiedDiff } from '../domain/unified-diff.ts';
import { xSecretsText } from './x-secrets.ts';

/** Units and drop-ins by their paths below a unit directory; of a link, `-> TARGET`. */
export type UnitTree = ReadonlyMap<string, string>;

export interface UnitChange {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly diff: string;
}

/** What becomes of a service. */
export interface ServiceChange {
  /** `litellm.service`. */
  readonly service: string;
  readonly change: 'added' | 'removed' | 'changed' | 'broken' | 'mended' | 'released';
  /** Whether what it is given changes: it must be fetched, and the service restarted, to take effect. */
  readonly refetch: boolean;
  /** It fetched by itself until now, and has left the manifest: it keeps what it has until it stops. */
  readonly keeps?: true;
}

export interface UnitChanges {
  readonly units: readonly UnitChange[];
  readonly services: readonly ServiceChange[];
}

/** A change that `daemon-reload` makes. */
export interface ReloadChange extends UnitChange {
  /** It is there for what is in memory, not by the manifest, and goes with a later `daemon-reload`. */
  readonly transient?: true;
}

/**
 * What `daemon-reload` does to the files themselves.
 *
 * @param lasting the same units as if nothing were in memory that has to be renewed or wiped
 */
export function compareFiles(
  before: UnitTree,
  after: UnitTree,
  lasting: { readonly before: UnitTree; readonly after: UnitTree },
): ReloadChange[] {
  return changedUnits(before, after).map((change) => {
    const of = after.has(change.path) ? lasting.after : lasting.before;
    return of.has(change.path) ? change : { ...change, transient: true };
  });
}

/** Compares the units that are loaded with those that a `daemon-reload` would bring. */
export function compareUnits(before: UnitTree, after: UnitTree): UnitChanges {
  const units = changedUnits(before, after);
  return { units, services: changedServices(units, before, after) };
}

function changedUnits(before: UnitTree, after: UnitTree): UnitChange[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  const units: UnitChange[] = [];
  for (const path of paths) {
    const [old, current] = [before.get(path), after.get(path)];
    if (old === current) continue;
    const change = old === undefined ? 'added' : current === undefined ? 'removed' : 'changed';
    units.push({ path, change, diff: unifiedDiff(path, old, current) });
  }
  return units;
}

function changedServices(units: readonly UnitChange[], before: UnitTree, after: UnitTree): ServiceChange[] {
  const names = new Set<string>();
  for (const { path } of units) {
    const service = serviceOf(path, after.get(path) ?? before.get(path) ?? '');
    if (service !== undefined) names.add(service);
  }
  return [...names].sort().flatMap((service) => {
    const [old, current] = [standingOf(service, before), standingOf(service, after)];
    // a stub, or a name that is refused: nothing was or will be given to it
    if (old.fetches === undefined && current.fetches === undefined) return [];
    const change = changeOf(old, current);
    const keeps = change === 'removed' && old.fetches?.startsWith(`${service}.d/`);
    return { service, change, refetch: isRefetched(old, current), ...(keeps ? { keeps } : {}) };
  });
}

/** How a service stands in a set of units: what it is fetched by, and whether it is kept down. */
interface Standing {
  /** The unit that fetches for it, and its `[X-Secrets]`; undefined if none does. */
  readonly fetches: string | undefined;
  readonly broken: boolean;
}

function standingOf(service: string, tree: UnitTree): Standing {
  for (const [path, content] of tree) {
    const section = xSecretsText(content);
    if (section === '' || serviceOf(path, content) !== service) continue;
    return { fetches: `${path}\n${section}`, broken: section.includes('\nError=') };
  }
  return { fetches: undefined, broken: false };
}

function changeOf(old: Standing, current: Standing): ServiceChange['change'] {
  // perhaps a name that was only seen in a file that was not JSON
  if (current.fetches === undefined) return old.broken ? 'released' : 'removed';
  if (current.broken) return 'broken';
  if (old.fetches === undefined) return 'added';
  return old.broken ? 'mended' : 'changed';
}

const isRefetched = (old: Standing, current: Standing): boolean =>
  old.fetches !== undefined &&
  current.fetches !== undefined &&
  !old.broken &&
  !current.broken &&
  old.fetches !== current.fetches;

/** The service that a unit or drop-in of ours is for; undefined for what all share. */
export function serviceOf(path: string, content: string): string | undefined {
  const dropIn = /^(.*\.service)\.d\//.exec(path);
  if (dropIn) return dropIn[1];
  const named = /^Service="(.*)"$/m.exec(xSecretsText(content));
  if (named) return (named[1] ?? '').replaceAll('\\\\', '\\');
  if (path.startsWith('unit-secrets-') || path.includes('/')) return undefined;
  const setup = /^ssh-key-setup(?:-retry)?(@.*\.service)$/.exec(path);
  if (setup) return `ssh-key-setup${setup[1]}`;
  // timers, configuration units and stubs say it in their description
  return /^Description=.*?(\S+\.service)\b/m.exec(content)?.[1] ?? undefined;
}
