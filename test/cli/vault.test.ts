import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { binary } from '../build/binary.ts';
import { type Outcome, runnerOf } from '../support/command.ts';
import { ed25519Path, hostWithKeys, makeKey, openWithAge, rsaPath } from '../support/host-keys.ts';
import { manifestPath } from '../support/manifests.ts';
import { modeOf, temporaryDirectory } from '../support/temporary.ts';

// what people run, and much quicker than from source
const program = await binary();
const unitSecrets = runnerOf(program);

const vaultFile = '/etc/unit-secrets/vault.age';

const vault = (root: string, ...args: string[]): Outcome => unitSecrets(['vault', ...args, '--root', root]);
const set = (root: string, reference: string, input: string, ...args: string[]): Outcome =>
  unitSecrets(['vault', 'set', reference, '--root', root, ...args], { input });
const get = (root: string, reference: string): string => {
  const { exitCode, stdout } = vault(root, 'get', '-n', reference);
  return exitCode === 0 ? stdout : `exit code ${exitCode}`;
};
const ok: Outcome = { exitCode: 0, stdout: '', stderr: expect.any(String) as string };

/** The plaintext, by the real age. */
const content = (root: string, key = join(root, ed25519Path)): Record<string, unknown> =>
  JSON.parse(openWithAge(root, vaultFile, key).toString('utf8')) as Record<string, unknown>;
const stanzasOf = (root: string): string[] =>
  [
    ...readFileSync(join(root, vaultFile))
      .toString('latin1')
      .matchAll(/^-> (\S+)/gm),
  ].map(([, type]) => type ?? '');
const publicKey = (path: string): string => readFileSync(`${path}.pub`, 'utf8').trim();

/** A vault that age has made: it does not name its recipients. */
function sealByHand(root: string, value: object, ...recipients: string[]): void {
  const options = recipients.flatMap((path) =>
    path.startsWith('age1') ? ['-r', path] : ['-R', `${path}.pub`],
  );
  rmSync(join(root, vaultFile), { force: true });
  execFileSync('age', [...options, '-o', join(root, vaultFile)], { input: JSON.stringify(value) });
}

