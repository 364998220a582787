import { lock } from 'proper-lockfile';

/**
 * Makes the directory `TARGET.lock` and touches it from time to time.
 *
 * @returns how to release it; undefined if it is there already
 */
export async function lockDirectory(
  target: string,
  options: { readonly stale: number; readonly update: number; readonly onCompromised: () => void },
): Promise<(() => Promise<void>) | undefined> {
  try {
    return await lock(target, { ...options, realpath: false });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ELOCKED') return undefined;
    throw error;
  }
}
