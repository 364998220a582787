import { plan } from '../../generators/unit-secrets-generator.ts';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { formatProblem, type Problem } from '../domain/problem.ts';
import { log } from '../effects/journal-log.ts';
import { readLoadedUnits } from '../effects/loaded-units.ts';
import { permissionDenied, readManifestFiles } from '../effects/read-manifest.ts';
import { tokenUnitName } from '../unit/common.ts';
import { withoutStubs } from '../unit/orphan-units.ts';
import { paths } from '../unit/paths.ts';
import type { UnitPlan } from '../unit/plan-units.ts';
import { withoutRenewals } from '../unit/renewal-unit.ts';
import {
  compareFiles,
  compareUnits,
  type ReloadChange,
  type ServiceChange,
  type UnitChanges,
  type UnitTree,
} from '../unit/unit-changes.ts';
import { generatorExecutable } from './generator-executable.ts';
import { noManifest } from './manifest-set.ts';
import { plural } from './plural.ts';
import { renderedFiles } from './rendered-files.ts';
import { toExitCode } from './report-failure.ts';
import { type Colour, paint, print, printJson } from './terminal.ts';

/**
 * `plan`: what `daemon-reload` would change, and edited templates. @returns 0 no change, 2 changes, 1 no change but
 * problems, 66 no manifest
 */
export function planCommand(options: { readonly root: string; readonly json: boolean }): Promise<ExitCode> {
  return toExitCode(async () => {
    const planned = await planOfManifest(options.root);
    const { changes, files, problems, templates } = planned;
    if (options.json) printJson({ units: files, services: changes.services, templates, problems });
    else {
      for (const problem of problems) log('error', formatProblem(problem));
      printChanges(planned);
      printTemplates(templates);
    }
    if (changes.units.length > 0 || templates.length > 0) return exitCodes.changes;
    return problems.length > 0 ? exitCodes.problems : exitCodes.ok;
  });
}

export interface PlannedChanges {
  /** What the manifest changes. */
  readonly changes: UnitChanges;
  /** What `daemon-reload` does to files for that, those included that are there only for what is in memory. */
  readonly files: readonly PlannedFile[];
  readonly problems: readonly Problem[];
  /** Of services with templates that were edited since they were rendered. */
  readonly templates: readonly { readonly service: string; readonly edited: readonly string[] }[];
}

interface PlannedFile extends ReloadChange {
  /** Of one that comes for a time: what it does. */
  readonly purpose?: string;
}

/**
 * `planChanges` for those who want to carry it out: says so if it is of no manifest.
 *
 * @throws FailureError; 66 if there is neither a manifest nor a unit of an earlier one, 77 if this user may not read it
 */
export async function planOfManifest(root: string): Promise<PlannedChanges> {
  const planned = await planChanges(root);
  const hidden = planned.problems.find(({ message }) => message === permissionDenied);
  if (hidden && process.geteuid?.() !== 0) {
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.noPermission,
      message: formatProblem(hidden),
      hint: 'run this as a user who may read it, as root for instance',
    });
  }
  if ((await readManifestFiles(root, paths)).kind === 'read') return planned;
  if (planned.changes.units.length === 0 && readLoadedUnits(root).size === 0) throw noManifest(root);
  log('warning', `${noManifest(root).message}: every service is taken for removed`);
  return planned;
}

/** Compares what is loaded with what the generator would write now. */
export async function planChanges(root: string): Promise<PlannedChanges> {
  const loaded = readLoadedUnits(root);
  const planned = await plan({ root, executable: generatorExecutable(loaded) });
  const next = treeOf(planned);
  const comparable = (tree: UnitTree): UnitTree => withoutStubs(withoutRenewals(tree));
  const lasting = { before: comparable(loaded), after: comparable(next) };
  const changes = compareUnits(lasting.before, lasting.after);
  // what is done goes with the next daemon-reload, which alone is no change that anybody made
  const files = changes.units.length === 0 ? [] : compareFiles(loaded, next, lasting);
  const templates = renderedFiles(loaded, root).flatMap(({ service, edited }) =>
    edited.length === 0 ? [] : [{ service, edited }],
  );
  return {
    changes,
    files: files.map((file) => {
      const content = file.transient ? next.get(file.path) : undefined;
      return content === undefined ? file : { ...file, purpose: purposeOf(content) };
    }),
    problems: planned?.problems ?? [],
    templates,
  };
}

