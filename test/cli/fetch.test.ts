import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generate } from '../../generators/unit-secrets-generator.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { paths } from '../../src/unit/paths.ts';
import { unitSecrets } from '../support/command.ts';
import { manifestPath } from '../support/manifests.ts';
import { modeOf, temporaryTree } from '../support/temporary.ts';

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

describe('credentials and files', () => {
  const all = { credentials: { id: 'c' }, files: { key: 'f', own: { value: 'o', mode: '0600' } } };

  test.each([
    [{}, '0400', '0700'],
    [{ group: 'app' }, '0440', '0750'],
  ])('are in directories of their own, with %j', async (more, fileMode, directoryMode) => {
    const root = await machine({ app: { environment: { A: 'x' }, ...all, ...more } });
    expect(unitSecrets(['fetch', 'app', '--root', root])).toMatchObject({
      exitCode: exitCodes.ok,
      stderr: '',
    });
    const directory = join(root, paths.secrets, 'app');
    const modes = ['env', 'files', 'files/key', 'files/own', 'credentials', 'credentials/id'].map((path) =>
      modeOf(join(directory, path)),
    );
    expect(modes).toEqual(['0600', directoryMode, fileMode, '0600', '0700', '0400']);
    expect(readFileSync(join(directory, 'files/key'), 'utf8')).toBe('f');
    expect(readFileSync(join(directory, 'credentials/id'), 'utf8')).toBe('c');
  });

  test('that an entry has no more are removed with the next fetch', async () => {
    const root = await machine({ app: all });
    unitSecrets(['fetch', 'app', '--root', root]);
    writeFileSync(
      join(root, manifestPath),
      JSON.stringify({ version: 1, services: { app: { files: { key: 'f' } } } }),
    );
    await generate(join(root, paths.generated), { root, executable: '/usr/bin/unit-secrets' });
    expect(unitSecrets(['fetch', 'app', '--root', root]).exitCode).toBe(exitCodes.ok);
    const left = readdirSync(join(root, paths.secrets, 'app'), { recursive: true })
      .map(String)
      .sort();
    expect(left).toEqual([expect.stringMatching(/^\.ok-/), 'credentials', 'files', 'files/key']);
  });

  test('of a service that fetches itself are in its directory, which systemd gives its mode, for nobody else to read', async () => {
    const root = await machine({
      app: { dynamicUser: 'inline', environment: { A: 'x' }, files: { key: 'f' } },
    });
    const directory = join(root, paths.inline, 'app');
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    expect(unitSecrets(['fetch', '--inline', 'app', '--root', root])).toMatchObject({
      exitCode: exitCodes.ok,
      stderr: '',
    });
    expect(readdirSync(directory).sort()).toEqual(['env', 'files']);
    expect(['env', 'files', 'files/key'].map((path) => modeOf(join(directory, path)))).toEqual([
      '0600',
      '0700',
      '0400',
    ]);
    expect(readdirSync(join(root, paths.secrets, 'app'))).toEqual([]);
  });
});

describe('what cannot be fetched', () => {
  test('is told by the unit of a service with errors, and the directory stays as it is', async () => {
    const root = await machine({ app: { environment: { A: 1, B: 'op://x' } } });
    const { exitCode, stderr } = unitSecrets(['fetch', 'app', '--root', root]);
    expect(exitCode).toBe(exitCodes.configuration);
    expect(stderr.split('\n')).toEqual([
      `${manifestPath}:1:52: $.services.app.environment.A: must be a string, this is a number (put it in double quotes)`,
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
        'the service account token has not been opened (systemctl reload-or-restart unit-secrets-token.service opens it, its status tells why not)\n',
    });
  });
});
