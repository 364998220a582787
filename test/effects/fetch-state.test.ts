import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { isClockInDoubt } from '../../src/effects/clock-sync.ts';
import { beginCoolDown, coolDownFailure, coolDownLeft, endCoolDown } from '../../src/effects/cool-down.ts';
import {
  type FetchState,
  forgetFetchState,
  readFetchState,
  rememberedFailure,
  writeFetchState,
} from '../../src/effects/fetch-state.ts';
import { modeOf, temporaryDirectory, temporaryTree } from '../support/temporary.ts';

const failed: FetchState = {
  service: 'a:b@c.service',
  state: 'failed',
  since: 1000,
  try: 1,
  tries: 12,
  failure: { class: 'permanent', exitCode: exitCodes.dataError, message: 'no such item' },
  unit: 'u',
  token: 't',
};

describe('the state of a fetch', () => {
  test('is read as it was written, from a file for root alone', () => {
    const queue = temporaryDirectory();
    expect(readFetchState(queue, failed.service)).toBeUndefined();
    writeFetchState(queue, failed);
    expect(readFetchState(queue, failed.service)).toEqual(failed);
    expect(readdirSync(queue)).toEqual(['a,b@c.service.state']);
    expect(modeOf(join(queue, 'a,b@c.service.state'))).toBe('0600');
    forgetFetchState(queue, failed.service);
    expect(readdirSync(queue)).toEqual([]);
  });

  test('of another form is none, and one that cannot be written is no error', () => {
    const queue = temporaryTree({ 'app.service.state': 'null' });
    expect(readFetchState(queue, 'app.service')).toBeUndefined();
    writeFetchState('/proc/nowhere', failed);
    forgetFetchState('/proc/nowhere', failed.service);
  });
});

describe('a permanent failure', () => {
  const now = { unit: 'u', token: 't', uptime: 1000 };
  test('is remembered for 15 minutes', () => {
    expect(rememberedFailure(failed, now)).toEqual({ ...failed.failure, since: 1000 });
    expect(rememberedFailure(failed, { ...now, uptime: 1899.9 })).toBeDefined();
    expect(rememberedFailure(failed, { ...now, uptime: 1900 })).toBeUndefined();
  });

  test.each([
    ['another unit', failed, { ...now, unit: 'v' }],
    ['another token', failed, { ...now, token: 's' }],
    ['another state', { ...failed, state: 'fetched' } as const, now],
    ['a reload', { ...failed, reload: true } as const, now],
    [
      'one that may pass',
      { ...failed, failure: { class: 'transient', exitCode: 75, message: '' } } as const,
      now,
    ],
    ['nothing', undefined, now],
  ])('is not, with %s', (_, state, at) => {
    expect(rememberedFailure(state, at)).toBeUndefined();
  });
});

describe('a cool-down', () => {
  test('holds for the token, grows, and ends with the first success', () => {
    const queue = temporaryDirectory();
    expect(coolDownLeft(queue, 't')).toBeUndefined();
    beginCoolDown(queue, 't', () => 0);
    expect(coolDownLeft(queue, 't')).toBeGreaterThan(58);
    expect(coolDownLeft(queue, 't')).toBeLessThanOrEqual(60);
    expect(coolDownLeft(queue, 'other')).toBeUndefined();
    expect(modeOf(join(queue, 'cool-down'))).toBe('0600');
    expect(coolDownFailure(queue, 't')).toEqual({
      class: 'rate-limited',
      exitCode: exitCodes.temporaryFailure,
      message: expect.stringMatching(
        /^1Password limits the rate of requests: nothing is asked until \d\d:\d\d:\d\d$/,
      ),
    });
    beginCoolDown(queue, 't', () => 0);
    expect(coolDownLeft(queue, 't')).toBeGreaterThan(118);
    endCoolDown(queue);
    expect(coolDownLeft(queue, 't')).toBeUndefined();
    beginCoolDown(queue, 't', () => 0);
    expect(coolDownLeft(queue, 't')).toBeLessThanOrEqual(60);
  });

  test.each(['', 'null', '{"until":"x","step":1,"token":"t"}'])('that cannot be read is none: %s', (text) => {
    const queue = temporaryDirectory();
    writeFileSync(join(queue, 'cool-down'), text);
    expect(coolDownLeft(queue, 't')).toBeUndefined();
  });
});

test.each([
  ['timesyncd is still at it', { 'run/systemd/timesync/': '' }, Date.now(), true],
  ['timesyncd has set it', { 'run/systemd/timesync/synchronized': '' }, Date.now(), false],
  ['another program keeps it', {}, Date.now(), false],
  ['it is before this program', { 'run/systemd/timesync/synchronized': '' }, 0, true],
])('the clock is in doubt when %s', (_, files, now, doubt) => {
  expect(isClockInDoubt(temporaryTree(files), now)).toBe(doubt);
});
