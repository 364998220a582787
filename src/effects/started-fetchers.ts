import { readdirSync, readFileSync, statSync } from 'node:fs';
import { paths } from '../unit/paths.ts';
import { xSecretsText } from '../unit/x-secrets.ts';

/** Where systemd puts services that name no slice; instances of a template are in a slice of their own below. */
const slice = '/sys/fs/cgroup/system.slice';
/** `X-secrets.service`, `backup-secrets@nas.service`: what is around is the service. */
const fetcher = /^([^@]*)-secrets((?:@.*)?\.service)$/;

/** How long after its start nobody waits for a fetch any more that has not asked, in milliseconds. */
const longestStart = 10_000;

/**
 * The services whose fetch has been started within the last 10 s and has not ended, units with suffix; also those of
 * which only the sandbox is being made, which takes seconds where many start at once. They are told by their control
 * groups, which systemd makes first (cgroups(7), `cgroup.events`); a machine with the hierarchies of version 1 tells
 * none, and neither does one whose clock is set meanwhile.
 *
 * @param root a directory in whose place `/` is
 */
export function startedFetchers(root: string): readonly string[] {
  const services: string[] = [];
  for (const directory of [root + slice, ...slicesOfInstances(root + slice)]) {
    for (const name of namesIn(directory)) {
      const [, base, rest] = fetcher.exec(name) ?? [];
      if (base === undefined || rest === undefined) continue;
      if (isNew(`${directory}/${name}`) && fetches(`${root}${paths.generated}/${name}`))
        services.push(base + rest);
    }
  }
  return services;
}

function slicesOfInstances(directory: string): readonly string[] {
  return namesIn(directory)
    .filter((name) => name.endsWith('\\x2dsecrets.slice'))
    .map((name) => `${directory}/${name}`);
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Whether a control group was made a moment ago and has a process in it. */
function isNew(group: string): boolean {
  try {
    if (Math.abs(Date.now() - statSync(group).mtimeMs) >= longestStart) return false;
    return /^populated 1$/m.test(readFileSync(`${group}/cgroup.events`, 'utf8'));
  } catch {
    return false; // it has ended
  }
}

/** Whether it is a unit of ours that has something to fetch: other generators write there, too. */
function fetches(unit: string): boolean {
  try {
    return xSecretsText(readFileSync(unit, 'utf8')).startsWith('[X-Secrets]\nService=');
  } catch {
    return false;
  }
}
