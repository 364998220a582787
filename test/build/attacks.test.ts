/**
 * The program as root, or as the user whose home it is, in directories that somebody else changes all the time: an
 * unprivileged process that puts now this and now that in the place of what is read or written.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../support/temporary.ts';
import { makeHostKey, seal, vaultManifest } from '../systemd/machine.ts';
import { binary } from './binary.ts';

const program = await binary();
const attacker = 65533;
const asAttacker = ['setpriv', `--reuid=${attacker}`, `--regid=${attacker}`, '--clear-groups', '--'] as const;
const secret = 's3nt1nel-of-root';

/**
 * Lets the attacker put each of these in the place of a path, in turn, as quickly as it can: `file:TEXT`, `fifo`,
 * `link:TARGET`, `directory`. Gives a check that it still does.
 */
async function swap(path: string, ...kinds: readonly string[]): Promise<() => void> {
  const script = `
import os, random, shutil, sys, time
path, kinds = sys.argv[1], sys.argv[2:]
print("ready", flush=True)
while True:
    for kind in kinds:
        time.sleep(random.random() / 500)
        what, _, rest = kind.partition(":")
        try:
            if os.path.isdir(path) and not os.path.islink(path): shutil.rmtree(path, ignore_errors=True)
            if what == "directory":
                if os.path.lexists(path): os.unlink(path)
                os.mkdir(path, 0o700)
                continue
            name = path + ".next"
            if os.path.lexists(name): os.unlink(name)
            if what == "file": open(name, "w").write(rest)
            elif what == "fifo": os.mkfifo(name)
            else: os.symlink(rest, name)
            os.rename(name, path)
        except OSError:
            # whom it attacks was quicker
            pass
`;
  const child: ChildProcess = spawn(
    asAttacker[0],
    [...asAttacker.slice(1), '/usr/bin/python3', '-c', script, path, ...kinds],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  onTestFinished(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const ready = child.stdout ? once(child.stdout, 'data') : undefined;
  await Promise.race([
    ready,
    once(child, 'exit').then(() => Promise.reject(new Error('the attacker ended'))),
  ]);
  return () =>
    expect({ status: child.exitCode, signal: child.signalCode }).toEqual({ status: null, signal: null });
}

/** A directory of root's that all may enter, with one of the attacker's in it. */
function place(): { readonly root: string; readonly theirs: string } {
  const root = temporaryDirectory();
  chmodSync(root, 0o755);
  const theirs = join(root, 'theirs');
  mkdirSync(theirs);
  chownSync(theirs, attacker, attacker);
  writeFileSync(join(root, 'private'), `${secret}\n`, { mode: 0o600 });
  return { root, theirs };
}

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return spawnSync(program, args, {
    encoding: 'utf8',
    timeout: 15_000,
    killSignal: 'SIGKILL',
    env: { PATH: process.env['PATH'], ...env },
  });
}

/** The same, with 20 ms between what is asked of the file system before a path is opened and that: enough for an attacker. */
function runSlowly(path: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  const slow = [
    '-f',
    '-o',
    '/dev/null',
    '-P',
    path,
    '-e',
    'trace=openat',
    '-e',
    'inject=openat:delay_enter=20000',
  ];
  // what strace traces is not ended with it
  return spawnSync('strace', [...slow, 'timeout', '--signal=KILL', '10', program, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...env },
  });
}

/** Everything that is in files below a directory. */
const textBelow = (directory: string): string =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');

describe('a manifest in a directory that somebody else owns', () => {
  test('never holds up the generator, whatever it is just then', async () => {
    const { root, theirs } = place();
    mkdirSync(join(root, 'etc'));
    symlinkSync(theirs, join(root, 'etc/unit-secrets'));
    const good = JSON.stringify({ version: 1, services: { app: { environment: { A: 'op://a/b/c' } } } });
    const expectAttacker = await swap(
      join(theirs, 'manifest.json'),
      `file:${good}`,
      'fifo',
      `link:${root}/private`,
      'directory',
    );
    const outcomes = new Set<string>();
    for (let turn = 0; turn < 40; turn++) {
      const output = join(root, `out${turn}`);
      const manifest = join(root, 'etc/unit-secrets/manifest.json');
      const { status, stderr } = runSlowly(manifest, [output], { UNIT_SECRETS_ROOT: root });
      expect([0, 1], `turn ${turn}`).toContain(status);
      outcomes.add(`${status} ${existsSync(join(output, 'app-secrets.service'))}`);
      expect(stderr).not.toContain(secret);
      if (existsSync(output)) expect(textBelow(output)).not.toContain(secret);
    }
    expectAttacker();
    // it did meet both
    expect([...outcomes].some((one) => one.startsWith('1 '))).toBe(true);
    expect(outcomes).toContain('0 true');
  }, 60_000);

  test('of many gigabytes is an error, and not read', () => {
    const { root } = place();
    mkdirSync(join(root, 'etc/unit-secrets'), { recursive: true });
    execFileSync('truncate', ['--size=20G', join(root, 'etc/unit-secrets/manifest.json')]);
    const { status } = run([join(root, 'out')], { UNIT_SECRETS_ROOT: root });
    expect(status).toBe(1);
    expect(textBelow(join(root, 'out'))).toContain('is larger than 16 MiB');
  });
});

