import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { readLoadedUnit } from '../../src/effects/unit-reader.ts';
import { temporaryDirectory, temporaryTree } from '../support/temporary.ts';

const unit = 'app-secrets.service';
const path = `/run/systemd/generator/${unit}`;
const content = '[Unit]\n\n[X-Secrets]\nTries="12"\nEnvironment="A=1"\nEnvironment="B=2"\n';

test('the settings of a loaded unit are read', async () => {
  const loaded = await readLoadedUnit(temporaryTree({ [path]: content }), unit);
  expect(loaded.text).toBe(content);
  expect(loaded.settings).toEqual(
    new Map([
      ['Tries', ['12']],
      ['Environment', ['A=1', 'B=2']],
    ]),
  );
});

test('a unit that a daemon-reload takes away for a moment is waited for', async () => {
  const root = temporaryDirectory();
  const reading = readLoadedUnit(root, unit);
  mkdirSync(join(root, '/run/systemd/generator'), { recursive: true });
  writeFileSync(join(root, path), content);
  expect((await reading).text).toBe(content);
});

test.each([
  ['that does not come is tried again later', {}, exitCodes.temporaryFailure, 'is not there'],
  [
    'without the section is not ours',
    { [path]: '[Unit]\n' },
    exitCodes.configuration,
    'no [X-Secrets] section',
  ],
  ['that is a directory cannot be read', { [`${path}/`]: '' }, exitCodes.ioError, 'cannot read'],
])('a unit %s', async (_, tree, exitCode, message) => {
  await expect(readLoadedUnit(temporaryTree(tree), unit, 0)).rejects.toMatchObject({
    failure: { exitCode, message: expect.stringContaining(message) },
  });
});
