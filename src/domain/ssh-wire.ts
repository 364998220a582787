/** SSH's data types (RFC 4251, section 5), and the base64 that keys are written in. */

/** The bytes end before what they say they hold. */
export class CutOff extends Error {}

export class SshReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** @throws CutOff, like all that reads */
  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#offset) throw new CutOff();
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#offset);
  }

  uint32(): number {
    return this.take(4).reduce((sum, byte) => sum * 256 + byte, 0);
  }

  string(): Uint8Array {
    return this.take(this.uint32());
  }

  /** A number that is not negative. */
  number(): bigint {
    return toNumber(this.string());
  }
}

/** The key as SSH sends it: its type and its parts, each as a string; a number as an mpint. */
export function sshWire(type: string, ...parts: readonly (Uint8Array | bigint)[]): Uint8Array {
  const strings = [
    new TextEncoder().encode(type),
    ...parts.map((part) => (typeof part === 'bigint' ? toMpint(part) : part)),
  ];
  const wire = new Uint8Array(strings.reduce((sum, { length }) => sum + 4 + length, 0));
  let offset = 0;
  for (const bytes of strings) {
    new DataView(wire.buffer).setUint32(offset, bytes.length);
    wire.set(bytes, offset + 4);
    offset += 4 + bytes.length;
  }
  return wire;
}

/** Most significant byte first, a zero in front where the number would else be negative. */
function toMpint(number: bigint): Uint8Array {
  const bytes = toBytes(number);
  return (bytes[0] ?? 0) < 0x80 ? bytes : Uint8Array.of(0, ...bytes);
}

/** A number's bytes, most significant first, without leading zeros. */
export function toBytes(number: bigint): Uint8Array {
  const digits = number.toString(16);
  const pairs = digits.padStart(digits.length + (digits.length % 2), '0').match(/../g) ?? [];
  return number === 0n ? new Uint8Array() : Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

export function toNumber(bytes: Uint8Array): bigint {
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return digits === '' ? 0n : BigInt(`0x${digits}`);
}

export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** White space is passed over; undefined if the rest is not base64. */
export function decodeBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text.replace(/\s/g, '')), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

export function encodeBase64(bytes: Uint8Array): string {
  return btoa([...bytes].map((byte) => String.fromCharCode(byte)).join(''));
}
