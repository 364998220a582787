/** Where everything is; absolute, below the root that a command was given. */
export const paths = {
  manifest: '/etc/unit-secrets/manifest.json',
  manifestDirectory: '/etc/unit-secrets/manifest.d',
  state: '/run/unit-secrets',
  secrets: '/run/unit-secrets/secrets',
  config: '/run/unit-secrets/config',
  inline: '/run/unit-secrets/inline',
  token: '/run/unit-secrets/token/1password-token',
  /** Why the token could not be opened. */
  tokenTrouble: '/run/unit-secrets/token/trouble',
  queue: '/run/unit-secrets/queue',
  /** Within a unit only: the files that it reads, below here at their whole paths. */
  sources: '/run/unit-secrets/sources',
  serviceList: '/var/lib/unit-secrets/services',
  generated: '/run/systemd/generator',
} as const;

export const dropInName = '50-unit-secrets.conf';

/** Below a service's secrets: the names of directories below /run that it has had, a line each. */
export const directoryRecord = '.runtime-directories';

/** Below a service's secrets: what X-config.service puts into its templates. */
export const renderValues = '.values.json';

/** What stands in the place of a token that has not been opened; systemd does not take an empty one. */
export const noTokenText = 'none';
