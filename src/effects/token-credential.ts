import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';

/** Within the 10 s that the unit has. */
const longestDecryption = 8_000;

/**
 * Reads a token that systemd has decrypted for this unit (systemd-creds(1)). A reload is given no credentials: then
 * it is decrypted as systemd would, which a TPM is out of reach for in the unit's sandbox.
 *
 * @param isReload whether a token was opened before
 * @throws FailureError with 66 if the unit has no such credential
 */
export function readTokenCredential(id: string, isReload: boolean): string {
  const directory = process.env['CREDENTIALS_DIRECTORY'];
  const path = `/etc/credstore.encrypted/${id}`;
  try {
    if (directory !== undefined) return readFileSync(`${directory}/${id}`, 'utf8');
  } catch {
    // told below: whatever the reason, systemd did not put it there
  }
  if (isReload) {
    const { status, stdout } = spawnSync('systemd-creds', ['decrypt', `--name=${id}`, path, '-'], {
      encoding: 'utf8',
      timeout: longestDecryption,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    if (status === 0) return stdout;
  }
  throw new FailureError({
    class: 'permanent',
    exitCode: exitCodes.noInput,
    message: isReload
      ? `the credential ${JSON.stringify(id)} in ${path} cannot be decrypted by a reload`
      : `there is no credential ${JSON.stringify(id)}: systemd did not decrypt ${path}`,
    hint: isReload
      ? 'systemctl restart unit-secrets-token.service has systemd decrypt it'
      : 'encrypted credentials need systemd 250 or later, "systemctl --version" tells; on an older one use {"age": PATH}',
  });
}
