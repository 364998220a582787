/** Keys and files as the real `age` and ssh-keygen make them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface AgeKey {
  /** What an identity file holds. */
  readonly identity: string;
  readonly recipient: string;
}

/** An SSH key pair, or one of age's own. */
export function makeAgeKey(type: 'ed25519' | 'rsa' | 'age' = 'ed25519'): AgeKey {
  if (type === 'age') {
    const identity = execFileSync('age-keygen', [], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return { identity, recipient: /^# public key: (\S+)$/m.exec(identity)?.[1] ?? '' };
  }
  const directory = mkdtempSync(join(tmpdir(), 'unit-secrets-fuzz-'));
  try {
    const path = join(directory, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', path]);
    return { identity: readFileSync(path, 'utf8'), recipient: readFileSync(`${path}.pub`, 'utf8').trim() };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export function sealForKey(plain: string | Uint8Array, ...keys: readonly AgeKey[]): Buffer {
  return sealWith(plain, keys, []);
}

export function sealWith(
  plain: string | Uint8Array,
  keys: readonly AgeKey[],
  options: readonly string[],
): Buffer {
  return execFileSync('age', [...options, ...keys.flatMap(({ recipient }) => ['-r', recipient])], {
    input: plain,
    maxBuffer: 1 << 28,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}
