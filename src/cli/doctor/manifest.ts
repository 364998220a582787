import { existsSync, readFileSync, realpathSync } from 'node:fs';
import type { Manifest } from '../../domain/manifest.ts';
import { formatProblem } from '../../domain/problem.ts';
import { paths } from '../../unit/paths.ts';
import type { UnitChanges } from '../../unit/unit-changes.ts';
import { plural } from '../plural.ts';
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
    findings.push(
      ok(
        check,
        `is right: ${plural(services.length, 'service')}, SSH keys of ${plural(sshKeys.length, 'user')}`,
      ),
    );
  }
  findings.push(...checkMounts(), ...checkList(manifest));
  if (changes.units.length > 0) {
    const message = `the units that are loaded are not those of the manifest: ${plural(changes.units.length, 'file')} ${changes.units.length === 1 ? 'differs' : 'differ'}`;
    findings.push(warning(check, message, 'unit-secrets plan shows how; unit-secrets apply loads them'));
  }
  return findings;
}

/** By this list services are kept down at a boot at which the manifest cannot be read. */
function checkList({ services }: Manifest): HostFinding[] {
  if (services.length === 0) return [];
  const consequence = 'at a boot at which the manifest cannot be read, it would start without its secrets';
  const remedy = 'systemctl reload-or-restart unit-secrets-token.service';
  if (!existsSync(paths.serviceList))
    return [warning(check, `no service is noted in ${paths.serviceList}: ${consequence}`, remedy)];
  const noted = new Set(readFileSync(paths.serviceList, 'utf8').split('\n'));
  const missing = services.map(({ name }) => `${name.name}.service`).filter((name) => !noted.has(name));
  if (missing.length === 0) return [];
  return [
    warning(check, `${missing.join(', ')} is not noted in ${paths.serviceList}: ${consequence}`, remedy),
  ];
}

/** What is mounted for sure when generators run, before what fstab says. */
const early = ['/', '/usr', '/etc'];

function checkMounts(): HostFinding[] {
  // proc_pid_mountinfo(5): the fifth field is the mount point, with octal escapes
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, code) =>
        String.fromCharCode(Number.parseInt(code, 8)),
      ),
    );
  const findings: HostFinding[] = [];
  for (const path of [paths.manifest, paths.manifestDirectory]) {
    let real: string;
    try {
      real = realpathSync(path);
    } catch {
      continue;
    }
    const above = points.filter(
      (point) => point !== '' && `${real}/`.startsWith(point === '/' ? '/' : `${point}/`),
    );
    const [point = '/'] = above.sort((a, b) => b.length - a.length);
    if (early.includes(point)) continue;
    const message = `${path} lies on ${point}, which is mounted after generators have run (${real}): at boot there is no manifest`;
    findings.push(error(check, message, 'keep it on the root file system, a copy for instance'));
  }
  return findings;
}