describe('a template in a directory that somebody else owns', () => {
  /** A service with one template, as the generator leaves it, with the set that it had first. */
  function serviceWith(root: string, template: string): void {
    const key = makeHostKey();
    mkdirSync(join(root, 'etc/unit-secrets'), { recursive: true });
    mkdirSync(join(root, 'etc/ssh'));
    writeFileSync(join(root, 'etc/ssh/ssh_host_ed25519_key'), key.privateKey, { mode: 0o600 });
    writeFileSync(join(root, 'etc/unit-secrets/vault.age'), seal('{"V":{"I":{"f":"value"}}}', key));
    const provider = {
      type: 'age-vault',
      path: '/etc/unit-secrets/vault.age',
      identity: '/etc/ssh/ssh_host_ed25519_key',
    };
    const app = { environment: { A: 'op://V/I/f' }, configs: { 'app.conf': { template } } };
    writeFileSync(join(root, 'etc/unit-secrets/manifest.json'), vaultManifest({ app }, { provider }));
    const { status, stderr } = run([join(root, 'run/systemd/generator')], { UNIT_SECRETS_ROOT: root });
    expect(status, stderr).toBe(0);
    for (const kind of ['secrets', 'config'])
      mkdirSync(join(root, 'run/unit-secrets', kind, 'app'), { recursive: true });
  }
  // these take no option, and a root of their own only from the long form
  const fetchAndRender = (root: string) =>
    ['fetch', 'render'].map((command) => run([command, 'app', '--root', root]));

  test('is not a way to files of root that it links to', async () => {
    const { root, theirs } = place();
    symlinkSync(join(root, 'private'), join(theirs, 'app.conf'));
    serviceWith(root, '/theirs/app.conf');
    const [fetched] = fetchAndRender(root);
    expect(fetched?.status).toBe(77);
    expect(fetched?.stderr).toContain(
      'only root may read this file, and others can change what is at its path',
    );
    expect(textBelow(join(root, 'run/unit-secrets/config'))).not.toContain(secret);
    // where nobody else can write, such a file is a template like any other
    const own = mkdtempSync(join(homedir(), 'unit-secrets-test-'));
    onTestFinished(() => rmSync(own, { recursive: true }));
    writeFileSync(join(own, 'app.conf'), 'a=${A}\n', { mode: 0o600 });
    serviceWith(own, '/app.conf');
    expect(fetchAndRender(own).map(({ status }) => status)).toEqual([0, 0]);
  });

  test('never leaks them or hangs while it changes', async () => {
    const { root, theirs } = place();
    writeFileSync(join(theirs, 'app.conf'), 'a=${A}\n');
    serviceWith(root, '/theirs/app.conf');
    const expectAttacker = await swap(
      join(theirs, 'app.conf'),
      'file:a=${A}\n',
      `link:${root}/private`,
      'fifo',
    );
    let good = 0;
    let bad = 0;
    // until it has met both
    const deadline = performance.now() + 45_000;
    for (let turn = 0; turn < 15 || (good === 0 && performance.now() < deadline); turn++) {
      for (const { signal, status, stderr } of fetchAndRender(root)) {
        expect(signal, `turn ${turn}`).toBe(null);
        expect(stderr).not.toContain(secret);
        if (status === 0) good++;
        else bad++;
      }
      expect(textBelow(join(root, 'run/unit-secrets/config'))).not.toContain(secret);
    }
    expectAttacker();
    expect(Math.min(good, bad)).toBeGreaterThan(0);
  }, 60_000);
});

