import { expect, test } from 'vitest';
import { unknownGroups } from '../../src/effects/groups.ts';

test('groups that the system does not know are told from those that it knows', () => {
  expect(unknownGroups(['root', 'no-such-group', 'root'])).toEqual(new Set(['no-such-group']));
  expect(unknownGroups(['root'])).toEqual(new Set());
  expect(unknownGroups([])).toEqual(new Set());
});
