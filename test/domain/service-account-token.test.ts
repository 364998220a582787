import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseServiceAccountToken } from '../../src/domain/service-account-token.ts';
import { newAccount, tokenOf } from '../emulator/token.ts';

const [account] = newAccount().serviceAccounts;
if (account === undefined) throw new Error('the emulator made no service account');
const token = tokenOf(account, 'https://example.1password.com');
const content = JSON.parse(Buffer.from(token.slice(4), 'base64url').toString('utf8')) as Record<
  string,
  unknown
>;
const encode = (value: unknown, alphabet: 'base64' | 'base64url' = 'base64url'): string =>
  `ops_${Buffer.from(JSON.stringify(value)).toString(alphabet)}`;

test('tells the address and the account, in either base64', () => {
  for (const text of [token, encode(content, 'base64'), encode({ ...content, throttleSecret: undefined })]) {
    expect(parseServiceAccountToken(text)).toEqual({
      ok: true,
      token: { signInAddress: 'https://example.1password.com', email: account?.email },
    });
  }
});

describe('refused', () => {
  test.each(['signInAddress', 'userAuth', 'email', 'srpX', 'muk', 'secretKey', 'deviceUuid'])(
    'without %s',
    (name) => {
      for (const value of [undefined, null, 1]) {
        expect(parseServiceAccountToken(encode({ ...content, [name]: value }))).toMatchObject({
          ok: false,
          message: `the service account token is damaged: it lacks ${name}`,
        });
      }
    },
  );

  test.each([
    ['', 'this is not a service account token'],
    ['eyJ', 'this is not a service account token'],
    [` ${token}`, 'this is not a service account token'],
    [`${token}\n`, 'the service account token is damaged: it is cut off or altered'],
    ['ops_', 'the service account token is damaged: it is cut off or altered'],
    ['ops_TOKEN', 'the service account token is damaged: it is cut off or altered'],
    [encode([]), 'the service account token is damaged: it lacks'],
    [encode('text'), 'the service account token is damaged: it is cut off'],
    [encode({ ...content, email: 'a\u001b[31mb' }), 'its address or account is unreadable'],
  ])('%j', (text, message) => {
    const result = parseServiceAccountToken(text);
    expect(result.ok ? '' : result.message).toContain(message);
  });

  test('cut off anywhere, and no message tells a part of it', () => {
    const secret = [String(content['srpX']), String(content['secretKey'])];
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.nat(token.length - 1), (from, length) => {
        const cut = token.slice(0, from) + token.slice(from + 1 + (length % 8));
        const result = parseServiceAccountToken(cut);
        if (result.ok) return;
        const text = `${result.message} ${result.hint}`;
        for (const part of secret) expect(text).not.toContain(part.slice(0, 8));
        expect(text).not.toContain(token.slice(4, 12));
      }),
    );
    for (let length = 0; length < token.length; length++) {
      expect(parseServiceAccountToken(token.slice(0, length)).ok).toBe(false);
    }
  });
});
