/** Writes `fixtures/NN-name/expected` anew from what the generator writes; the diff is for you to judge. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixtureNames, fixturesDirectory, generateInto } from '../test/fixtures/fixtures.ts';

for (const name of fixtureNames()) {
  const expected = join(fixturesDirectory, name, 'expected');
  rmSync(expected, { recursive: true, force: true });
  mkdirSync(expected);
  await generateInto(name, expected);
  // git keeps no empty directories
  if (name === '01-nothing') writeFileSync(join(expected, '.keep'), '');
}