describe('the home of a user', () => {
  test('whose .ssh is a link to root’s now and then does not change anything there', async () => {
    const { root, theirs } = place();
    const roots = join(root, 'roots-ssh');
    mkdirSync(roots, { mode: 0o700 });
    writeFileSync(join(roots, 'authorized_keys'), 'ssh-ed25519 AAAA root\n', { mode: 0o600 });
    // one that all may write to, so that nothing but the program itself would be in the way
    const open = join(root, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    const credentials = join(root, 'credentials');
    mkdirSync(credentials);
    execFileSync('ssh-keygen', ['-q', '-N', '', '-t', 'ed25519', '-f', join(credentials, 'private-key')]);
    execFileSync('rm', [join(credentials, 'private-key.pub')]);
    chownSync(join(credentials, 'private-key'), attacker, attacker);
    const expectAttacker = await swap(join(theirs, '.ssh'), 'directory', `link:${roots}`, `link:${open}`);
    const before = `${readdirSync(roots)} ${textBelow(roots)} ${statSync(roots).mode}`;
    for (let turn = 0; turn < 40; turn++) {
      const { signal } = spawnSync(
        asAttacker[0],
        [...asAttacker.slice(1), program, 'install-keys', '--authorize', 'somebody'],
        {
          timeout: 15_000,
          killSignal: 'SIGKILL',
          env: { HOME: theirs, CREDENTIALS_DIRECTORY: credentials },
        },
      );
      expect(signal, `turn ${turn}`).toBe(null);
    }
    expectAttacker();
    expect(`${readdirSync(roots)} ${textBelow(roots)} ${statSync(roots).mode}`).toBe(before);
  }, 60_000);

  test('is not where root edits a vault, though XDG_RUNTIME_DIR says so', () => {
    const { root } = place();
    const theirs = execFileSync('mktemp', ['--directory', '/dev/shm/unit-secrets-test-XXXXXX'], {
      encoding: 'utf8',
    }).trim();
    onTestFinished(() => {
      execFileSync('rm', ['-r', theirs]);
    });
    chownSync(theirs, attacker, attacker);
    const key = makeHostKey();
    writeFileSync(join(root, 'key'), key.privateKey, { mode: 0o600 });
    writeFileSync(join(root, 'vault.age'), seal('{"V":{"I":{"f":"value"}}}', key));
    const editor = join(root, 'editor');
    writeFileSync(editor, `#!/bin/sh\necho "$1" >${root}/edited\n`, { mode: 0o755 });
    const { status, stderr } = run(
      ['vault', 'edit', '--vault', join(root, 'vault.age'), '--identity', join(root, 'key')],
      { EDITOR: editor, XDG_RUNTIME_DIR: theirs },
    );
    expect(status, stderr).toBe(0);
    const edited = readFileSync(join(root, 'edited'), 'utf8');
    expect(edited).toMatch(/^\/(dev\/shm|run)\/unit-secrets-edit-/);
    expect(existsSync(edited.trim())).toBe(false);
  });
});

describe('hostile arguments and variables', () => {
  test('of the environment do not change what a fetch does', () => {
    const { root, theirs } = place();
    mkdirSync(join(root, 'run/systemd/generator'), { recursive: true });
    writeFileSync(join(root, 'run/systemd/generator/app-secrets.service'), '[Unit]\n');
    const plain = run(['fetch', 'app', '--root', root]);
    expect(plain.status).toBe(78);
    const { status, stderr } = run(['fetch', 'app', '--root', root], {
      UNIT_SECRETS_ROOT: theirs,
      UNIT_SECRETS_DIRECTORY: theirs,
      BUN_OPTIONS: `--preload ${theirs}/evil.js`,
      BUN_BE_BUN: '1',
      NODE_OPTIONS: `--require ${theirs}/evil.js`,
    });
    expect({ status, stderr }).toEqual({ status: plain.status, stderr: plain.stderr });
  }, 60_000);

  test.each([
    ['../../etc/passwd'],
    ['-h/../x'],
    ['a/b'],
    [`${'a'.repeat(300)}`],
    ['a\nb'],
    ['%i'],
    ['unit-secrets-token'],
  ])('%j is no service', (name) => {
    for (const command of ['fetch', 'render']) expect(run([command, '--', name]).status).toBe(64);
  });
});
