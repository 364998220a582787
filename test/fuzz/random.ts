/** Random numbers that a seed repeats: a case is found again by its kind, its seed and its number. */
export class Random {
  #state: [number, number, number, number];

  /** @param names what the case is called: the same names give the same numbers */
  constructor(...names: readonly (string | number)[]) {
    // FNV-1a, four times over
    const hash = (salt: number): number => {
      let value = 0x811c9dc5 ^ salt;
      for (const character of names.join('/'))
        value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193);
      return value >>> 0;
    };
    this.#state = [hash(1), hash(2), hash(3), 1];
    for (let round = 0; round < 12; round++) this.next();
  }

  /** sfc32: from 0 up to, not including, 2 to the power of 32. */
  next(): number {
    let [a, b, c, d] = this.#state;
    const sum = (a + b + d) >>> 0;
    d = (d + 1) >>> 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) >>> 0;
    c = ((c << 21) | (c >>> 11)) >>> 0;
    c = (c + sum) >>> 0;
    this.#state = [a >>> 0, b, c, d];
    return sum;
  }

  /** From 0 up to, not including, `end`. */
  below(end: number): number {
    return Math.floor((this.next() / 2 ** 32) * end);
  }

  between(first: number, last: number): number {
    return first + this.below(last - first + 1);
  }

  chance(probability: number): boolean {
    return this.next() / 2 ** 32 < probability;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error('nothing to pick from');
    return list[this.below(list.length)] as T;
  }

  list<T>(least: number, most: number, make: (index: number) => T): T[] {
    return Array.from({ length: this.between(least, most) }, (_, index) => make(index));
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
}

/** Characters and words that some parser takes for more than text. */
export const trouble: readonly string[] = [
  ...['"', "'", '\\', '$', '`', '%', ';', '#', '[', ']', '=', '{{', '}}', '{', '}', '(', ')', '&', '|', '*'],
  ...[' ', '\t', '\r', '\n', '\r\n', '\0', '\x01', '\x08', '\x0b', '\x0c', '\x1b', '\x7f', '\x80', '\x85'],
  ...['\xa0', '\u2028', '\u2029', '\ufeff', '\u200b', '\u202e', '\ufffd', '\ufffe', '\uffff', '\ufdd0'],
  ...['🔑', 'é', 'e\u0301', '鍵', '\u{10ffff}', '\u{1fffe}', '\u{e0001}', '\ud800', '\udc00'],
  ...['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'true', 'null', 'NaN', '-0'],
  ...['op://', 'op://v/i/f', '${A}', '$(id)', '%n', '%%', '%i', '../', '/..', '..', '.', '/', '//', '@', ':'],
  ...['\\x20', '\\n', '\\u0000', '\\\n', '[Service]', '\n[X-Secrets]\n', 'ExecStart=/bin/sh', '!', '-', '+'],
];

/** Text with something of it somewhere. */
export function oddText(random: Random, most = 8): string {
  return random
    .list(0, most, () =>
      random.chance(0.5)
        ? random.pick(trouble)
        : random.chance(0.5)
          ? String.fromCharCode(random.between(32, 126))
          : String.fromCodePoint(anyCodePoint(random)),
    )
    .join('');
}

/** Any but those of surrogates. */
function anyCodePoint(random: Random): number {
  const code = random.chance(0.5) ? random.below(256) : random.below(0x110000);
  return code >= 0xd800 && code <= 0xdfff ? 0x41 : code;
}

/** Damages bytes: flips, cuts, splices, repeats and insertions, one to four of them. */
export function mutateBytes(random: Random, bytes: Buffer, others: readonly Buffer[]): Buffer {
  let result = Buffer.from(bytes);
  for (let round = random.between(1, 4); round > 0; round--) {
    const at = random.below(result.length + 1);
    const end = Math.min(result.length, at + random.between(1, random.chance(0.8) ? 8 : 400));
    const [before, middle, after] = [result.subarray(0, at), result.subarray(at, end), result.subarray(end)];
    switch (random.below(8)) {
      case 0:
        if (at < result.length) result[at] = (result[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 1:
        result = before;
        break;
      case 2:
        result = Buffer.concat([before, after]);
        break;
      case 3:
        result = Buffer.concat([before, middle, middle, after]);
        break;
      case 4:
        result = Buffer.concat([before, random.bytes(random.between(1, 4)), result.subarray(at)]);
        break;
      case 5:
        result = Buffer.concat([before, Buffer.from(random.pick(trouble)), result.subarray(at)]);
        break;
      case 6: {
        const other = others.length > 0 ? random.pick(others) : result;
        const from = random.below(other.length + 1);
        result = Buffer.concat([before, other.subarray(from, from + random.between(1, 300)), after]);
        break;
      }
      default:
        if (at < result.length) result[at] = random.below(256);
    }
  }
  return result;
}
