import { expect, test } from 'vitest';
import { serviceOfCompanion } from '../../src/cli/leftovers.ts';

test.each([
  ['app-secrets.service', 'app.service'],
  ['app-config.service', 'app.service'],
  ['app-retry.timer', 'app.service'],
  ['backup-secrets@nas-config.service', 'backup@nas-config.service'],
  ['ssh-key-setup-retry@anna.timer', 'ssh-key-setup@anna.service'],
  ['app-secrets-config.service', 'app-secrets.service'],
  ['app-secrets.timer', undefined],
  ['app-retry.service', undefined],
  ['app.service', undefined],
  ['secrets.service', undefined],
])('%s is named like a unit of %s', (unit, service) => {
  expect(serviceOfCompanion(unit)).toBe(service);
});
