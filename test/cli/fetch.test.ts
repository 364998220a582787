import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generate } from '../../generators/unit-secrets-generator.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { paths } from '../../src/unit/paths.ts';
import { unitSecrets } from '../support/command.ts';
import { manifestPath } from '../support/manifests.ts';
import { temporaryTree } from '../support/temporary.ts';

/** A machine whose units are generated, with the directories that systemd would make for them. */
async function machine(services: object): Promise<string> {
  const root = temporaryTree({ [manifestPath]: JSON.stringify({ version: 1, services }) });
  await generate(join(root, paths.generated), { root, executable: '/usr/bin/unit-secrets' });
  for (const name of Object.keys(services)) mkdirSync(join(root, paths.secrets, name), { recursive: true });
  return root;
}

test('what the generated unit says is in the directory of the service, with the marker that the service asserts', async () => {
  const root = await machine({ app: { environment: { A: 'plain $text', B: '' } } });
  expect(unitSecrets(['fetch', 'app', '--root', root])).toEqual({
    exitCode: exitCodes.ok,
    stdout: '',
    stderr: '',
  });
  const directory = join(root, paths.secrets, 'app');
  const dropIn = readFileSync(join(root, paths.generated, 'app.service.d/50-unit-secrets.conf'), 'utf8');
  const marker = /AssertPathExists=.*\/(.*)/.exec(dropIn)?.[1] ?? '';
  expect(readdirSync(directory).sort()).toEqual([marker, 'env']);
  expect(readFileSync(join(directory, 'env'), 'utf8')).toBe('A="plain \\$text"\nB=""\n');
});

test.each(['app.service', 'deep.service.service', 'ssh.socket.service'])(
  'a service is found by its unit: %s',
  async (unit) => {
    const root = await machine({ [unit]: { environment: { A: 'x' } } });
    mkdirSync(join(root, paths.secrets, unit.replace(/\.service$/, '')));
    expect(unitSecrets(['fetch', unit, '--root', root]).exitCode).toBe(exitCodes.ok);
  },
);

describe('what cannot be fetched', () => {
  test('is told by the unit of a service with errors, and the directory stays as it is', async () => {
    const root = await machine({ app: { environment: { A: 1, B: 'op://x' } } });
    const { exitCode, stderr } = unitSecrets(['fetch', 'app', '--root', root]);
    expect(exitCode).toBe(exitCodes.configuration);
    expect(stderr.split('\n')).toEqual([
      `${manifestPath}:1:52: $.services.app.environment.A: must be a string, this is a number`,
      expect.stringContaining(`${manifestPath}:1:58: $.services.app.environment.B: a secret reference has`),
      'app.service is kept down',
      '',
    ]);
    expect(readdirSync(join(root, paths.secrets, 'app'))).toEqual([]);
  });

  test('is told for the manifest as a whole by a unit of its own', async () => {
    const root = await machine({ 'a b': { environment: {} } });
    expect(
      unitSecrets(['fetch', '--manifest', '--root', root], { env: { JOURNAL_STREAM: '8:1' } }),
    ).toMatchObject({
      exitCode: exitCodes.configuration,
      stderr: expect.stringMatching(/^<3>.*"a b" is not a unit name.*\n<3>correct the manifest/),
    });
  });

  test('is a name that no service can have', async () => {
    expect(unitSecrets(['fetch', 'a b'])).toMatchObject({
      exitCode: exitCodes.usage,
      stderr: expect.stringMatching(/^"a b" is not a unit name/),
    });
  });

  test('is one whose directory nobody has made', async () => {
    const root = await machine({ app: { environment: { A: 'x' } } });
    const { exitCode, stderr } = unitSecrets(['fetch', 'app', '--root', root]);
    expect({ exitCode, stderr }).toEqual({ exitCode: exitCodes.ok, stderr: '' });
    const other = temporaryTree({
      [`${paths.generated}/app-secrets.service`]: readFileSync(
        join(root, paths.generated, 'app-secrets.service'),
      ),
    });
    expect(unitSecrets(['fetch', 'app', '--root', other])).toMatchObject({
      exitCode: exitCodes.cannotCreate,
      stderr: expect.stringMatching(
        /^cannot write to .*\(ENOENT\) \(app-secrets\.service makes it: start that unit\)\n$/,
      ),
    });
  });

  test('is what needs a token that has not been opened', async () => {
    const root = await machine({ app: { environment: { A: 'op://v/i/f' } } });
    expect(unitSecrets(['fetch', 'app', '--root', root])).toMatchObject({
      exitCode: exitCodes.temporaryFailure,
      stderr:
        'the service account token has not been opened (systemctl status unit-secrets-token.service tells why)\n',
    });
  });
});
