/**
 * A judge of generated units that knows nothing of how they are made: systemd.syntax(7) and the settings that
 * the contract names. It is cheap enough for millions of files; `systemd-analyze verify` judges a sample.
 */
import { parseCommandLine } from './command-line.ts';

/** systemd's LONG_LINE_MAX: a longer line makes it refuse the file. */
const longestLine = 1 << 20;
/** PATH_MAX, with its closing NUL. */
const longestPath = 4096;

type Check = (value: string, unit: string) => string | undefined;

const matches =
  (pattern: RegExp): Check =>
  (value) =>
    pattern.test(value) ? undefined : `is not ${pattern.source}`;
const anyText: Check = () => undefined;
const unitWord = String.raw`[A-Za-z0-9:_.\\@-]+\.(?:service|target|timer|mount)`;
const units = matches(
  new RegExp(`^(?:${unitWord}|unit-secrets-wanted@.*\\.target|%i\\.service)(?: ${unitWord})*$`),
);
const span = matches(/^(?:\d+(?:\.\d+)?(?:s|min)|0|infinity)$/);
const yes = matches(/^(?:yes|no)$/);
const mode = matches(/^0[0-7]{3}$/);
const zero = matches(/^0$/);

/** Words as in systemd.syntax(7), "QUOTING", with specifiers undone. */
const paths: Check = (value) => {
  const words = parseCommandLine(value, { dollars: false });
  if (typeof words === 'string') return words;
  for (const word of words) {
    const path = word.replace(/^-/, '');
    if (!path.startsWith('/')) return `has ${JSON.stringify(word)}, which is not an absolute path`;
    if (Buffer.byteLength(path) >= longestPath) return 'has a path that is too long';
    if (path.split('/').some((part) => part === '..' || Buffer.byteLength(part) > 255))
      return 'has a path that cannot be';
  }
  return undefined;
};

const command: Check = (value) => {
  const words = parseCommandLine(value.replace(/^[-+@!:]+/, ''), { dollars: true });
  if (typeof words === 'string') return words;
  const [program = ''] = words;
  return program.startsWith('/') || ['mkdir', 'rm', 'systemctl'].includes(program)
    ? undefined
    : `calls ${JSON.stringify(program)}`;
};

/** `RuntimeDirectory=`: what systemd removes must be ours, or a name that the manifest gave and may give. */
const runtimeDirectories: Check = (value) => {
  for (const word of value.split(' ')) {
    if (/^unit-secrets\/(?:(?:secrets|config|inline)\/[A-Za-z0-9,_.+@-]+|token|queue)$/.test(word)) continue;
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/config)?$/.test(word) || word.length > 255 + '/config'.length)
      return `has ${JSON.stringify(word)}`;
    if (/^(?:systemd|unit-secrets|dbus$|credentials$|user$|lock$|log$|udev$|private$|sshd$)/.test(word))
      return `has ${JSON.stringify(word)}, which is the system's`;
  }
  return undefined;
};

const settings: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  Unit: {
    Description: anyText,
    SourcePath: matches(/^\/etc\/unit-secrets\//),
    Documentation: matches(/^man:[a-z.-]+\([1-8]\)$/),
    StopWhenUnneeded: yes,
    DefaultDependencies: yes,
    StartLimitIntervalSec: zero,
    Wants: units,
    Requires: units,
    Requisite: units,
    After: units,
    Before: units,
    Conflicts: units,
    PartOf: units,
    OnFailure: units,
    PropagatesReloadTo: units,
    RequiresMountsFor: paths,
    AssertPathExists: matches(
      /^(?:!\/|\/run\/unit-secrets\/(?:secrets|config|inline)\/[A-Za-z0-9,_.+@-]+\/\.ok-[A-Za-z0-9_-]+)$/,
    ),
    ConditionPathExists: matches(/^!?\/run\/[A-Za-z0-9,_.+@/-]+$/),
    AssertFileNotEmpty: anyText,
  },
  Service: {
    Type: matches(/^(?:oneshot|simple|exec)$/),
    RemainAfterExit: yes,
    TimeoutStartSec: span,
    TimeoutStopSec: span,
    NotifyAccess: matches(/^main$/),
    Group: matches(/^[A-Za-z_][A-Za-z0-9_-]{0,30}$/),
    User: matches(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/),
    RuntimeDirectory: runtimeDirectories,
    RuntimeDirectoryMode: mode,
    RuntimeDirectoryPreserve: yes,
    StateDirectory: matches(/^unit-secrets$/),
    LoadCredential: matches(/^[A-Za-z0-9_-][A-Za-z0-9._-]*:\/(?:run|etc)\/[A-Za-z0-9,_.+@/-]+$/),
    LoadCredentialEncrypted: matches(
      /^[A-Za-z0-9_-][A-Za-z0-9._-]*:\/etc\/credstore\.encrypted\/[A-Za-z0-9._-]+$/,
    ),
    SetCredential: matches(/^1password-token:none$/),
    EnvironmentFile: matches(/^-?\/run\/[A-Za-z0-9,_.+@/-]+\/env$/),
    Environment: matches(/^[A-Za-z_]+=[A-Za-z0-9,_.+@/-]+(?: [A-Za-z_]+=[A-Za-z0-9,_.+@/-]+)*$/),
    BindPaths: matches(/^[A-Za-z0-9,_.+@/: -]+$/),
    BindReadOnlyPaths: matches(/^[A-Za-z0-9,_.+@/: -]+$/),
    ExecStart: command,
    ExecStartPre: command,
    ExecStartPost: command,
    ExecReload: command,
    ExecStop: command,
    ExecStopPost: command,
    OOMPolicy: matches(/^continue$/),
    Restart: matches(/^[a-z-]+$/),
  },
  Timer: {
    OnActiveSec: span,
    AccuracySec: span,
    RemainAfterElapse: yes,
    Unit: units,
  },
  Mount: {
    What: matches(/^(?:tmpfs|ramfs)$/),
    Where: matches(/^\/run\/unit-secrets$/),
    Type: matches(/^(?:tmpfs|ramfs)$/),
    Options: matches(/^mode=0711,nosuid,nodev,noexec(?:,noswap,size=\d+[MG%])?$/),
  },
};

