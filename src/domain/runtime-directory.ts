import { fileName } from './names.ts';

/**
 * Names below /run that programs of the system use: a service's runtime directory of that name would be
 * wiped with it. From the file lists of Debian's and Fedora's base packages and systemd's own units.
 */
export const reservedDirectories = [
  'NetworkManager',
  'agetty.reload',
  'alsa',
  'apparmor',
  'audit',
  'avahi-daemon',
  'blkid',
  'booted-system',
  'chrony',
  'chrony-helper',
  'console',
  'console-setup',
  'containerd',
  'containers',
  'credentials',
  'crun',
  'cryptsetup',
  'current-system',
  'dbus',
  'dmeventd-client',
  'dmeventd-server',
  'docker',
  'faillock',
  'firewalld',
  'fsck',
  'host',
  'initctl',
  'initramfs',
  'keys',
  'lock',
  'log',
  'lvm',
  'machine-id',
  'mdadm',
  'media',
  'mount',
  'netns',
  'network',
  'nologin',
  'nscd',
  'opengl-driver',
  'ostree-booted',
  'plymouth',
  'podman',
  'polkit-1',
  'private',
  'resolvconf',
  'rpc_pipefs',
  'rpcbind',
  'runc',
  'screen',
  'sendsigs.omit.d',
  'setrans',
  'setuid-programs',
  'shadow',
  'shm',
  'snapd',
  'sshd',
  'sudo',
  'systemd',
  'tmpfiles.d',
  'tpm2-tss',
  'udev',
  'udisks2',
  'user',
  'utmp',
  'uuidd',
  'wrappers',
  'xtables.lock',
] as const;

const reserved: ReadonlySet<string> = new Set(reservedDirectories);

/** Whether /run/NAME belongs to the system, or to this program. */
export function reservedRuntimeDirectory(name: string): boolean {
  return reserved.has(name) || name.startsWith('unit-secrets') || name.startsWith('systemd');
}

/** Whether a service may have the directory /run/NAME, to be wiped with its secrets. */
export function isRuntimeDirectory(name: string): boolean {
  return fileName.test(name) && !reservedRuntimeDirectory(name);
}
