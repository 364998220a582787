/** Where everything is; absolute, below the root that a command was given. */
export const paths = {
  manifest: '/etc/unit-secrets/manifest.json',
  state: '/run/unit-secrets',
  secrets: '/run/unit-secrets/secrets',
  token: '/run/unit-secrets/token/1password-token',
  queue: '/run/unit-secrets/queue',
  serviceList: '/var/lib/unit-secrets/services',
  generated: '/run/systemd/generator',
} as const;

export const dropInName = '50-unit-secrets.conf';
