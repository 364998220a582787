import { readdirSync } from 'node:fs';
import { sshKeySetup } from '../domain/manifest-ssh-keys.ts';
import { unitOfDirectory } from '../domain/service-name.ts';

const suffix = '.service.state';

/**
 * The services that have asked for secrets since the boot, by their fetch states: units with suffix, sorted. Those
 * that set up SSH keys are left out, as they are in the list of services.
 *
 * @param queue the directory of the fetch states
 */
export function fetchedServices(queue: string): string[] {
  let names: string[];
  try {
    names = readdirSync(queue);
  } catch {
    return []; // nobody has
  }
  return names
    .filter((name) => name.endsWith(suffix) && !name.startsWith(`${sshKeySetup}@`))
    .map((name) => unitOfDirectory(name.slice(0, -suffix.length)))
    .sort();
}
