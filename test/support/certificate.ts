/** Certificates for servers on 127.0.0.1, with the dates that a test wants: openssl(1) cannot choose them everywhere. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface Certificate {
  readonly key: string;
  /** In PEM, as the key. */
  readonly cert: string;
}

const [sequence, set, integer, bitString, octetString, oid, utf8, utcTime, boolean] = [
  0x30, 0x31, 0x02, 0x03, 0x04, 0x06, 0x0c, 0x17, 0x01,
];

/** DER: a tag, the length, the contents. */
function der(tag: number | undefined, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const bytes: number[] = [];
  for (let rest = content.length; rest > 0; rest >>= 8) bytes.unshift(rest & 0xff);
  const length = content.length < 0x80 ? [content.length] : [0x80 | bytes.length, ...bytes];
  return Buffer.concat([Buffer.from([tag ?? sequence ?? 0, ...length]), content]);
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const ecdsaWithSha256 = der(sequence, der(oid, hex('2a8648ce3d040302')));
const commonName = hex('550403');
const [subjectAltName, basicConstraints] = [hex('551d11'), hex('551d13')];

function nameOf(text: string): Buffer {
  return der(sequence, der(set, der(sequence, der(oid, commonName), der(utf8, Buffer.from(text)))));
}

function time(date: Date): Buffer {
  return der(
    utcTime,
    Buffer.from(
      `${date
        .toISOString()
        .replace(/[-:T]|\..*$/g, '')
        .slice(2)}Z`,
    ),
  );
}

/** One that signs others, or itself where no issuer is given; valid from some days from now to others. */
export function newCertificate(
  name: string,
  days: readonly [from: number, to: number],
  issuer?: { readonly name: string; readonly certificate: Certificate },
): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const [from, to] = days.map((count) => time(new Date(Date.now() + count * 86_400_000)));
  const forItself = issuer === undefined;
  const extension = (id: Buffer, ...value: readonly Buffer[]): Buffer =>
    der(sequence, der(oid, id), der(boolean, hex('ff')), der(octetString, der(sequence, ...value)));
  const toBeSigned = der(
    sequence,
    der(0xa0, der(integer, hex('02'))),
    der(integer, Buffer.concat([hex('01'), randomBytes(8)])),
    ecdsaWithSha256,
    nameOf(issuer?.name ?? name),
    der(sequence, from ?? hex(''), to ?? hex('')),
    nameOf(name),
    publicKey,
    der(
      0xa3,
      der(
        sequence,
        extension(basicConstraints, ...(forItself ? [der(boolean, hex('ff'))] : [])),
        // 127.0.0.1
        extension(subjectAltName, der(0x87, hex('7f000001'))),
      ),
    ),
  );
  const signer: KeyObject = createPrivateKey(issuer?.certificate.key ?? privateKey);
  const signature = sign('sha256', toBeSigned, signer);
  const bytes = der(sequence, toBeSigned, ecdsaWithSha256, der(bitString, hex('00'), signature));
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    key: privateKey,
    cert: ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n'),
  };
}
