import type { Provider } from '../domain/provider.ts';
import { ageVaultProvider } from '../effects/age-vault-provider.ts';
import { log } from '../effects/journal-log.ts';
import { takeLock } from '../effects/lock.ts';
import { onePasswordProvider } from '../effects/onepassword-provider.ts';
import { readOpenedToken } from '../effects/token.ts';
import { type ObtainRequest, obtain } from '../fetch/obtain.ts';
import type { ProviderPlan } from '../fetch/read-plan.ts';
import { paths } from '../unit/paths.ts';
import { selfCommand } from './self.ts';

/** The longest that one try may take, in milliseconds: the SDK itself waits for ever. */
const longestTry = 30_000;

/** Obtains values as the plan says: from a vault file at once, from 1Password in turn with others. */
export function obtainFrom(
  provider: ProviderPlan,
  root: string,
  request: ObtainRequest,
): Promise<ReadonlyMap<string, string>> {
  return obtain(request, {
    provider: (remaining) => open(provider, root, remaining),
    exclusively: async (deadline, work) => {
      // a vault file is read by as many as like: the lock is for the service's sake
      if (provider.type === 'age-vault') return work();
      const lock = await takeLock(root + paths.queue, deadline);
      if (!lock) return undefined;
      try {
        return await work();
      } finally {
        await lock.release();
      }
    },
    log,
    now: () => performance.now(),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    random: Math.random,
  });
}

async function open(provider: ProviderPlan, root: string, remaining: number): Promise<Provider> {
  if (provider.type === 'age-vault') {
    return ageVaultProvider({
      path: root + provider.path,
      identities: provider.identities.map((path) => root + path),
    });
  }
  return onePasswordProvider({
    command: selfCommand('resolve-child'),
    token: readOpenedToken(root),
    deadline: Math.max(1000, Math.min(longestTry, remaining)),
  });
}

/** Obtains values from 1Password with the token that the service itself has, for itself alone. */
export function obtainInline(root: string, request: ObtainRequest): Promise<ReadonlyMap<string, string>> {
  return obtain(request, {
    provider: (remaining) => open({ type: '1password' }, root, remaining),
    exclusively: (_deadline, work) => work(),
    log,
    now: () => performance.now(),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    random: Math.random,
  });
}
