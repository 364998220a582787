import { expect, test } from 'vitest';
import { toMilliseconds } from '../../src/cli/status.ts';

test('times are to a millisecond, and the rest is as it was', () => {
  const service = { unit: 'app.service', state: 'active', since: 23.701844000002893, text: '1.23456' };
  const status = { name: 'app', service, inline: false, errors: ['one'], nextStart: 0.1 + 0.2 };
  expect(toMilliseconds(status)).toEqual({
    ...status,
    service: { ...service, since: 23.702 },
    nextStart: 0.3,
  });
});
