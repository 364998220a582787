import { expect, test } from 'vitest';
import { installCommand } from '../../src/cli/doctor/generator.ts';
import { checkManifest } from '../../src/cli/doctor/manifest.ts';
import { read } from '../support/manifests.ts';

test('a generator that is missing is installed as the program that runs', () => {
  const link = '/etc/systemd/system-generators/unit-secrets-generator';
  expect(installCommand()).toBe(`ln -s ${process.execPath} ${link}`);
  expect(installCommand("/opt/my tools/it's")).toBe(`ln -s '/opt/my tools/it'\\''s' ${link}`);
});

test('one is not many', () => {
  const sshKeys = { anna: { publicKey: 'op://v/i/public', privateKey: 'op://v/i/private' } };
  const change = { path: 'app-secrets.service', change: 'added', diff: '' } as const;
  const messages = (count: number): string[] =>
    checkManifest(read({ version: 1, sshKeys }), {
      units: Array.from({ length: count }, () => change),
      services: [],
    }).map(({ message }) => message);
  expect(messages(1)).toContain('is right: 0 services, SSH keys of 1 user');
  expect(messages(1).join('\n')).toMatch(/: 1 file differs$/m);
  expect(messages(2).join('\n')).toMatch(/: 2 files differ$/m);
});
