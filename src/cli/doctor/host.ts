import { existsSync, readFileSync } from 'node:fs';
import type { Manifest } from '../../domain/manifest.ts';
import { systemctl } from '../../effects/systemctl.ts';
import { error, type HostFinding, ok } from './finding.ts';

const oldest = 247;
const encryptedCredentials = 250;
/** From this one on `ExecStartPre=` has credentials, too. */
const credentialsBeforeStart = 248;

/** systemd's version: what units can rely on. */
export function checkSystemd({ token, provider, services }: Manifest): HostFinding[] {
  const [, text] = /^systemd (\d+)/.exec(systemctl(['--version']).stdout) ?? [];
  const version = Number(text ?? 0);
  if (version < oldest) {
    return [
      error(
        'systemd',
        `version ${version} is older than ${oldest}`,
        'use a newer system: units may not hold what they promise',
      ),
    ];
  }
  if (provider.type === '1password' && token.kind === 'credential' && version < encryptedCredentials) {
    const message = `version ${version} does not know encrypted credentials, which "token" asks for`;
    return [error('systemd', message, 'seal the token with age: unit-secrets token seal')];
  }
  const inline = services.filter((service) => service.inline).map(({ name }) => `${name.name}.service`);
  if (inline.length > 0 && version < credentialsBeforeStart) {
    const message = `version ${version} gives credentials to ExecStart= only: ${inline.join(', ')} cannot fetch by itself`;
    return [error('systemd', message, 'leave "dynamicUser" out of the manifest')];
  }
  return [ok('systemd', `version ${version}`)];
}

/** `noswap` and what else depends on the kernel. */
export function checkKernel(): HostFinding[] {
  const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  const hasNoswap = Number(major) > 6 || (Number(major) === 6 && Number(minor) >= 4);
  if (hasNoswap) return [ok('kernel', release)];
  return [
    ok(
      'kernel',
      `${release}, without tmpfs that is never swapped (6.4): ramfs is used, which has no limit of size`,
    ),
  ];
}

/** TLS needs a clock that is about right. */
export function checkClock(now: Date): HostFinding[] {
  // the year of this line: no clock that is right shows an earlier one
  if (now.getUTCFullYear() < 2026)
    return [error('clock', `it is ${now.toISOString()} here`, 'set it: timedatectl set-ntp true')];
  // what timesyncd leaves; others, such as chrony, have no mark that all can see
  const synchronised = existsSync('/run/systemd/timesync/synchronized');
  return [ok('clock', `${now.toISOString()}${synchronised ? ', synchronised' : ''}`)];
}
