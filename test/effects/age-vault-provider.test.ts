import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Failure, FailureError } from '../../src/domain/failure.ts';
import { ageVaultProvider } from '../../src/effects/age-vault-provider.ts';

let directory: string;
let host: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'age-vault-'));
  host = sshKey('host', '-t', 'ed25519');
});

afterAll(() => rmSync(directory, { recursive: true }));

function sshKey(name: string, ...args: string[]): string {
  const path = join(directory, name);
  execFileSync('ssh-keygen', ['-q', '-N', '', '-f', path, ...args]);
  return path;
}

let files = 0;

/** A provider of a vault that age has encrypted for the host. */
function provider(plaintext: string | Uint8Array, ...args: string[]) {
  const path = join(directory, `vault-${files++}.age`);
  execFileSync('age', [...args, '-R', `${host}.pub`, '-o', path], { input: plaintext });
  return { path, ...ageVaultProvider({ path, identities: [host] }) };
}

async function failure(resolving: Promise<unknown>): Promise<Failure> {
  const outcome = await resolving.catch((error: unknown) => error);
  if (!(outcome instanceof FailureError)) throw new Error('no FailureError', { cause: outcome });
  expect(JSON.stringify(outcome.failure)).not.toContain('SECRET');
  return outcome.failure;
}

describe('a batch', () => {
  test('answers for every reference, each on its own', async () => {
    const vault = { Homelab: { Grafana: { password: 'a\n"$%\u0000ü', db: { user: 'b' } } } };
    const references = [
      'op://Homelab/Grafana/password',
      'op://homelab/grafana/DB/user',
      'op://Homelab/Grafana/pasword',
      'not a reference',
      'op://Homelab/Grafana/password',
    ];
    const resolutions = await provider(JSON.stringify(vault), '-a').resolve(references);
    const refusal = (message: string, hint?: string) => ({
      ok: false,
      failure: { class: 'permanent', exitCode: 65, message, ...(hint === undefined ? {} : { hint }) },
    });
    expect([...resolutions]).toEqual([
      [references[0], { ok: true, value: 'a\n"$%\u0000ü' }],
      [references[1], { ok: true, value: 'b' }],
      [
        references[2],
        refusal(
          '"op://Homelab/Grafana/pasword": no field of that name in the item',
          'did you mean "password"?',
        ),
      ],
      [references[3], refusal('"not a reference": a secret reference begins with "op://"')],
    ]);
  });

  test('reads the file anew each time', async () => {
    const one = provider('{"v": {"i": {"f": "old"}}}');
    expect((await one.resolve(['op://v/i/f'])).get('op://v/i/f')).toEqual({ ok: true, value: 'old' });
    writeFileSync(
      one.path,
      execFileSync('age', ['-R', `${host}.pub`], { input: '{"v": {"i": {"f": "new"}}}' }),
    );
    expect((await one.resolve(['op://v/i/f'])).get('op://v/i/f')).toEqual({ ok: true, value: 'new' });
  });
});

test('?ssh-format=openssh gives whatever ssh-keygen wrote, unchanged', async () => {
  const keys = [
    sshKey('ed25519', '-t', 'ed25519'),
    sshKey('ecdsa', '-t', 'ecdsa'),
    sshKey('rsa', '-t', 'rsa', '-b', '1024'),
    sshKey('passphrase', '-t', 'ed25519', '-N', 'phrase'),
  ].map((path) => readFileSync(path, 'utf8'));
  const items = Object.fromEntries(keys.map((key, index) => [`key${index}`, { 'private key': key }]));
  const references = keys.map((_, index) => `op://v/key${index}/private key?ssh-format=openssh`);
  const resolutions = await provider(JSON.stringify({ v: items })).resolve(references);
  expect([...resolutions.values()]).toEqual(keys.map((value) => ({ ok: true, value })));
});

describe('a vault that cannot be used rejects as a whole', () => {
  test('the JSON is damaged', async () => {
    const { path, resolve } = provider('{"v": {\n "i": "SECRET",, }');
    const { message, ...rest } = await failure(resolve(['op://v/i/f']));
    expect(rest).toEqual({ class: 'permanent', exitCode: 65 });
    expect(message).toContain(`${path}:2:16: not valid JSON: `);
  });

  test('its structure is wrong; only so many problems are told', async () => {
    const few = provider('{"v": {"i": {"f": 1}}}');
    expect((await failure(few.resolve([]))).message).toBe(
      `${few.path}:1:19: $.v.i.f: must be a string, or an object for a section, this is a number (put it in double quotes)`,
    );
    const many = provider(
      JSON.stringify({ v: Array.from({ length: 9 }, () => ({})), w: 'SECRET', x: 1, y: 2, z: 3, a: 4, b: 5 }),
    );
    expect((await failure(many.resolve([]))).message).toMatch(/; and 2 more$/);
  });

  test('it is not UTF-8', async () => {
    const { path, resolve } = provider(Buffer.from('{"v": "SECRET\xff"}', 'latin1'));
    expect(await failure(resolve([]))).toEqual({
      class: 'permanent',
      exitCode: 65,
      message: `${path}: its content is not valid UTF-8`,
    });
  });

  test('the file is missing, damaged, or the key is missing', async () => {
    const path = join(directory, 'nowhere.age');
    expect(await failure(ageVaultProvider({ path, identities: [host] }).resolve([]))).toMatchObject({
      exitCode: 66,
    });
    const vault = provider('{}');
    const withoutKey = ageVaultProvider({ path: vault.path, identities: [join(directory, 'nowhere')] });
    expect(await failure(withoutKey.resolve([]))).toMatchObject({ class: 'transient', exitCode: 66 });
    writeFileSync(vault.path, readFileSync(vault.path).subarray(0, -1));
    expect(await failure(vault.resolve([]))).toMatchObject({ class: 'permanent', exitCode: 65 });
  });
});
