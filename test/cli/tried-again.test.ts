import { expect, test } from 'vitest';
import { triedAgain, triedAgainOrAtOnce, withoutPromise } from '../../src/cli/tried-again.ts';

const atOnce = triedAgainOrAtOnce('unit-secrets retry app');

test.each([
  [`no answer (${triedAgain})`, 'no answer'],
  [`no answer (look there; ${triedAgain})`, 'no answer (look there)'],
  [`no answer (${atOnce})`, 'no answer (to try it again: "unit-secrets retry app")'],
  [`look there; ${atOnce}`, 'look there; to try it again: "unit-secrets retry app"'],
  [triedAgain, ''],
  ['no such item (when that is mended, "unit-secrets retry app")', undefined],
])('of %j nothing is promised', (text, expected = text) => {
  expect(withoutPromise(text)).toBe(expected);
});
