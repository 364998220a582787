import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDuration } from '../../src/domain/duration.ts';

// what `systemd-analyze timespan` of 252 says, but for signs, which it takes by accident (+1s)
test.each([
  ['4min', 240],
  ['1h 30min', 5400],
  ['1h30min', 5400],
  [' 1.5h ', 5400],
  ['90', 90],
  ['1 2', 3],
  ['2 d', 172_800],
  ['52weeks', 31_449_600],
  ['1500ms', 1.5],
  ['1month', 2_629_800],
  ['2months', 5_259_600],
  ['5M', 13_149_000],
  ['12M', 31_557_600],
  ['1y', 31_557_600],
  ['1year', 31_557_600],
  ['2years', 63_115_200],
  ['.5min', 30],
  ['1 .5s', 1.5],
  ['12.34s.56', 12.9],
  ['1m1h', 3660],
  ['1minute2', 62],
  ['010s', 10],
  ['1\t\r\ns', 1],
  ['1\u00b5s', 1e-6],
  ['1\u03bcs', 1e-6],
  ['0', 0],
])('%j is %d seconds', (text, seconds) => {
  expect(parseDuration(text)).toBeCloseTo(seconds, 9);
});

test.each([
  '',
  ' ',
  'min',
  '-1s',
  '+1s',
  '1,5s',
  '1.s',
  '.',
  '1 . 5s',
  '1.5.5',
  '1e3',
  '4 fortnights',
  '1mins',
  '1secs',
  '1usecs',
  '1hrs',
  '1Min',
  '1S',
  '1ns',
  '1\u00a0s',
  '1\u000bs',
  'infinity',
  '1 infinity',
])('%j is not a duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test('a unit that objects have from birth is none', () => {
  expect(parseDuration('1constructor')).toBeUndefined();
});

test('any text is a number of seconds or nothing, however long', () => {
  const text = fc.array(fc.oneof(fc.string(), fc.constantFrom('1', '9'.repeat(90), '.5', 's', 'min', ' ')));
  fc.assert(
    fc.property(text, (parts) => {
      const seconds = parseDuration(parts.join(''));
      expect(seconds === undefined || (Number.isFinite(seconds) && seconds >= 0)).toBe(true);
    }),
  );
});

test('spans that follow each other add up', () => {
  const span = fc.tuple(
    fc.nat(9999),
    fc.constantFrom('s', 'sec', 'min', 'h', 'd', 'w'),
    fc.constantFrom('', ' '),
  );
  fc.assert(
    fc.property(fc.array(span, { minLength: 1, maxLength: 8 }), (spans) => {
      const texts = spans.map(([count, unit, gap]) => `${count}${gap}${unit}`);
      const sum = texts.reduce((total, text) => total + (parseDuration(text) ?? Number.NaN), 0);
      expect(parseDuration(texts.join(' '))).toBe(sum);
    }),
  );
});
