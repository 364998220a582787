import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readXSecrets } from '../../src/effects/ini.ts';
import { serialiseUnit } from '../../src/unit/unit-file.ts';
import { xSecretsSection, xSetting } from '../../src/unit/x-secrets.ts';
import { oddText } from '../support/manifests.ts';

/** A unit with these settings in `[X-Secrets]`, behind sections like those of real ones. */
function unit(settings: readonly (readonly [name: string, value: string])[]): string {
  const path = 'app-secrets.service';
  return serialiseUnit(
    {
      path,
      source: '/etc/unit-secrets/manifest.json',
      sections: [
        { name: 'Unit', settings: [['Description', 'a; b # c [X-Secrets]']] },
        { name: 'Service', settings: [['ExecStart', '/bin/x "Tries=7"']] },
        { name: xSecretsSection, settings: settings.map(([name, value]) => xSetting(name, value)) },
      ],
    },
    ['[X-Secrets] is below'],
  );
}

test('what is written to [X-Secrets] is read back exactly, one value or many', () => {
  const hostile = fc.oneof(
    oddText,
    fc.constantFrom(
      '',
      ' ',
      'true',
      'false',
      'null',
      '7',
      '"',
      "'a'",
      '"a"',
      '\n[X-Secrets]\nTries="1"',
      '[]',
      '\ud800',
    ),
  );
  const values = fc.array(hostile, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(values, values, (environment, errors) => {
      const text = unit([
        ...environment.map((value) => ['Environment', value] as const),
        ['Tries', '12'],
        ...errors.map((value) => ['Error', value] as const),
      ]);
      expect(readXSecrets(text)).toEqual(
        new Map<string, readonly string[]>([
          ['Environment', environment],
          ['Tries', ['12']],
          ['Error', errors],
        ]),
      );
      // nothing that systemd could take for another line, and nothing that is not UTF-8
      expect(text.split(/[\r\n]/)).toHaveLength(
        unit([]).split('\n').length + environment.length + errors.length + 3,
      );
      expect(text.isWellFormed()).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('a unit without the section has no settings', () => {
  expect(readXSecrets('[Unit]\nDescription=[X-Secrets]\n')).toBeUndefined();
});

test('a value of 128 KiB is read back', () => {
  const value = 'é"'.repeat(43_690);
  expect(readXSecrets(unit([['Environment', value]]))?.get('Environment')).toEqual([value]);
});