/** What a unit does, in its own words, which begin with a capital; the only drop-in of that kind has none. */
function purposeOf(content: string): string {
  const [, description] = /^Description=(.*)$/m.exec(content) ?? [];
  if (description === undefined) return 'wipe what the service fetched by itself, when it stops';
  return description.charAt(0).toLowerCase() + description.slice(1);
}

/** A plan as a tree of units. */
export function treeOf(planned: UnitPlan | undefined): UnitTree {
  const tree = new Map<string, string>();
  for (const { path, content } of planned?.files ?? []) tree.set(path, content);
  for (const { path, target } of planned?.links ?? []) tree.set(path, `-> ${target}\n`);
  return tree;
}

const what: Readonly<Record<ServiceChange['change'], readonly [Colour, string]>> = {
  added: ['green', 'is given its secrets from its next start on'],
  removed: ['red', 'has left the manifest: its secrets are wiped at once, the service keeps running'],
  changed: ['yellow', 'units change, what it is given does not'],
  broken: ['red', 'is kept down, as its entry has an error; if it is running, it keeps running'],
  released: [
    'green',
    'is no longer kept down: the manifest does not name it; secrets that it still has are wiped',
  ],
  mended: ['green', 'can be started again, as its entry is right now'],
};

/** Whether the token unit, by the diff of its removal, has opened a token. */
const opensToken = (diff: string): boolean => /^-Provider="?1password"?$/m.test(diff);

/** Prints the diff, and a line for each service. */
export function printChanges({ changes: { units, services }, files }: PlannedChanges): void {
  if (units.length === 0) {
    print('no change: the units that are loaded are those of the manifest\n');
    return;
  }
  for (const { diff } of files) print(`${colourDiff(diff)}\n`);
  for (const { service, change, refetch, keeps } of services) {
    const [colour, text] = what[change];
    const consequence = refetch
      ? 'is given something else: it is fetched at its next start (unit-secrets apply does that now, and restarts it if it runs)'
      : keeps
        ? 'has left the manifest: it keeps the secrets and the token that it has, which are wiped when it stops'
        : text;
    print(`${paint(colour, service)} ${consequence}\n`);
  }
  if (
    units.some(({ path, change, diff }) => path === tokenUnitName && change === 'removed' && opensToken(diff))
  )
    print(
      `${paint('yellow', paths.token)} stays in memory, as the unit that would wipe it goes: rm it, or reboot\n`,
    );
  const count = (kind: string): number => files.filter(({ change }) => change === kind).length;
  print(
    `${plural(files.length, 'file')}: ${count('added')} added, ${count('changed')} changed, ${count('removed')} removed\n`,
  );
  const passing = files.flatMap(({ path, purpose }) =>
    purpose === undefined ? [] : [`${path} (${purpose})`],
  );
  if (passing.length > 0)
    print(`of these only for a time, until a later daemon-reload: ${passing.join(', ')}\n`);
}

/** Prints a line for each service with edited templates. */
export function printTemplates(templates: PlannedChanges['templates']): void {
  for (const { service, edited } of templates) {
    const what = `${edited.join(', ')} ${edited.length === 1 ? 'was' : 'were'} edited since`;
    print(
      `${paint('yellow', service)} has files that were rendered earlier: ${what} (unit-secrets apply renders anew, and restarts it if it runs)\n`,
    );
  }
}

function colourDiff(diff: string): string {
  return diff
    .trimEnd()
    .split('\n')
    .map((line) => {
      if (line.startsWith('---') || line.startsWith('+++')) return paint('bold', line);
      if (line.startsWith('@@')) return paint('cyan', line);
      if (line.startsWith('+')) return paint('green', line);
      return line.startsWith('-') ? paint('red', line) : line;
    })
    .join('\n');
}