describe('a vault', () => {
  test('is made, filled, read, listed and emptied', () => {
    const root = hostWithKeys();
    expect(vault(root, 'init')).toEqual(ok);
    expect(modeOf(join(root, vaultFile))).toBe('0600');
    expect(stanzasOf(root)).toEqual(['ssh-ed25519', 'ssh-rsa']);
    expect(vault(root, 'list')).toEqual({ exitCode: 0, stdout: '', stderr: '' });

    expect(set(root, 'op://Home/Grafana/password', 'p$ss "word"\n').stderr).toBe(
      'added op://Home/Grafana/password\n',
    );
    expect(set(root, 'op://Home/Grafana/db/user', 'me').stderr).toBe('added op://Home/Grafana/db/user\n');
    expect(set(root, 'op://home/grafana/PASSWORD', 'new').stderr).toBe(
      'replaced op://home/grafana/PASSWORD\n',
    );
    expect(set(root, 'op://Home/grafana/user', 'you').stderr).toBe('replaced op://Home/grafana/user\n');
    expect(set(root, 'op://Home/grafana/user', 'you').stderr).toBe(
      'op://Home/grafana/user has that value already\n',
    );
    const expected = { Home: { Grafana: { password: 'new', db: { user: 'you' } } } };
    for (const key of [ed25519Path, rsaPath]) expect(content(root, join(root, key))).toMatchObject(expected);
    expect(vault(root, 'list').stdout).toBe('op://Home/Grafana/password\nop://Home/Grafana/db/user\n');
    expect(JSON.parse(vault(root, 'list', '--json').stdout)).toEqual([
      'op://Home/Grafana/password',
      'op://Home/Grafana/db/user',
    ]);
    expect(vault(root, 'get', 'op://home/grafana/password')).toEqual({
      exitCode: 0,
      stdout: 'new\n',
      stderr: '',
    });
    expect(get(root, 'op://Home/Grafana/user')).toBe('you');

    expect(vault(root, 'rm', 'op://Home/Grafana/DB/user').stderr).toBe('removed op://Home/Grafana/DB/user\n');
    expect(content(root)).toMatchObject({ Home: { Grafana: { password: 'new' } } });
    expect(vault(root, 'rm', 'op://Home/Grafana/password')).toEqual(ok);
    expect(Object.keys(content(root))).toEqual(['$recipients']);
    expect(readdirSync(join(root, '/etc/unit-secrets'))).toEqual(['vault.age']);
  });

  test.each([
    ['one line', 'value\n', 'value'],
    ['one line with CRLF', 'value\r\n', 'value'],
    ['no newline', 'value', 'value'],
    ['nothing', '', ''],
    ['an empty line', '\n', ''],
    ['blanks', '  value  \n', '  value  '],
    ['two newlines', 'value\n\n', 'value\n\n'],
    ['a key', '-----BEGIN X-----\nabc\n-----END X-----\n', '-----BEGIN X-----\nabc\n-----END X-----\n'],
    ['anything', '\u{1f511} "\\$%\t\u0001', '\u{1f511} "\\$%\t\u0001'],
  ])('keeps what standard input gives, but for the newline of a single line: %s', (_, input, value) => {
    const root = hostWithKeys(['ed25519']);
    vault(root, 'init');
    expect(set(root, 'op://v/i/f', input)).toEqual(ok);
    expect(get(root, 'op://v/i/f')).toBe(value);
  });

  test('nothing is set where nobody is there to enter it', () => {
    const root = hostWithKeys(['ed25519']);
    vault(root, 'init');
    const args = ['vault', 'set', 'op://v/i/f', '--root', root];
    const { status, stderr } = spawnSync(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({
      status: exitCodes.dataError,
      stderr: 'nothing was entered; nothing was changed\n',
    });
  });

  test('is not made twice, and not changed by what cannot be', () => {
    const root = hostWithKeys(['ed25519']);
    expect(set(root, 'op://v/i/f', 'x')).toMatchObject({
      exitCode: exitCodes.noInput,
      stderr: `${join(root, vaultFile)}: does not exist (restore it, from git for instance; "unit-secrets vault init" makes a new one)\n`,
    });
    vault(root, 'init');
    set(root, 'op://v/i/f', 'Hunter2');
    set(root, 'op://v/i/s/g', 'Hunter3');
    const before = readFileSync(join(root, vaultFile));
    expect(vault(root, 'init')).toMatchObject({ exitCode: exitCodes.cannotCreate });
    for (const [outcome, message] of [
      [set(root, 'op://v/i/f', 'a\0b'), 'the value has a NUL'],
      [set(root, 'v/i/f', 'x'), 'a secret reference begins with "op://"'],
      [set(root, 'op://v/i/s', 'x'), 'it is the name of a section'],
      [set(root, 'op://v/i/F/g', 'x'), 'the item has a field with the name of that section'],
      [set(root, 'op://v/i/f?attribute=otp', 'x'), 'leave out "?attribute=otp"'],
      [vault(root, 'rm', 'op://v/i/ff'), 'no field of that name in the item (did you mean "f"?)'],
      [vault(root, 'rm', 'op://v/i'), 'three or four parts'],
    ] as const) {
      expect(outcome.exitCode).toBe(exitCodes.dataError);
      expect(outcome.stderr).toContain(message);
      expect(outcome.stderr).not.toContain('Hunter');
    }
    expect(readFileSync(join(root, vaultFile)).equals(before)).toBe(true);
  });

  test('is found where the manifest says, or where the command line does, with a key of a person', () => {
    const root = hostWithKeys(['ed25519']);
    mkdirSync(join(root, 'srv'));
    const provider = { type: 'age-vault', path: '/srv/my.age', identity: '/srv/key' };
    writeFileSync(join(root, manifestPath), JSON.stringify({ version: 1, provider, services: {} }));
    makeKey(join(root, 'srv/key'));
    expect(vault(root, 'init')).toEqual(ok);
    expect(set(root, 'op://v/i/f', 'x')).toEqual(ok);
    expect(openWithAge(root, '/srv/my.age', join(root, 'srv/key')).toString()).toContain('"f": "x"');

    const mine = makeKey(join(temporaryDirectory(), 'id_rsa'), 'rsa');
    const path = join(temporaryDirectory(), 'mine.age');
    const options = ['--vault', path, '--identity', mine];
    expect(
      unitSecrets(['vault', 'init', '--no-host', '--recipient', `${mine}.pub`, '--armor', ...options]),
    ).toEqual(ok);
    expect(unitSecrets(['vault', 'set', 'op://v/i/f', ...options], { input: 'y' })).toEqual(ok);
    expect(readFileSync(path, 'utf8')).toMatch(/^-----BEGIN AGE/);
    expect(unitSecrets(['vault', 'get', 'op://v/i/f', ...options]).stdout).toBe('y\n');
    expect(unitSecrets(['read', 'op://v/i/f', ...options]).stdout).toBe('y\n');
    expect(unitSecrets(['read', '-n', 'op://v/i/f', '--root', root]).stdout).toBe('x');
  });

  test('keeps its owner, its mode and a link to it', () => {
    const root = hostWithKeys(['ed25519']);
    vault(root, 'init');
    const real = join(root, 'checkout.age');
    writeFileSync(real, readFileSync(join(root, vaultFile)));
    chmodSync(real, 0o644);
    if (process.geteuid?.() === 0) execFileSync('chown', ['1234:1235', real]);
    rmSync(join(root, vaultFile));
    symlinkSync(real, join(root, vaultFile));
    expect(set(root, 'op://v/i/f', 'x')).toEqual(ok);
    expect(realpathSync(join(root, vaultFile))).toBe(realpathSync(real));
    expect(modeOf(real)).toBe('0644');
    if (process.geteuid?.() === 0)
      expect(execFileSync('stat', ['-c', '%u:%g', real], { encoding: 'utf8' })).toBe('1234:1235\n');
    expect(get(root, 'op://v/i/f')).toBe('x');
  });
});

describe('recipients', () => {
  test('are kept when it is written again, additional ones too, and armor is', () => {
    const root = hostWithKeys(['ed25519']);
    const admin = makeKey(join(temporaryDirectory(), 'admin'));
    vault(root, 'init', '--recipient', publicKey(admin), '--armor');
    const other = makeKey(join(temporaryDirectory(), 'other'), 'rsa');
    set(root, 'op://v/i/f', 'x');
    expect(set(root, 'op://v/i/f', 'x', '--recipient', `${other}.pub`)).toEqual(ok);
    set(root, 'op://v/i/g', 'y');
    for (const key of [admin, other, join(root, ed25519Path)]) {
      expect(content(root, key)).toMatchObject({ v: { i: { f: 'x', g: 'y' } } });
    }
    expect(readFileSync(join(root, vaultFile), 'utf8')).toMatch(/^-----BEGIN AGE/);
    expect(content(root)['$recipients']).toEqual([join(root, ed25519Path), admin, other].map(publicKey));
  });

  test('of a vault that age made are found where they are the keys of this host', () => {
    const root = hostWithKeys();
    sealByHand(root, { v: { i: { f: 'x' } } }, join(root, rsaPath));
    expect(set(root, 'op://v/i/g', 'y')).toEqual(ok);
    expect(stanzasOf(root)).toEqual(['ssh-rsa']);
    expect(content(root, join(root, rsaPath))).toEqual({
      $recipients: [publicKey(join(root, rsaPath))],
      v: { i: { f: 'x', g: 'y' } },
    });
  });

  test('of a vault that age made are not lost where they are others: they have to be named', () => {
    const root = hostWithKeys(['ed25519']);
    const admin = makeKey(join(temporaryDirectory(), 'admin'), 'rsa');
    const identity = join(temporaryDirectory(), 'key.txt');
    execFileSync('age-keygen', ['-o', identity], { stdio: 'ignore' });
    const native = execFileSync('age-keygen', ['-y', identity], { encoding: 'utf8' }).trim();
    sealByHand(root, { v: { i: { f: 'x' } } }, join(root, ed25519Path), admin, native);
    const before = readFileSync(join(root, vaultFile));
    const refused = set(root, 'op://v/i/g', 'y', '--recipient', native);
    expect(refused.exitCode).toBe(exitCodes.configuration);
    expect(refused.stderr).toMatch(
      /: is encrypted for ssh-rsa \(tag \S+\) too, whose public key it does not name \(name it with --recipient, so that it is kept; or leave it out for good with "vault edit"\)\n$/,
    );
    expect(readFileSync(join(root, vaultFile)).equals(before)).toBe(true);
    expect(set(root, 'op://v/i/g', 'y', '--recipient', native, '--recipient', `${admin}.pub`)).toEqual(ok);
    expect(set(root, 'op://v/i/h', 'z')).toEqual(ok);
    for (const key of [admin, identity]) {
      expect(content(root, key)).toMatchObject({ v: { i: { g: 'y', h: 'z' } } });
      expect(vault(root, 'get', 'op://v/i/h', '--identity', key).stdout).toBe('z\n');
    }
  });

  test('that somebody took away by hand do not come back', () => {
    const root = hostWithKeys(['ed25519']);
    const gone = makeKey(join(temporaryDirectory(), 'gone'));
    vault(root, 'init', '--recipient', publicKey(gone));
    sealByHand(root, content(root), join(root, ed25519Path));
    const { exitCode, stderr } = set(root, 'op://v/i/f', 'x');
    expect(exitCode).toBe(exitCodes.configuration);
    expect(stderr).toMatch(/names ssh-ed25519 \(tag \S+\) in "\$recipients", and is not encrypted for that/);
  });

  test('nor do native ones, of which only the number can be told', () => {
    const root = hostWithKeys(['ed25519']);
    const [kept, gone] = ['kept', 'gone'].map((name) => {
      const path = join(root, name);
      execFileSync('age-keygen', ['-o', path], { stdio: 'ignore' });
      return execFileSync('age-keygen', ['-y', path], { encoding: 'utf8' }).trim();
    }) as [string, string];
    vault(root, 'init', '--recipient', kept, '--recipient', gone);
    expect(set(root, 'op://v/i/f', 'x')).toEqual(ok);
    sealByHand(root, content(root), join(root, ed25519Path), kept);
    const { exitCode, stderr } = set(root, 'op://v/i/f', 'y');
    expect(exitCode).toBe(exitCodes.configuration);
    expect(stderr).toContain(`names ${kept}, ${gone} in "$recipients", and is not encrypted for that`);
  });

  test('are given and taken away with edit', () => {
    const root = hostWithKeys(['ed25519']);
    const admin = makeKey(join(temporaryDirectory(), 'admin'));
    const edit = (script: string, ...args: string[]): Outcome =>
      unitSecrets(['vault', 'edit', '--root', root, ...args], { env: { EDITOR: script } });
    vault(root, 'init');
    expect(edit('true').stderr).toBe('nothing was changed\n');
    expect(edit('true', '--recipient', `${admin}.pub`)).toEqual(ok);
    expect(stanzasOf(root)).toEqual(['ssh-ed25519', 'ssh-ed25519']);
    const [, other] = publicKey(admin).split(' ');
    expect(edit(`sed -i -e '/${other?.slice(-20).replaceAll('/', '\\/')}/d' -e 's/,$//'`)).toEqual(ok);
    expect(stanzasOf(root)).toEqual(['ssh-ed25519']);
    expect(edit(`sed -i '/ssh-/d'`)).toMatchObject({
      exitCode: exitCodes.dataError,
      stderr:
        'vault.json: "$recipients" names nobody, who could open it? (nothing was changed; on a terminal you are asked to edit it again)\n',
    });
    expect(stanzasOf(root)).toEqual(['ssh-ed25519']);
  });
});

test('a value that is there already, for one recipient more, is encrypted anew and says so', () => {
  const root = hostWithKeys(['ed25519']);
  const admin = makeKey(join(temporaryDirectory(), 'admin'));
  vault(root, 'init');
  set(root, 'op://v/i/f', 'x');
  const { exitCode, stderr } = set(root, 'op://v/i/f', 'x', '--recipient', `${admin}.pub`);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringMatching(
      /^op:\/\/v\/i\/f has that value already\nthe vault can be opened by ssh-ed25519 \(tag \S{6}\), ssh-ed25519 \(tag \S{6}\)\n$/,
    ) as string,
  });
  expect(stanzasOf(root)).toEqual(['ssh-ed25519', 'ssh-ed25519']);
});

