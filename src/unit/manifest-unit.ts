import { command, origin } from './common.ts';
import type { UnitContext } from './context.ts';
import { hardening, tightest } from './hardening.ts';
import { paths } from './paths.ts';
import { lineText } from './syntax.ts';
import type { UnitFile } from './unit-file.ts';
import { errorSettings, xSecretsSection } from './x-secrets.ts';

/** The unit that fails with what is wrong with the manifest as a whole, so that `systemctl --failed` shows it. */
export function manifestUnit(messages: readonly string[], context: UnitContext): UnitFile {
  const more = messages.length > 1 ? `; and ${messages.length - 1} more` : '';
  return {
    path: 'unit-secrets-manifest.service',
    source: paths.manifest,
    sections: [
      {
        name: 'Unit',
        settings: [
          // after a daemon-reload nothing starts it, and its status shows this alone
          ['Description', lineText(`Report errors in the manifest: ${messages[0] ?? ''}${more}`)],
          ...origin(paths.manifest),
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['TimeoutStartSec', '30s'],
          ['ExecStart', command(context, 'fetch', '--manifest')],
        ],
        block: hardening({ ...tightest, hideSecrets: false }, context),
      },
      { name: xSecretsSection, settings: errorSettings(messages) },
    ],
  };
}
