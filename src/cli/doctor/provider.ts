import { createConnection } from 'node:net';
import { FailureError } from '../../domain/failure.ts';
import type { Manifest } from '../../domain/manifest.ts';
import { parseServiceAccountToken } from '../../domain/service-account-token.ts';
import { ageVaultProvider } from '../../effects/age-vault-provider.ts';
import { readConfiguredToken } from '../../effects/configured-token.ts';
import { withProgress } from '../progress.ts';
import { error, type HostFinding, ok, warning } from './finding.ts';

const patience = 10_000;

/** Whether the token or the vault opens, and whether the provider can be reached. Nobody signs in: that costs quota. */
export async function checkProvider(manifest: Manifest): Promise<HostFinding[]> {
  const { provider, token } = manifest;
  if (process.geteuid?.() !== 0)
    return [warning('provider', 'token and vault can be looked at by root only', 'run this as root')];
  try {
    if (provider.type === 'age-vault') {
      await ageVaultProvider(provider).resolve([]);
      return [ok('vault', `${provider.path} opens`)];
    }
    if (token.kind === 'credential')
      return [
        ok(
          'token',
          `systemd decrypts /etc/credstore.encrypted/${token.id} for unit-secrets-token.service alone`,
        ),
      ];
    const { text } = await readConfiguredToken(token, '');
    const parsed = parseServiceAccountToken(text);
    if (!parsed.ok)
      return [error('token', `${token.path} ${parsed.message}`, 'unit-secrets token seal --force')];
    const { signInAddress } = parsed.token;
    const reached = await withProgress('looking whether 1Password can be reached', () =>
      reach(signInAddress),
    );
    return [ok('token', `${token.path} opens`), reached];
  } catch (thrown) {
    if (!(thrown instanceof FailureError)) throw thrown;
    const { message, hint } = thrown.failure;
    const check = provider.type === 'age-vault' ? 'vault' : 'token';
    return [error(check, message, hint ?? 'see README.md')];
  }
}

function reach(address: string): Promise<HostFinding> {
  const { hostname, port, protocol } = new URL(address);
  const number = port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port);
  return new Promise((resolve) => {
    const socket = createConnection({ host: hostname.replace(/^\[|\]$/g, ''), port: number });
    const end = (finding: HostFinding): void => {
      socket.destroy();
      resolve(finding);
    };
    socket.setTimeout(patience, () =>
      end(error('provider', `${hostname} does not answer`, 'look at the network')),
    );
    socket.once('connect', () => end(ok('provider', `${hostname} can be reached`)));
    socket.once('error', (thrown: NodeJS.ErrnoException) =>
      end(
        error(
          'provider',
          `${hostname} cannot be reached (${thrown.code ?? 'unknown error'})`,
          'look at the network and at name resolution',
        ),
      ),
    );
  });
}