/** Hardening: names that systemd.exec(5) and systemd.resource-control(5) know, values of a narrow alphabet. */
const hardening = new Set(
  'AmbientCapabilities CapabilityBoundingSet DevicePolicy IPAddressDeny IPAddressAllow KeyringMode LimitCORE LockPersonality MemoryDenyWriteExecute MemoryMax MemorySwapMax NoNewPrivileges PrivateDevices PrivateIPC PrivateMounts PrivateNetwork PrivateTmp PrivateUsers ProcSubset ProtectClock ProtectControlGroups ProtectHome ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectProc ProtectSystem ReadOnlyPaths ReadWritePaths RemoveIPC RestrictAddressFamilies RestrictFileSystems RestrictNamespaces RestrictRealtime RestrictSUIDSGID SystemCallArchitectures SystemCallErrorNumber SystemCallFilter TemporaryFileSystem TasksMax UMask UnsetEnvironment InaccessiblePaths SupplementaryGroups WorkingDirectory'.split(
    ' ',
  ),
);
const hardened = /^[A-Za-z0-9_@~:,/=.%+ -]*$/;

const xSettings = new Set(
  'Service Provider Vault Identity Tries Timeout Group RuntimeDirectory Environment Credential File FileCredential Config ConfigCredential ConfigValue Error KnownService TokenFile TokenAge TokenCredential User Authorize KeyFile PrivateKey PublicKey'.split(
    ' ',
  ),
);

/** What no line may have. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const unfit = /[\0-\x08\x0b-\x1f\x7f]|[\ud800-\udfff](?![\udc00-\udfff])|\p{Noncharacter_Code_Point}/u;

/**
 * What systemd would complain of in a unit file, or would take for something else than was meant.
 *
 * @param path below the unit directory
 */
export function unitProblems(path: string, bytes: Buffer): string[] {
  const problems: string[] = [];
  if (bytes.length === 0) return ['is empty'];
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return ['is not UTF-8'];
  }
  if (!text.endsWith('\n')) problems.push('does not end with a line end');
  if (unfit.test(text)) problems.push('has a control character or a noncharacter');
  let section = '';
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const shown = JSON.stringify(line.slice(0, 300));
    if (line.length * 3 >= longestLine && Buffer.byteLength(line) >= longestLine)
      problems.push(`has a line of ${Buffer.byteLength(line)} bytes`);
    if (line.endsWith('\\')) problems.push(`goes on in the next line: ${shown}`);
    if (line.startsWith('[')) {
      section = /^\[([A-Za-z-]+)\]$/.exec(line)?.[1] ?? '';
      if (section !== 'X-Secrets' && !Object.hasOwn(settings, section))
        problems.push(`has the section ${shown}`);
      continue;
    }
    const equals = line.indexOf('=');
    const name = line.slice(0, equals);
    const value = line.slice(equals + 1);
    if (equals < 1 || section === '') problems.push(`has the line ${shown}`);
    else if (section === 'X-Secrets') {
      if (!xSettings.has(name)) problems.push(`has the setting ${shown}`);
      if (!isJsonString(value)) problems.push(`has a value that is not quoted: ${shown}`);
    } else {
      const checks = settings[section] ?? {};
      const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
      if (check) {
        const problem = check(value, path);
        if (problem !== undefined) problems.push(`${shown} ${problem}`);
      } else if (section !== 'Service' || !hardening.has(name)) problems.push(`has the setting ${shown}`);
      else if (!hardened.test(value)) problems.push(`has the value ${shown}`);
      // systemd.unit(5), "SPECIFIERS"
      const known = path.startsWith('unit-secrets-wanted@.') ? value.replaceAll('%i.service', '') : value;
      if (/%(?!%)/.test(known.replaceAll('%%', '')) && name !== 'Options')
        problems.push(`has a specifier: ${shown}`);
    }
  }
  return problems;
}

function isJsonString(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'string';
  } catch {
    return false;
  }
}

/** Where files may be below the normal directory. */
export function pathProblem(path: string): string | undefined {
  const unit = String.raw`[A-Za-z0-9:_.\\@-]+`;
  const allowed = [
    new RegExp(`^${unit}\\.service\\.d/(?:50-unit-secrets|49-unit-secrets-wipe)\\.conf$`),
    new RegExp(`^${unit}\\.(?:service|timer)$`),
    /^run-unit\\x2dsecrets\.mount$/,
    /^unit-secrets-wanted@\.target$/,
    new RegExp(`^(?:multi-user\\.target|sshd?\\.service)\\.wants/${unit}\\.service$`),
  ];
  if (!allowed.some((pattern) => pattern.test(path))) return 'is in a place of no unit of ours';
  return path.split('/').every((part) => part.length <= 255) ? undefined : 'has too long a name';
}