test('init for nobody asks for a recipient, not for host keys', () => {
  const root = hostWithKeys(['ed25519']);
  expect(vault(root, 'init', '--no-host')).toEqual({
    exitCode: exitCodes.usage,
    stdout: '',
    stderr:
      "--no-host: without this host's own keys nobody is left to encrypt for (name a public key with --recipient)\n",
  });
});

describe('edit', () => {
  /** An editor that is a script; it gets the file's path as $1. */
  function editor(script: string): NodeJS.ProcessEnv {
    const path = join(temporaryDirectory(), 'editor');
    writeFileSync(path, `#!/bin/bash\nset -e\n${script}\n`, { mode: 0o755 });
    return { EDITOR: path };
  }
  const edit = (root: string, script: string): Outcome =>
    unitSecrets(['vault', 'edit', '--root', root], { env: editor(script) });
  const leftovers = (): string[] =>
    ['/dev/shm', '/run'].flatMap((directory) =>
      readdirSync(directory).filter((name) => name.startsWith('unit-secrets-edit-')),
    );

  test('hands over the whole vault in memory, for root alone, and takes what was saved', () => {
    const root = hostWithKeys(['ed25519']);
    vault(root, 'init');
    set(root, 'op://v/i/f', 'old');
    const seen = join(temporaryDirectory(), 'seen');
    const outcome = edit(
      root,
      `stat -c '%a %n' "$1" "$(dirname "$1")" > ${seen}; stat -f -c %T "$1" >> ${seen}; echo "$TMPDIR" >> ${seen}
       tr '\\0' ' ' < /proc/$PPID/cmdline >> ${seen}; sed -i s/old/new/ "$1"`,
    );
    expect(outcome).toEqual(ok);
    expect(get(root, 'op://v/i/f')).toBe('new');
    const [file, directory, type, temporary] = readFileSync(seen, 'utf8').split('\n');
    expect(file).toMatch(/^600 \/(?:dev\/shm|run).*\/vault\.json$/);
    expect(directory).toBe(`700 ${temporary}`);
    expect(type).toBe('tmpfs');
    expect(existsSync(temporary ?? '')).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  test('changes nothing where the editor fails or what it leaves is no vault', () => {
    const root = hostWithKeys(['ed25519']);
    vault(root, 'init');
    set(root, 'op://v/i/f', 'Hunter2');
    const before = readFileSync(join(root, vaultFile));
    expect(
      unitSecrets(['vault', 'edit', '--root', root], { env: { EDITOR: '/nowhere/editor' } }),
    ).toMatchObject({
      exitCode: exitCodes.configuration,
      stderr: expect.stringContaining('/nowhere/editor: the editor ended with exit code 127'),
    });
    expect(edit(root, 'exit 1').exitCode).toBe(exitCodes.problems);
    for (const [script, message] of [
      ['exit 3', 'the editor ended with exit code 3'],
      ['kill -9 $$', 'the editor ended with exit code 137'],
      ['rm "$1"', 'the editor left no file'],
      [': > "$1"', 'vault.json:1:1: not valid JSON: the file is empty'],
      [`sed -i 's/"Hunter2"/4711/' "$1"`, '$.v.i.f: must be a string, or an object for a section'],
    ] as const) {
      const { exitCode, stderr } = edit(root, script);
      expect(exitCode).not.toBe(0);
      expect(stderr).toContain(message);
      expect(stderr).not.toContain('Hunter2');
      expect(stderr).not.toContain('bug');
      if (message.includes('must') || message.includes('JSON'))
        expect(stderr).toContain('(nothing was changed; ');
    }
    expect(readFileSync(join(root, vaultFile)).equals(before)).toBe(true);
    expect(leftovers()).toEqual([]);
    expect(readdirSync(join(root, '/etc/unit-secrets'))).toEqual(['vault.age']);
  });

  test('does not overwrite what came from git meanwhile, and keeps what was edited in memory', () => {
    const root = hostWithKeys(['ed25519']);
    vault(root, 'init');
    set(root, 'op://v/i/f', 'old');
    const pulled = join(root, 'pulled.age');
    execFileSync('age', ['-R', join(root, `${ed25519Path}.pub`), '-o', pulled], { input: '{"theirs": {}}' });
    const { exitCode, stderr } = edit(root, `cp ${pulled} ${join(root, vaultFile)}; sed -i s/old/new/ "$1"`);
    expect(exitCode).toBe(exitCodes.temporaryFailure);
    expect(stderr).toMatch(/the file was changed by somebody else meanwhile; it is left as it is now/);
    expect(content(root)).toEqual({ theirs: {} });
    const kept = /kept in memory, in (\S+);/.exec(stderr)?.[1] ?? '';
    expect(readFileSync(kept, 'utf8')).toContain('"f": "new"');
    expect(modeOf(kept)).toBe('0600');
    rmSync(join(kept, '..'), { recursive: true });
  });

  test('keeps others from changing it, who say so', async () => {
    const root = hostWithKeys(['ed25519']);
    vault(root, 'init');
    const go = join(root, 'go');
    execFileSync('mkfifo', [go]);
    const editing = spawn(program, ['vault', 'edit', '--root', root], {
      env: {
        PATH: process.env['PATH'],
        ...editor(`echo > ${go}; cat ${go} > /dev/null; sed -i 's/^}/,"v":{}}/' "$1"`),
      },
      stdio: 'ignore',
    });
    // returns when the editor is there
    execFileSync('cat', [go]);
    const { exitCode, stderr } = set(root, 'op://v/i/f', 'x');
    expect(exitCode).toBe(exitCodes.temporaryFailure);
    expect(stderr).toContain(`is being changed by somebody else (they hold ${join(root, vaultFile)}.lock)`);
    const ended = once(editing, 'exit');
    writeFileSync(go, '\n');
    expect(await ended).toEqual([0, null]);
    expect(set(root, 'op://v/i/f', 'x')).toEqual(ok);
  });
});

test('many who set something at the same time lose nothing', async () => {
  const root = hostWithKeys(['ed25519']);
  vault(root, 'init');
  const outcomes = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => {
      const child = spawn(program, ['vault', 'set', `op://v/i/f${index}`, '--root', root], {
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      child.stdin.end(`value ${index}`);
      return (await once(child, 'exit'))[0] as number;
    }),
  );
  const fields = (content(root)['v'] as { i: Record<string, string> } | undefined)?.i ?? {};
  for (const [index, exitCode] of outcomes.entries()) {
    // one that waited for too long says so
    expect([0, exitCodes.temporaryFailure]).toContain(exitCode);
    expect(fields[`f${index}`]).toBe(exitCode === 0 ? `value ${index}` : undefined);
  }
  expect(outcomes.filter((code) => code === 0).length).toBeGreaterThan(1);
});

test('a vault of 1,000 items opens in no time', () => {
  const root = hostWithKeys(['ed25519']);
  const items = Array.from({ length: 1000 }, (_, index) => [
    `Item ${index}`,
    {
      user: `u${index}`,
      password: 'p'.repeat(32),
      db: { url: 'postgres://'.repeat(3), token: 't'.repeat(40) },
    },
  ]);
  sealByHand(root, { Home: Object.fromEntries(items) }, join(root, ed25519Path));
  const few = vaultSeconds(root, 'op://home/item 5/password');
  sealByHand(root, { Home: Object.fromEntries(items.slice(0, 10)) }, join(root, ed25519Path));
  // generous: that nothing is quadratic
  expect(few).toBeLessThan(vaultSeconds(root, 'op://home/item 5/password') + 2);
});

function vaultSeconds(root: string, reference: string): number {
  const started = performance.now();
  expect(get(root, reference)).toBe('p'.repeat(32));
  return (performance.now() - started) / 1000;
}
