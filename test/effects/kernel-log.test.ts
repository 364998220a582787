import fc from 'fast-check';
import { expect, test } from 'vitest';
import { kernelRecord, priority } from '../../src/effects/kernel-log.ts';

function recordOf(line: string): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(kernelRecord(priority.error, line));
}

test('a line goes to the kernel’s log with its priority', () => {
  expect(recordOf('unit-secrets-generator[7]: wrong')).toBe('<3>unit-secrets-generator[7]: wrong\n');
});

test('a record is never longer than the kernel takes, and never ends within a character', () => {
  const line = fc
    .tuple(fc.nat(3), fc.constantFrom('x', 'é', '–', '🔑'), fc.nat(1200))
    .map(([offset, character, count]) => '-'.repeat(offset) + character.repeat(count));
  fc.assert(
    fc.property(line, (text) => {
      const record = recordOf(text);
      expect(Buffer.byteLength(record)).toBeLessThanOrEqual(901);
      expect(`<3>${text}`.startsWith(record.slice(0, -1))).toBe(true);
      if (Buffer.byteLength(text) <= 897) expect(record).toBe(`<3>${text}\n`);
    }),
  );
});
