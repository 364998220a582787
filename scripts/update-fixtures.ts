/**
 * Writes `fixtures/NN-name/expected` anew from what the generator writes, and `fixtures/wrong/NN-name/expected.txt`
 * from what `check` says; the diff is for you to judge.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixtureNames, fixturesDirectory, generateInto } from '../test/fixtures/fixtures.ts';
import { checkWrong, hostOfWrong, wrongDirectory, wrongNames } from '../test/fixtures/wrong.ts';

for (const name of fixtureNames()) {
  const expected = join(fixturesDirectory, name, 'expected');
  rmSync(expected, { recursive: true, force: true });
  mkdirSync(expected);
  await generateInto(name, expected);
  // git keeps no empty directories
  if (name === '01-nothing') writeFileSync(join(expected, '.keep'), '');
}

const host = hostOfWrong();
for (const name of wrongNames()) {
  const { text } = await checkWrong(name, host);
  writeFileSync(join(wrongDirectory, name, 'expected.txt'), text);
}
rmSync(host, { recursive: true });
