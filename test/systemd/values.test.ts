import { expect, test } from 'vitest';
import { bootMachine, environmentOf, vaultManifest } from './machine.ts';

/** What environment files get wrong. */
const values: Readonly<Record<string, string>> = {
  empty: '',
  quotes: `"double" 'single' "unbalanced`,
  backslashes: 'a\\b \\n \\\\ \\" ends with \\',
  dollars: '$HOME ${HOME} $$ $(id) $',
  backticks: '`id` ``',
  percent: '%n %% %i 100%',
  newlines: '\nbegins, goes on\n\nand ends with\r\n',
  blanks: '  \t leading and trailing \t ',
  comments: '# not a comment\n; nor this',
  emoji: '🔑 Schlüssel ключ 鍵 \u2028 \u200d',
  controls: '\u0001\u001b[31m\u007f',
  json: '{"a": ["b", {"c": null}]}',
  braces: '{{ op://Vault/values/quotes }} {{ "{{" }}',
  assignment: 'X=1\nY=2',
  long: `${'0123456789abcdef"\\$`%\n'.repeat(4700)}end`,
};

test.each(['bookworm', 'trixie'] as const)('values arrive byte for byte on %s', async (suite) => {
  expect(Buffer.byteLength(values['long'] ?? '')).toBeGreaterThan(100_000);
  const environment = Object.fromEntries(
    Object.keys(values).flatMap((name) => [
      [`WHOLE_${name}`, `op://Vault/values/${name}`],
      [`PART_${name}`, `<{{ op://Vault/values/${name} }}>%n$HOME"\\`],
    ]),
  );
  await using machine = await bootMachine({
    suite,
    manifest: vaultManifest({ app: { environment } }),
    vault: { Vault: { values } },
    services: { app: undefined },
  });
  const received = await environmentOf(machine, 'app.service');
  for (const [name, value] of Object.entries(values)) {
    expect(received.get(`WHOLE_${name}`), name).toBe(value);
    expect(received.get(`PART_${name}`), name).toBe(`<${value}>%n$HOME"\\`);
  }
});

test('literal values arrive byte for byte as well', async () => {
  const literals = Object.fromEntries(
    Object.entries(values)
      .filter(([name]) => name !== 'long')
      .map(([name, value]) => [`TEXT_${name}`, value.replaceAll('{{', '{{ "{{" }}')]),
  );
  await using machine = await bootMachine({
    manifest: vaultManifest({ app: { environment: literals } }),
    vault: { Vault: { values: {} } },
    services: { app: undefined },
  });
  const received = await environmentOf(machine, 'app.service');
  for (const name of Object.keys(literals)) {
    expect(received.get(name), name).toBe(values[name.slice('TEXT_'.length)]);
  }
});
