import { realpathSync, statSync } from 'node:fs';
import type { Manifest } from '../../domain/manifest.ts';
import { formatProblem } from '../../domain/problem.ts';
import { paths } from '../../unit/paths.ts';
import type { UnitChanges } from '../../unit/unit-changes.ts';
import { error, type HostFinding, ok, warning } from './finding.ts';

const check = 'manifest';

/** Whether the manifest is right, where generators can read it at boot, and what is loaded. */
export function checkManifest(manifest: Manifest, changes: UnitChanges): HostFinding[] {
  const findings: HostFinding[] = [];
  const [first] = manifest.problems;
  if (first) {
    const more = manifest.problems.length - 1;
    const message = `${formatProblem(first)}${more > 0 ? `; and ${more} more` : ''}`;
    findings.push(error(check, message, 'unit-secrets check shows all; correct them'));
  } else {
    const { services, sshKeys } = manifest;
    findings.push(ok(check, `is right: ${services.length} services, SSH keys of ${sshKeys.length} users`));
  }
  findings.push(...checkMounts());
  if (changes.units.length > 0) {
    const message = `the units that are loaded are not those of the manifest: ${changes.units.length} files differ`;
    findings.push(warning(check, message, 'unit-secrets plan shows how; unit-secrets apply loads them'));
  }
  return findings;
}

/** Generators run when only the root file system and /usr are mounted for sure. */
function checkMounts(): HostFinding[] {
  const findings: HostFinding[] = [];
  for (const path of [paths.manifest, paths.manifestDirectory]) {
    let real: string;
    try {
      real = realpathSync(path);
    } catch {
      continue;
    }
    const devices = ['/', '/usr', '/etc'].map((place) => statSync(place).dev);
    if (devices.includes(statSync(real).dev)) continue;
    findings.push(
      error(
        check,
        `${path} lies on a file system that is mounted after generators have run (${real}): at boot there is no manifest`,
        'keep it on the root file system, a copy for instance',
      ),
    );
  }
  return findings;
}
