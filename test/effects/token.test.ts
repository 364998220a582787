import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { readOpenedToken, readTokenFile } from '../../src/effects/token.ts';
import { temporaryDirectory, temporaryTree } from '../support/temporary.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

const opened = '/run/unit-secrets/token/1password-token';

/** A directory of credentials, which systemd names by its environment variable. */
function credentials(files: Readonly<Record<string, string>>): void {
  vi.stubEnv('CREDENTIALS_DIRECTORY', temporaryTree(files));
}

test('the token is read where unit-secrets-token.service keeps it, which may be newer than the credential', () => {
  credentials({ '1password-token': 'ops_old' });
  expect(readOpenedToken(temporaryTree({ [opened]: 'ops_new\n' }))).toBe('ops_new');
});

test.each([{}, { [opened]: '' }, { [opened]: '\n' }])('else it is read from the credential (%j)', (tree) => {
  credentials({ '1password-token': 'ops_old\n' });
  expect(readOpenedToken(temporaryTree(tree))).toBe('ops_old');
});

test('without either the next retry is waited for', () => {
  expect(() => readOpenedToken(temporaryDirectory())).toThrow(
    expect.objectContaining({
      failure: expect.objectContaining({ class: 'transient', exitCode: exitCodes.temporaryFailure }),
    }),
  );
});

test('a token file is read as it is', () => {
  expect(readTokenFile(join(temporaryTree({ t: 'ops_x\n' }), 't'))).toBe('ops_x\n');
});

test.each([
  ['that is missing', 'nothing', exitCodes.noInput, 'is missing'],
  ['below a file', 't/u', exitCodes.noInput, 'is missing'],
  ['that is a directory', '.', exitCodes.ioError, 'cannot be read (EISDIR)'],
])('a token file %s is named', (_, name, exitCode, message) => {
  const path = join(temporaryTree({ t: '' }), name);
  expect(() => readTokenFile(path)).toThrow(
    expect.objectContaining({
      failure: expect.objectContaining({ exitCode, message: `the token file ${path} ${message}` }),
    }),
  );
});
