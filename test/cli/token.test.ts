import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generate } from '../../generators/unit-secrets-generator.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { paths } from '../../src/unit/paths.ts';
import { type Outcome, unitSecrets } from '../support/command.ts';
import { manifestPath } from '../support/manifests.ts';
import { modeOf, temporaryTree, withUmask } from '../support/temporary.ts';

const token = 'ops_eyJzaWduSW5BZGRyZXNz==';

/** A machine whose token is in a plain file. */
async function machine(
  content: string | undefined,
  more: object = { token: { file: '/run/agenix/t' } },
): Promise<string> {
  const services = { 'backup@nas': { environment: {} }, app: { environment: {} } };
  const root = temporaryTree({
    [manifestPath]: JSON.stringify({ version: 1, ...more, services }),
    '/run/agenix/': '',
  });
  if (content !== undefined) writeFileSync(join(root, '/run/agenix/t'), content);
  await generate(join(root, paths.generated), { root, executable: '/usr/bin/unit-secrets' });
  return root;
}

const tokenCommand = (root: string, command: 'open' | 'wipe'): Outcome =>
  unitSecrets(['token', command, '--root', root]);
const opened = (root: string): string => readFileSync(join(root, paths.token), 'utf8');

describe('token open', () => {
  test.each([0o000, 0o077])('puts the token where root alone can read it (umask %o)', async (umask) => {
    const root = await machine(` ${token}\r\n`);
    withUmask(umask, () =>
      expect(tokenCommand(root, 'open')).toEqual({ exitCode: 0, stdout: '', stderr: '' }),
    );
    expect(opened(root)).toBe(token);
    expect(modeOf(join(root, paths.token))).toBe('0400');
    expect(modeOf(join(root, paths.token, '..'))).toBe('0700');
  });

  test('takes a new token in the place of the old one', async () => {
    const root = await machine(token);
    tokenCommand(root, 'open');
    writeFileSync(join(root, '/run/agenix/t'), 'ops_new');
    expect(tokenCommand(root, 'open').exitCode).toBe(exitCodes.ok);
    expect(opened(root)).toBe('ops_new');
  });

  test('notes the services, for a boot at which the manifest cannot be read', async () => {
    const root = await machine(token);
    tokenCommand(root, 'open');
    expect(readFileSync(join(root, paths.serviceList), 'utf8')).toBe('backup@nas.service\napp.service\n');
  });

  test('goes on with a warning where the services cannot be noted', async () => {
    const root = await machine(token);
    writeFileSync(join(root, 'var'), '');
    const { exitCode, stderr } = tokenCommand(root, 'open');
    expect(exitCode).toBe(exitCodes.ok);
    expect(stderr).toMatch(/^cannot note the names of services in .*; going on without\n$/);
    expect(opened(root)).toBe(token);
  });

  test('needs no token for a vault', async () => {
    const root = await machine(undefined, { provider: { type: 'age-vault' } });
    expect(tokenCommand(root, 'open').exitCode).toBe(exitCodes.ok);
    expect(existsSync(join(root, paths.token))).toBe(false);
  });

  test.each([
    ['that is not there', undefined, exitCodes.noInput, /^the token file .*\/run\/agenix\/t is missing/],
    ['that is empty', '', exitCodes.configuration, /^\/run\/agenix\/t does not hold a service account token/],
    ['with something else', 'Hunter2', exitCodes.configuration, /^\/run\/agenix\/t does not hold/],
    ['of two lines', `${token}\nHunter2`, exitCodes.configuration, /^\/run\/agenix\/t does not hold/],
  ])('refuses a file %s and keeps the token that it had', async (_, content, exitCode, message) => {
    const root = await machine(content);
    mkdirSync(join(root, paths.token, '..'), { recursive: true });
    writeFileSync(join(root, paths.token), token);
    const outcome = tokenCommand(root, 'open');
    expect(outcome).toMatchObject({ exitCode, stderr: expect.stringMatching(message) });
    expect(outcome.stderr).not.toMatch(/Hunter2|ops_e/);
    expect(opened(root)).toBe(token);
  });
});

test('token wipe removes the token, or what is left of it', async () => {
  const root = await machine(token);
  tokenCommand(root, 'open');
  for (let run = 0; run < 2; run++) {
    expect(tokenCommand(root, 'wipe')).toEqual({ exitCode: exitCodes.ok, stdout: '', stderr: '' });
    expect(existsSync(join(root, paths.token))).toBe(false);
  }
  expect(existsSync(join(root, paths.token, '..'))).toBe(true);
});

test('token wipe notes the services that came into the manifest since the token was opened', async () => {
  const root = await machine(token);
  tokenCommand(root, 'open');
  mkdirSync(join(root, paths.queue), { recursive: true });
  for (const name of ['app', 'late', 'mount@a,b+x20c', 'ssh-key-setup@ada'])
    writeFileSync(join(root, paths.queue, `${name}.service.state`), '{}');
  writeFileSync(join(root, paths.queue, 'lock'), '');
  expect(tokenCommand(root, 'wipe')).toEqual({ exitCode: exitCodes.ok, stdout: '', stderr: '' });
  expect(readFileSync(join(root, paths.serviceList), 'utf8')).toBe(
    'backup@nas.service\napp.service\nlate.service\nmount@a:b\\x20c.service\n',
  );
});
