import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { generate } from '../../generators/unit-secrets-generator.ts';
import { paths } from '../../src/unit/paths.ts';
import { newAccount, tokenOf } from '../emulator/token.ts';
import { ed25519Path, hostWithKeys, openWithAge, rsaPath } from '../support/host-keys.ts';
import { manifestPath } from '../support/manifests.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { binary } from './binary.ts';

/** What the program does to files with secrets, as the kernel sees it. */
interface Trace {
  readonly status: number | null;
  /** Paths opened for reading alone. */
  readonly read: readonly string[];
  /** Paths opened in any other way. */
  readonly written: readonly string[];
  /** Lines of system calls that hold this text, whatever they do with it, reads left out. */
  readonly mentions: (text: string) => readonly string[];
}

const [account] = newAccount().serviceAccounts;
if (account === undefined) throw new Error('the emulator made no service account');
const token = tokenOf(account, 'https://example.1password.com');
const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
let program: string;
beforeAll(async () => {
  program = await binary();
});

function trace(args: readonly string[], input: string, env: NodeJS.ProcessEnv = {}): Trace {
  const log = join(temporaryDirectory(), 'strace');
  const options = [
    '-f',
    '-s',
    '1000000',
    '-e',
    'trace=file,write,pwrite64,writev,sendto,sendmsg,ftruncate',
    '-o',
    log,
  ];
  const { status } = spawnSync('strace', [...options, program, ...args], {
    input,
    env: { PATH: process.env['PATH'], ...env },
    timeout: 60_000,
  });
  const lines = readFileSync(log, 'utf8').split('\n');
  const opened = lines.flatMap((line) => {
    const match = / open(?:at)?\((?:AT_FDCWD, )?"([^"]*)", ([A-Z_|]+)/.exec(line);
    return match && !line.includes('= -1') ? [{ path: match[1] ?? '', flags: match[2] ?? '' }] : [];
  });
  const isRead = ({ flags }: { flags: string }): boolean => flags.split('|').includes('O_RDONLY');
  return {
    status,
    read: opened.filter(isRead).map(({ path }) => path),
    written: opened.filter((one) => !isRead(one)).map(({ path }) => path),
    mentions: (text) => lines.filter((line) => line.includes(text)),
  };
}

/** What Bun itself opens: nothing of ours. */
const isRuntime = (path: string): boolean => /^\/(?:proc|dev(?!\/shm))\//.test(path);
/** Parts of a secret: any of them in a place is too much. */
const partsOf = (secret: string): readonly string[] =>
  [10, Math.floor(secret.length / 2), secret.length - 30].map((at) => secret.slice(at, at + 16));
const bodyOf = (root: string, path: string): string =>
  readFileSync(join(root, path), 'utf8').split('\n').slice(1, -2).join('');
const keyParts = (root: string, path: string): readonly string[] =>
  partsOf(bodyOf(root, path)).map((part) => part.slice(0, 10));

describe.runIf(canTrace)('traced', () => {
  test('the trace sees what is written', () => {
    const root = hostWithKeys();
    const { read, mentions, status } = trace(
      ['token', 'seal', '--root', root, '--recipient', '/nowhere'],
      token,
    );
    expect(status).not.toBe(0);
    expect(mentions('write(2, "/nowhere: does not exist')).toHaveLength(1);
    expect(read.length + mentions('execve').length).toBeGreaterThan(1);
  });

  test('token seal writes the sealed file and nothing else, and opens no private key', () => {
    const root = hostWithKeys();
    const { status, read, written, mentions } = trace(['token', 'seal', '--root', root], `${token}\n`);
    expect(status).toBe(0);
    expect(openWithAge(root, '/etc/unit-secrets/1password-token.age').toString()).toBe(token);
    const [temporary, ...others] = written.filter((path) => !isRuntime(path));
    expect(temporary).toMatch(/\/etc\/unit-secrets\/\.1password-token\.age\.[0-9a-f]{12}\.new$/);
    expect(others).toEqual([]);
    for (const key of [ed25519Path, rsaPath]) expect(read).not.toContain(join(root, key));
    expect(read).toContain(join(root, `${ed25519Path}.pub`));
    for (const part of partsOf(token)) expect(mentions(part)).toEqual([]);
  });

  test.each([ed25519Path, rsaPath])(
    'token open with %s writes the token into memory and nowhere else',
    async (key) => {
      const root = hostWithKeys();
      trace(['token', 'seal', '--root', root], token);
      const settings = { token: { age: '/etc/unit-secrets/1password-token.age', identity: key } };
      writeFileSync(
        join(root, manifestPath),
        JSON.stringify({ version: 1, ...settings, services: { app: { environment: {} } } }),
      );
      await generate(join(root, paths.generated), { root, executable: '/usr/bin/unit-secrets' });
      const { status, read, written, mentions } = trace(['token', 'open', '--root', root], '');
      expect(status).toBe(0);
      expect(readFileSync(join(root, paths.token), 'utf8')).toBe(token);
      expect(written.filter((path) => !isRuntime(path)).sort()).toEqual(
        [join(root, `${paths.token}.new`), join(root, `${paths.serviceList}.new`)].sort(),
      );
      expect(read).toContain(join(root, key));
      for (const part of partsOf(token)) {
        // the one write of the token itself
        expect(mentions(part).map((line) => /\bwrite\(\d+, "ops_/.test(line))).toEqual([true]);
      }
      for (const part of keyParts(root, key)) expect(mentions(part)).toEqual([]);
    },
  );

  test('vault set and vault edit write the encrypted file, and what is edited into memory', () => {
    const root = hostWithKeys(['ed25519']);
    const vault = (input: string, env: NodeJS.ProcessEnv, ...args: string[]): Trace =>
      trace(['vault', ...args, '--root', root], input, env);
    vault('', {}, 'init');
    const value = 'S3CR3T-value-of-the-test';
    const set = vault(value, {}, 'set', 'op://v/i/f');
    expect(set.status).toBe(0);
    expect(set.mentions('S3CR3T')).toEqual([]);
    const allWritten = set.written.filter((path) => !isRuntime(path));
    expect(allWritten.every((path) => /\/\.vault\.age\.[0-9a-f]{12}\.new$/.test(path))).toBe(true);

    const edit = vault('', { EDITOR: 'sed -i s/value/VALUE/' }, 'edit');
    expect(edit.status).toBe(0);
    expect(openWithAge(root, '/etc/unit-secrets/vault.age').toString()).toContain('S3CR3T-VALUE');
    const outside = edit.written.filter(
      (path) => !isRuntime(path) && !/\/\.vault\.age\.[0-9a-f]{12}\.new$/.test(path),
    );
    expect(outside.every((path) => /^\/(?:dev\/shm|run)\/.*unit-secrets-edit-/.test(path))).toBe(true);
    expect(edit.mentions('S3CR3T').filter((line) => line.includes('execve'))).toEqual([]);
  });
});
