import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { unitSecrets } from '../support/command.ts';
import { manifestPath } from '../support/manifests.ts';
import { temporaryTree } from '../support/temporary.ts';

const fragment = '/etc/unit-secrets/manifest.d/y.json';
const template = '/etc/unit-secrets/templates/app.yaml';
const key = 'op://Home/App/key';

function host(): string {
  const root = temporaryTree({
    [manifestPath]: `{
  "version": 1,
  "provider": { "type": "age-vault", "path": "/vault.age", "identity": "/key" },
  "services": {
    "app.service": {
      "environment": { "KEY": "${key}", "TWO": "x{{ op://Home/App/one }}{{ op://Home/App/two }}" },
      "files": { "a": "op://Home/App/one", "b": { "value": "op://Home/App/one" } },
      "configs": { "app.yaml": { "template": "${template}", "values": { "V": "op://Home/App/v" } } }
    }
  },
  "sshKeys": { "me": { "privateKey": "op://Home/App/ssh" } }
}
`,
    [fragment]: '{ "services": {\n "y": { "credentials": { "zip": "op://Home/App/zip" } } } }',
    [template]: `a: {{ ${key} }}\nb: {{ op://Home/App/t }}\n漢: {{ op://Home/App/t }}\n`,
  });
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(root, 'key')]);
  execFileSync('age', ['-R', join(root, 'key.pub'), '-o', join(root, 'vault.age')], {
    input: JSON.stringify({ Home: { App: { key: 'hunter2' } } }),
  });
  return root;
}

test('a reference that does not exist is told wherever it stands', () => {
  const root = host();
  const { exitCode, stdout } = unitSecrets(['check', '--online', '--root', root]);
  expect(exitCode).toBe(exitCodes.problems);
  expect(stdout).not.toContain('hunter2');
  const app = '$.services["app.service"]';
  const places = [
    `${manifestPath}:6:59: ${app}.environment.TWO: "op://Home/App/one"`,
    `${manifestPath}:6:59: ${app}.environment.TWO: "op://Home/App/two"`,
    `${manifestPath}:7:23: ${app}.files.a: "op://Home/App/one"`,
    `${manifestPath}:7:60: ${app}.files.b.value: "op://Home/App/one"`,
    `${manifestPath}:8:103: ${app}.configs["app.yaml"].values.V: "op://Home/App/v"`,
    `${fragment}:2:33: $.services.y.credentials.zip: "op://Home/App/zip"`,
    `${manifestPath}:11:38: $.sshKeys.me.privateKey: "op://Home/App/ssh"`,
    `${root}${template}:2:4: "op://Home/App/t"`,
    `${root}${template}:3:4: "op://Home/App/t"`,
  ];
  const told = stdout.split('\n').filter((line) => line.includes('no field of that name'));
  expect(told.map((line) => line.slice(0, line.indexOf(': no field')))).toEqual(places);
  expect(told.at(-1)).toContain('(for app)');
  expect(stdout).toContain('\n  2 |  "y": { "credentials": { "zip": "op://Home/App/zip" } } } }\n');
});

test('for programs, too', () => {
  const { stdout } = unitSecrets(['check', '--online', '--json', '--root', host()]);
  expect(JSON.parse(stdout).problems).toContainEqual({
    severity: 'error',
    file: fragment,
    line: 2,
    column: 33,
    path: '$.services.y.credentials.zip',
    message: '"op://Home/App/zip": no field of that name in the item',
    service: 'y',
  });
});
