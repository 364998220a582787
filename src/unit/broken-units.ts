import type { BrokenEntry, RefusedUnit } from '../domain/manifest.ts';
import { serviceKey } from '../domain/service-name.ts';
import { command, origin, secretsDirectory, unitName } from './common.ts';
import type { UnitContext } from './context.ts';
import { hardening, tightest } from './hardening.ts';
import { dropInName } from './paths.ts';
import { lineText, quoteArgument } from './syntax.ts';
import type { UnitFile } from './unit-file.ts';
import { errorSettings, xSecretsSection, xSetting } from './x-secrets.ts';

type Entry = Pick<BrokenEntry, 'name' | 'file'>;

/**
 * What lets whoever can write a service's environment run something in a command of root's: what glibc takes away for
 * programs with the setuid bit (elf/unsecvars.h), and what OpenSSL and D-Bus take a program from. The service itself
 * cannot be started meanwhile, so that it misses none of it.
 */
const unsafeForRoot = [
  'LD_AUDIT',
  'LD_DEBUG',
  'LD_DEBUG_OUTPUT',
  'LD_DYNAMIC_WEAK',
  'LD_HWCAP_MASK',
  'LD_LIBRARY_PATH',
  'LD_ORIGIN_PATH',
  'LD_PRELOAD',
  'LD_PROFILE',
  'LD_PROFILE_OUTPUT',
  'LD_SHOW_AUXV',
  'GCONV_PATH',
  'GLIBC_TUNABLES',
  'LOCPATH',
  'MALLOC_TRACE',
  'NLSPATH',
  'TMPDIR',
  'OPENSSL_CONF',
  'OPENSSL_ENGINES',
  'OPENSSL_MODULES',
  'DBUS_SYSTEM_BUS_ADDRESS',
];

/**
 * The drop-in of a service that must not start.
 *
 * @param environmentFile that of a complete set in memory: what runs has it in its further commands, as before; and a
 *   service that was about to start has it, too, as the assertion is not asked again between its commands
 */
export function brokenDropIn(
  { name, file }: Entry,
  holdsConfig: boolean,
  environmentFile: string | undefined,
): UnitFile {
  const secrets = unitName(name, 'secrets');
  const chain = [secrets, ...(holdsConfig ? [unitName(name, 'config')] : [])].join(' ');
  return {
    path: `${name.name}.service.d/${dropInName}`,
    source: file,
    comments: [`The service is kept down: systemctl status ${secrets} says why.`],
    sections: [
      {
        name: 'Unit',
        settings: [
          ...origin(file),
          ['Requires', chain],
          ['After', chain],
          // the root directory always exists: an assertion that can never hold
          ['AssertPathExists', '!/'],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['UnsetEnvironment', unsafeForRoot.join(' ')],
          ...(environmentFile === undefined ? [] : [['EnvironmentFile', `-${environmentFile}`] as const]),
          // a restart is refused when the service has stopped: nothing would find its secrets unneeded then
          ['ExecStopPost', `-+systemctl --no-block stop ${quoteArgument(secrets)}`],
        ],
      },
    ],
  };
}

/**
 * The drop-in of a unit that can have none of ours beside it. An instance with an entry has a drop-in of the same name,
 * which systemd takes instead of the template's.
 */
export function refusedDropIn({ unit, file }: RefusedUnit): UnitFile {
  return {
    path: `${unit}.d/${dropInName}`,
    source: file,
    comments: ['The service is kept down: systemctl status unit-secrets-manifest.service says why.'],
    sections: [{ name: 'Unit', settings: [...origin(file), ['AssertPathExists', '!/']] }],
  };
}

/**
 * `X-secrets.service` for a service that must not start: it fails with the reason.
 *
 * @param formerDirectories directories below /run that earlier editions of the entry had
 */
export function brokenSecretsUnit(
  { name, file }: Entry,
  messages: readonly string[],
  context: UnitContext,
  formerDirectories: readonly string[],
): UnitFile {
  const more = messages.length > 1 ? `; and ${messages.length - 1} more` : '';
  return {
    path: unitName(name, 'secrets'),
    source: file,
    sections: [
      {
        name: 'Unit',
        settings: [
          // here it is seen in every state: the unit may have been active before the entry broke
          ['Description', lineText(`${name.name}.service is kept down: ${messages[0] ?? ''}${more}`)],
          ...origin(file),
          ['StopWhenUnneeded', 'yes'],
          ['StartLimitIntervalSec', '0'],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['RemainAfterExit', 'yes'],
          ['TimeoutStartSec', '30s'],
          ['RuntimeDirectory', [secretsDirectory(name), ...formerDirectories].join(' ')],
          ['RuntimeDirectoryMode', '0700'],
          ['ExecStart', command(context, 'fetch', serviceKey(name))],
        ],
        block: hardening(tightest, context, formerDirectories),
      },
      {
        name: xSecretsSection,
        settings: [xSetting('Service', `${name.name}.service`), ...errorSettings(messages)],
      },
    ],
  };
}
