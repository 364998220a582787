import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nearest } from '../../src/domain/suggest.ts';

const known = ['environment', 'credentials', 'files', 'configs', 'group', 'retryEvery'];

test.each([
  ['enviroment', 'environment'],
  ['ENVIRONMENT', 'environment'],
  ['environmnet', 'environment'],
  ['file', 'files'],
  ['flies', 'files'],
  ['config', 'configs'],
  ['retryevery', 'retryEvery'],
])('%s was meant to be %s', (name, expected) => {
  expect(nearest(name, known)).toBe(expected);
});

test.each(['', 'x', 'env', 'secrets', 'environmentally', 'environments and more'])(
  '%j resembles nothing',
  (name) => {
    expect(nearest(name, known)).toBeUndefined();
  },
);

test('what is known is nearest to itself', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, selector: (s) => s.toLowerCase() }),
      (names) => {
        for (const name of names) expect(nearest(name, names)).toBe(name);
      },
    ),
  );
});

test('one slip of the hand in a longer name is forgiven', () => {
  const slip = fc.tuple(fc.nat(10), fc.constantFrom('', 'x', 'xy')).map(([at, instead]) => {
    const name = 'environment';
    return name.slice(0, at) + instead + name.slice(at + 1);
  });
  fc.assert(
    fc.property(slip, (name) => {
      expect(nearest(name, known)).toBe('environment');
    }),
  );
});
