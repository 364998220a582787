import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { looksLikeRecipient, parseRecipientKey } from '../../src/domain/age-recipient.ts';
import { makeKey } from '../support/host-keys.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const native = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';

function refusal(line: string): string {
  const result = parseRecipientKey(line);
  return result.ok ? 'accepted' : result.message;
}

test('native recipients, and SSH keys with and without options', () => {
  const line = readFileSync(`${makeKey(join(temporaryDirectory(), 'key'))}.pub`, 'utf8').trim();
  expect(parseRecipientKey(` ${native}\r`)).toEqual({ ok: true, key: { kind: 'native', text: native } });
  for (const options of [
    '',
    'no-pty ',
    'command="a b \\" ssh-rsa AAAA",no-pty\t',
    'from="10.0.0.0/8",restrict ',
  ]) {
    expect(parseRecipientKey(options + line)).toMatchObject({ ok: true, key: { kind: 'ssh', text: line } });
  }
});

test('what cannot be one, without a word of what may be secret', () => {
  const directory = temporaryDirectory();
  execFileSync('ssh-keygen', ['-q', '-N', '', '-t', 'ecdsa', '-f', join(directory, 'ecdsa')]);
  const ecdsa = readFileSync(join(directory, 'ecdsa.pub'), 'utf8');
  expect(parseRecipientKey(ecdsa)).toMatchObject({ ok: false, otherSshType: true });
  for (const [line, message] of [
    [ecdsa, 'ecdsa-sha2-nistp256 keys cannot be recipients'],
    ['AGE-SECRET-KEY-1HIDDEN', 'this is a private key'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----', 'this is a private key'],
    ['age1pq1qqqq', 'recipients of this kind are not supported'],
    ['age1yubikey1qqqq', 'recipients of this kind are not supported'],
    ['ssh-ed25519 HIDDEN', 'the key is damaged'],
    ['HIDDEN', 'the key is not a public key of OpenSSH'],
    ['', 'the key is empty'],
  ] as const) {
    expect(refusal(line)).toContain(message);
    expect(refusal(line)).not.toContain('HIDDEN');
  }
});

test('a key on the command line is told from a file of keys', () => {
  for (const text of [native, 'ssh-ed25519 AAAA', 'ssh-rsa AAAA x', 'AGE-SECRET-KEY-1X']) {
    expect(looksLikeRecipient(text)).toBe(true);
  }
  for (const text of ['ssh-keys', './age1', 'keys/host.pub', 'ssh-ed25519'])
    expect(looksLikeRecipient(text)).toBe(false);
});
