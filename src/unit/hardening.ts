import type { UnitContext } from './context.ts';
import { type Setting, serialiseSettings } from './unit-file.ts';

/**
 * What Bun takes from its environment before any of our code runs, and what would weaken or redirect TLS
 * (docs/notes/bun.md): a unit never needs it. Children get an environment made from scratch.
 */
const unwanted = [
  'BUN_OPTIONS',
  'BUN_BE_BUN',
  'BUN_CONFIG_VERBOSE_FETCH',
  'BUN_INSPECT',
  'BUN_INSPECT_CONNECT_TO',
  'BUN_INSPECT_PRELOAD',
  'BUN_JSC_useJIT',
  'BUN_JSC_dumpOptions',
  'BUN_JSC_logGC',
  'NODE_OPTIONS',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'http_proxy',
  'https_proxy',
];

/**
 * Where root is asked no further questions: through these, a program without any privilege but root's name has systemd
 * or somebody else start whatever it likes, outside of every sandbox.
 */
const doorsOut = [
  '/run/systemd/private',
  '/run/systemd/io.systemd.Manager',
  '/run/systemd/machine',
  '/run/dbus',
  '/run/initctl',
  '/run/udev/control',
  '/run/docker.sock',
  '/run/containerd',
  '/run/podman',
  '/run/crio',
  '/run/libvirt',
  '/run/snapd.socket',
];

export interface Sandbox {
  /** The SDK's sign-in takes 30 times as long without a JIT compiler, so units that run it keep theirs. */
  readonly jit: boolean;
  readonly network: boolean;
  /** `ProtectHome=`; `no` is for what writes there, which then may write wherever its user may but in /usr and /etc. */
  readonly home: 'yes' | 'read-only' | 'no';
  /** Files are born with their modes; this is for what somebody forgets. */
  readonly umask: '0077' | '0027';
  /** Whether it runs systemctl and nothing else. */
  readonly asksSystemd?: boolean;
  /** Whether /run/unit-secrets is sure to be there, so that it can be hidden. */
  readonly hideSecrets?: boolean;
}

/** For what runs no program of ours, or none at all. */
export const tightest: Sandbox = { jit: false, network: false, home: 'yes', umask: '0077' };

/** Every unit names them all, so with very many of them boot would wait for the writing alone. */
const mostHidden = 100;

const serialised = new Map<string, string>();

/**
 * The sandbox of a generated service, as lines of its `[Service]` section: a oneshot run as root which
 * reads root's files and writes its own runtime directories only.
 *
 * @param own directories below /run that the service has for itself, of those that services have there
 */
export function hardening(
  sandbox: Sandbox,
  { privateUsers, runtimeDirectories }: Pick<UnitContext, 'privateUsers' | 'runtimeDirectories'>,
  own: readonly (string | undefined)[] = [],
): string {
  if (runtimeDirectories.length === 0 || runtimeDirectories.length > mostHidden)
    return common(sandbox, privateUsers);
  const others = runtimeDirectories.filter((name) => !own.includes(name)).map((name) => `-/run/${name}`);
  const text = common(sandbox, privateUsers);
  return others.length === 0 ? text : text + serialiseSettings([['InaccessiblePaths', others.join(' ')]]);
}

/** systemd.exec(5): `PrivateTmp=` makes `/tmp/systemd-private-BOOT-UNIT-XXXXXX`, and BOOT has 32 characters. */
const longestPrivateTmp = 255 - `systemd-private-${'0'.repeat(32)}--XXXXXX`.length;

/** The text of a unit file with a setting in the place of `PrivateTmp=` where the unit's name is too long for it. */
export function fitForName(unit: string, text: string): string {
  if (unit.length <= longestPrivateTmp) return text;
  return text.replace('\nPrivateTmp=yes\n', '\nTemporaryFileSystem=/tmp:mode=1777 /var/tmp:mode=1777\n');
}

/** The same for all services, so it is written once. */
function common(sandbox: Sandbox, privateUsers: boolean): string {
  const { jit, network, home, umask, hideSecrets = true, asksSystemd = false } = sandbox;
  const key = `${jit} ${network} ${home} ${umask} ${privateUsers} ${hideSecrets} ${asksSystemd}`;
  const known = serialised.get(key);
  if (known !== undefined) return known;
  const text = serialiseSettings(
    settingsOf({ jit, network, home, umask, privateUsers, hideSecrets, asksSystemd }),
  );
  serialised.set(key, text);
  return text;
}

/**
 * `ReadOnlyPaths=/run` closes a gap that `ProtectSystem=strict` leaves beside `ProtectControlGroups=` and
 * its like; `TemporaryFileSystem=` hides all other services' secrets, but for those in `runtimeDirectories`.
 */
function settingsOf(sandbox: Required<Sandbox> & { readonly privateUsers: boolean }): Setting[] {
  const { jit, network, home, umask, privateUsers, hideSecrets, asksSystemd } = sandbox;
  return [
    ['UMask', umask],
    ['LimitCORE', '0'],
    // twice what the SDK needs
    ['MemoryMax', '256M'],
    // should its child be killed for want of memory, the fetcher tells so and tries again
    ...(jit ? [['OOMPolicy', 'continue'] as const] : []),
    // secrets are in the memory of processes, too
    ['MemorySwapMax', '0'],
    ['UnsetEnvironment', unwanted.join(' ')],
    ['CapabilityBoundingSet', ''],
    ['AmbientCapabilities', ''],
    ['NoNewPrivileges', 'yes'],
    ['LockPersonality', 'yes'],
    ['KeyringMode', 'private'],
    ...(jit ? [] : [['MemoryDenyWriteExecute', 'yes'] as const]),
    ['PrivateDevices', 'yes'],
    ['PrivateMounts', 'yes'],
    ...(network ? [] : [['PrivateNetwork', 'yes'] as const]),
    ['PrivateTmp', 'yes'],
    ...(privateUsers ? [['PrivateUsers', 'yes'] as const] : []),
    ['ProtectClock', 'yes'],
    ['ProtectControlGroups', 'yes'],
    ['ProtectHome', home],
    ['ProtectHostname', 'yes'],
    ['ProtectKernelLogs', 'yes'],
    ['ProtectKernelModules', 'yes'],
    ['ProtectKernelTunables', 'yes'],
    ['ProtectProc', 'invisible'],
    ['ProtectSystem', home === 'no' ? 'full' : 'strict'],
    ['ReadOnlyPaths', '/run'],
    ...(asksSystemd ? [] : [['InaccessiblePaths', doorsOut.map((path) => `-${path}`).join(' ')] as const]),
    ...(hideSecrets ? [['TemporaryFileSystem', '/run/unit-secrets:ro'] as const] : []),
    ['RemoveIPC', 'yes'],
    ['RestrictAddressFamilies', network ? 'AF_UNIX AF_INET AF_INET6 AF_NETLINK' : 'AF_UNIX'],
    ['RestrictNamespaces', 'yes'],
    ['RestrictRealtime', 'yes'],
    ['RestrictSUIDSGID', 'yes'],
    ['SystemCallArchitectures', 'native'],
    ['SystemCallErrorNumber', 'EPERM'],
    ['SystemCallFilter', '@system-service'],
    // what is written to the journal goes out on what is open already
    ['SystemCallFilter', `~@privileged @resources${network || asksSystemd ? '' : ' connect'}`],
  ];
}
