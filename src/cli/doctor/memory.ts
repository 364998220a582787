import { readFileSync } from 'node:fs';
import { paths } from '../../unit/paths.ts';
import type { UnitTree } from '../../unit/unit-changes.ts';
import { lostByTokenUnit } from '../lost-memory.ts';
import { error, type HostFinding, ok, warning } from './finding.ts';

const check = 'memory';

/** Whether secrets are kept in memory that is never swapped, and what the token unit left there is still there. */
export function checkMemory(hasEntries: boolean, loaded: UnitTree): HostFinding[] {
  const lost = hasEntries ? lostByTokenUnit(loaded) : undefined;
  if (lost === undefined) return checkMount(hasEntries);
  const message = `${lost} is gone under units that are active (unmounted by hand?): no service can be given secrets`;
  const remedy = 'unit-secrets apply restarts unit-secrets-token.service, and fetches anew what is gone';
  return [error(check, message, remedy)];
}

function checkMount(hasEntries: boolean): HostFinding[] {
  const mount = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .findLast(([, where]) => where === paths.state);
  const isSwapping = readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1;
  if (!mount) {
    if (!hasEntries) return [];
    const message = `${paths.state} is not mounted yet: the first service that is started brings it`;
    return [warning(check, message, 'systemctl start run-unit\\\\x2dsecrets.mount')];
  }
  const [, , type = '', options = ''] = mount;
  if (type === 'ramfs') return [ok(check, `${paths.state} is ramfs, which is never swapped`)];
  if (type === 'tmpfs' && options.split(',').includes('noswap'))
    return [ok(check, `${paths.state} is tmpfs that is never swapped`)];
  if (type === 'tmpfs' && !isSwapping)
    return [ok(check, `${paths.state} is tmpfs, and nothing is swapped on this machine`)];
  if (type === 'tmpfs') {
    const message = `${paths.state} is tmpfs without noswap, and this machine swaps`;
    return [
      warning(
        check,
        message,
        'stop the services that have secrets, then systemctl restart run-unit\\\\x2dsecrets.mount',
      ),
    ];
  }
  return [error(check, `${paths.state} is ${type}, not memory`, `umount ${paths.state}`)];
}
