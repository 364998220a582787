import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { temporaryTree } from './temporary.ts';

export const ed25519Path = '/etc/ssh/ssh_host_ed25519_key';
export const rsaPath = '/etc/ssh/ssh_host_rsa_key';

/** A root directory of the running test with host keys as `ssh-keygen -A` makes them, and an empty /etc/unit-secrets. */
export function hostWithKeys(types: readonly ('ed25519' | 'rsa')[] = ['ed25519', 'rsa']): string {
  const root = temporaryTree({ '/etc/ssh/': '', '/etc/unit-secrets/': '' });
  for (const type of types) makeKey(join(root, type === 'rsa' ? rsaPath : ed25519Path), type);
  return root;
}

/** A key pair, of ssh-keygen; gives the path. */
export function makeKey(path: string, type: 'ed25519' | 'rsa' = 'ed25519'): string {
  const options = type === 'rsa' ? ['-t', 'rsa', '-b', '2048'] : ['-t', 'ed25519'];
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', 'root@test', '-f', path, ...options]);
  return path;
}

/** What the real age makes of a file below a root, with a host key or another. */
export function openWithAge(root: string, path: string, key = join(root, ed25519Path)): Buffer {
  return execFileSync('age', ['-d', '-i', key, join(root, path)], { stdio: ['ignore', 'pipe', 'pipe'] });
}
