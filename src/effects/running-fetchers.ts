import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { paths } from '../unit/paths.ts';

/** Where systemd puts services that name no slice; instances of a template are in a slice of their own below. */
const slice = '/sys/fs/cgroup/system.slice';
/** `X-secrets.service`, `backup-secrets@nas.service`: what is around is the service. */
const fetcher = /^([^@]*)-secrets((?:@.*)?\.service)$/;

/**
 * The services whose fetch has been started and has not ended, units with suffix; also those of which only the
 * sandbox is being made, which takes seconds where many start at once. They are told by their control groups, which
 * systemd makes first (cgroups(7), `cgroup.events`); a machine with the hierarchies of version 1 tells none.
 *
 * @param root a directory in whose place `/` is
 */
export function runningFetchers(root: string): readonly string[] {
  const services: string[] = [];
  for (const directory of [root + slice, ...slicesOfInstances(root + slice)]) {
    for (const name of namesIn(directory)) {
      const [, base, rest] = fetcher.exec(name) ?? [];
      if (base === undefined || rest === undefined || !isPopulated(`${directory}/${name}`)) continue;
      // somebody else's service may have such a name
      if (existsSync(`${root}${paths.generated}/${name}`)) services.push(base + rest);
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

function isPopulated(group: string): boolean {
  try {
    return /^populated 1$/m.test(readFileSync(`${group}/cgroup.events`, 'utf8'));
  } catch {
    return false; // it has ended
  }
}
