import { expect, test } from 'vitest';
import { fromB64u, sha256 } from './bytes.ts';
import {
  clientPublic,
  clientSessionKey,
  clientVerifyHash,
  type Exchange,
  identityOf,
  k,
  macKeyOf,
  pad,
  requestMac,
  scramblerOf,
  serverPublic,
  serverSessionKey,
  serverVerifyHash,
  verifierOf,
} from './srp.ts';

// the published test vector
const email = 'abc@1passwordserviceaccounts.com';
const skid = 'ABCDEF';
const salt = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const x = Buffer.alloc(32, 0x11);
const a = Buffer.alloc(32, 0x22);
const b = Buffer.alloc(32, 0x33);

const v = verifierOf(x);
const A = clientPublic(a);
const B = serverPublic(b, v);
const sessionKey = serverSessionKey(A, B, v, b);
const exchange: Exchange = { identity: identityOf(skid, email), salt, A, B, sessionKey };
const clientHash = clientVerifyHash(exchange);

function padHash(n: bigint): string {
  return sha256(pad(n)).toString('hex');
}

test.each([
  ['k', k.toString(16), '3509477ea9fca66eadb7cf7b1bd0eb508f54d3989a9c988006a7d0b338374dd2'],
  ['v', padHash(v), '50dac2551f54313f04b95c8d0949c26396f893dca8def9f9ceb00bd67def051d'],
  ['A', padHash(A), '2db444808c7371f6081adf762cd89239a424f76156930bac354d0877079b80dc'],
  ['B', padHash(B), '621f57b961d09a02fbcf5456b32de8e3c9f443aca4b42f9906bdd8ad83729418'],
  ['u', scramblerOf(A, B).toString(16), '9768c8b7d08d6d8945e7acbcf2c41677514f21c924f8b9fe81bbf52f7eba2c09'],
  ['K', sessionKey.toString('hex'), '8397e214a2641a68ec496c5d91676d1106aa0eea856b6d6f77535fac93f052bf'],
  ['identity', exchange.identity, 'RR7_DwBVZaPtN5VXlAU5BCrMs4JpCGttMgaU_xX-SI0'],
  ['clientVerifyHash', clientHash, 'sj62DmXiFGBsaFYp3pk7kDYc8Vsr27vsR8zbXLNwA0Q'],
  [
    'serverVerifyHash',
    serverVerifyHash(A, clientHash, sessionKey),
    'b55e8QVDagR9P796yfpECDykODRJlhmEmmDfEwIN8Rk',
  ],
  [
    'MAC key',
    macKeyOf(sessionKey).toString('hex'),
    'f44f84372a645c789b6207a49f71d471ffa705d256938a4d7205bbd8f7af753a',
  ],
])('%s is as in the test vector', (_name, actual, expected) => {
  expect(actual).toBe(expected);
});

test('the client comes to the same session key', () => {
  expect(clientSessionKey(A, B, x, a)).toEqual(sessionKey);
});

test('another secret gives another session key and another proof', () => {
  const other = clientSessionKey(A, B, Buffer.alloc(32, 0x12), a);
  expect(other).not.toEqual(sessionKey);
  expect(clientVerifyHash({ ...exchange, sessionKey: other })).not.toBe(clientHash);
  expect(fromB64u(clientHash)).toHaveLength(32);
});

test.each([
  ['7', '/api/v1/vaults?attrs=combined-access', 'v1|7|2rPnW9riyaJVwto2'],
  ['8', '/api/v2/account/keysets', 'v1|8|zQwOgplaeVLVyiEh'],
])('the MAC of request %s is as in the test vector', (requestId, target, expected) => {
  const request = { session: 'A'.repeat(26), method: 'GET', host: 'localhost', target };
  expect(requestMac(macKeyOf(sessionKey), request, requestId)).toBe(expected);
});
