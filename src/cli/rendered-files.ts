import { lstatSync, readdirSync, statSync } from 'node:fs';
import { FailureError } from '../domain/failure.ts';
import { directoryName, parseServiceName } from '../domain/service-name.ts';
import { readXSecrets } from '../effects/ini.ts';
import { type FetchPlan, readPlan } from '../fetch/read-plan.ts';
import { paths } from '../unit/paths.ts';
import type { UnitTree } from '../unit/unit-changes.ts';

/** What has been rendered for a service. */
export interface RenderedFiles {
  /** `litellm.service`. */
  readonly service: string;
  /** Its templates that were edited or replaced since they were rendered. */
  readonly edited: readonly string[];
  /** When any of the rendered files was last replaced; milliseconds of the wall clock. */
  readonly changed: number;
}

/** What has been rendered for the services of the loaded units; those for which nothing is there are left out. */
export function renderedFiles(loaded: UnitTree, root: string): RenderedFiles[] {
  return [...loaded.values()].flatMap((content) => {
    const plan = content.includes('\nConfig=') ? planOf(content) : undefined;
    const one = plan && lookAt(plan, root);
    return one ? [one] : [];
  });
}

function planOf(content: string): FetchPlan | undefined {
  try {
    return readPlan(readXSecrets(content) ?? new Map()).fetch;
  } catch (error) {
    // of another version: it is fetched anew in any case
    if (error instanceof FailureError) return undefined;
    throw error;
  }
}

function lookAt({ service, configs, runtimeDirectory }: FetchPlan, root: string): RenderedFiles | undefined {
  const parsed = parseServiceName(service);
  if (!parsed.ok) return undefined;
  const own = `${root}${paths.config}/${directoryName(parsed.service.name)}`;
  const directory = runtimeDirectory === undefined ? own : `${root}/run/${runtimeDirectory}/config`;
  try {
    const marker = readdirSync(own).find((name) => name.startsWith('.ok-'));
    if (marker === undefined) return undefined;
    const rendered = statSync(`${own}/${marker}`).mtimeMs;
    return {
      service,
      edited: configs.map(({ template }) => template).filter((path) => changedAfter(root + path, rendered)),
      changed: Math.max(0, ...configs.map(({ name }) => statSync(`${directory}/${name}`).mtimeMs)),
    };
  } catch {
    // gone meanwhile, or not for this user to see
    return undefined;
  }
}

/**
 * Whether a file, or a link in its place, is another one since; by the time of the inode, as a file that is moved there
 * keeps its own. A time that is yet to come says nothing.
 */
function changedAfter(path: string, time: number): boolean {
  try {
    const changed = Math.max(statSync(path).ctimeMs, lstatSync(path).ctimeMs);
    return changed > time && changed <= Date.now();
  } catch {
    // a template that is not there is told by check
    return false;
  }
}
