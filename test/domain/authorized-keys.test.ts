import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editAuthorizedKeys, type ManagedKey } from '../../src/domain/authorized-keys.ts';

/** Stands for the hash: it tells keys apart, and that is all that matters here. */
const fingerprint = (base64: string): string => `SHA256:${base64}`;

function key(name: string, comment = ''): ManagedKey {
  return {
    line: `ssh-ed25519 AAAA${name}${comment === '' ? '' : ` ${comment}`}`,
    fingerprint: fingerprint(`AAAA${name}`),
  };
}

const edit = (text: string, wanted: ManagedKey | undefined) => editAuthorizedKeys(text, wanted, fingerprint);
const block = (wanted: ManagedKey): string => edit('', wanted).text;
const end = '# END unit-secrets\n';

describe('the block', () => {
  test('names the key, and says what it is', () => {
    expect(block(key('1', 'me@here'))).toBe(
      '# BEGIN unit-secrets SHA256:AAAA1 (replaced at every boot: keep keys of your own outside of this block)\n' +
        'ssh-ed25519 AAAA1 me@here\n' +
        '# END unit-secrets\n',
    );
  });

  test('is appended to what is there', () => {
    expect(edit('# mine\nssh-rsa AAAAm\n', key('1'))).toEqual({
      text: `# mine\nssh-rsa AAAAm\n${block(key('1'))}`,
      damaged: false,
    });
    expect(edit('ssh-rsa AAAAm', key('1')).text).toBe(`ssh-rsa AAAAm\n${block(key('1'))}`);
  });

  test('is replaced where it stands', () => {
    const text = `a\n${block(key('1'))}b`;
    expect(edit(text, key('2', 'new'))).toEqual({ text: `a\n${block(key('2', 'new'))}b`, damaged: false });
  });

  test('is taken away', () => {
    expect(edit(`a\r\n${block(key('1'))}b`, undefined)).toEqual({ text: 'a\r\nb', damaged: false });
    expect(edit('a\n\nb', undefined)).toEqual({ text: 'a\n\nb', damaged: false });
  });

  test('is known again with the line ends of Windows', () => {
    const text = `a\r\n${block(key('1')).replaceAll('\n', '\r\n')}b\r\n`;
    expect(edit(text, key('2'))).toEqual({ text: `a\r\n${block(key('2'))}b\r\n`, damaged: false });
  });

  test('is known again with options in front of its key', () => {
    const text = block(key('1')).replace('\nssh', '\nfrom="10.0.0.0/8" ssh');
    expect(edit(text, key('2'))).toEqual({ text: block(key('2')), damaged: false });
  });

  test('of something else is not ours', () => {
    const text = '# BEGIN unit-secrets-old\nx\n# END unit-secrets-old\n # BEGIN unit-secrets\n';
    expect(edit(text, key('1'))).toEqual({ text: text + block(key('1')), damaged: false });
  });
});

describe('a damaged block loses no line of others, and keeps no key of ours', () => {
  const [begin = '', ours = ''] = block(key('1')).split(/(?<=\n)/);

  test.each([
    ['without its end', `a\n${begin}${ours}b\nc`, `a\n${block(key('2'))}b\nc`],
    ['without its end, at the end', `a\n${begin}${ours}`, `a\n${block(key('2'))}`],
    ['with its end far below', `${begin}${ours}b\nc\n${end}d`, `${block(key('2'))}b\nc\nd`],
    ['with a key of the user in it', `${begin}b\n${ours}c\n${end}`, `${block(key('2'))}b\nc\n`],
    ['twice', `${block(key('1'))}a\n${block(key('1'))}b\n`, `${block(key('2'))}a\nb\n`],
    ['one in the other', `a\n${begin}${begin}${ours}${end}${end}b\n`, `a\n${block(key('2'))}b\n`],
    ['without its key', `a\n${begin}${end}b\n`, `a\n${block(key('2'))}b\n`],
    ['cut off in its begin', `a\n${begin.slice(0, 30)}`, `a\n${block(key('2'))}`],
  ])('%s', (_, text, expected) => {
    expect(edit(text, key('2'))).toEqual({ text: expected, damaged: true });
  });

  test.each([
    // a line can only be known by its begin marker
    ['without its begin', `a\n${ours}${end}b\n`, `a\n${ours}${block(key('2'))}b\n`],
    ['whose begin tells no key', `# BEGIN unit-secrets\n${ours}${end}`, `${block(key('2'))}${ours}`],
  ])('%s, its key is kept', (_, text, expected) => {
    expect(edit(text, key('2'))).toEqual({ text: expected, damaged: true });
  });
});

describe('for every file', () => {
  const name = fc.constantFrom('1', '2', '3');
  const foreign = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }).map((text) => `x${text.replaceAll('\n', '')}`),
    fc.constantFrom('', '# mine', 'ssh-ed25519 AAAAmine me', ' # END unit-secrets', '\r'),
  );
  const ours = name.chain((one) =>
    fc.constantFrom(...block(key(one)).trimEnd().split('\n'), block(key(one)).trimEnd()),
  );
  const lines = fc.array(fc.oneof(foreign, ours), { maxLength: 12 });
  const file = fc
    .tuple(lines, fc.boolean())
    .map(([all, newline]) => all.join('\n') + (newline && all.length > 0 ? '\n' : ''));
  const wanted = fc.option(
    name.map((one) => key(one, 'new')),
    { nil: undefined },
  );
  const isOurs = (line: string): boolean =>
    /^# (BEGIN|END) unit-secrets/.test(line) || /^ssh-ed25519 AAAA[123]( new)?$/.test(line);
  const foreignLines = (text: string): string[] =>
    (text.match(/[^\n]*\n|[^\n]+/g) ?? [])
      .map((line) => line.replace('\n', ''))
      .filter((line) => !isOurs(line));

  test('all lines of others are kept, in their order', () => {
    fc.assert(
      fc.property(file, wanted, (text, one) => {
        const edited = edit(text, one).text;
        expect(foreignLines(edited)).toEqual(foreignLines(text));
      }),
    );
  });

  test('what is around one block stays as it is, to the byte', () => {
    const part = fc.array(foreign).map((all) => all.map((line) => `${line}\n`).join(''));
    fc.assert(
      fc.property(part, part, foreign, name, name, (before, after, last, old, one) => {
        const text = `${before}${block(key(old))}${after}${last}`;
        expect(edit(text, key(one)).text).toBe(`${before}${block(key(one))}${after}${last}`);
        expect(edit(text, undefined).text).toBe(before + after + last);
        expect(edit(edit(before + after, key(one)).text, undefined).text).toBe(before + after);
      }),
    );
  });

  test('there is one block afterwards, or none', () => {
    fc.assert(
      fc.property(file, wanted, (text, one) => {
        const edited = edit(text, one).text;
        expect(edited.match(/^# BEGIN unit-secrets/gm) ?? []).toHaveLength(one ? 1 : 0);
        expect(edited.match(/^# END unit-secrets/gm) ?? []).toHaveLength(one ? 1 : 0);
        if (one) expect(`\n${edited}`).toContain(`\n${block(one)}`);
      }),
    );
  });

  test('a second time changes nothing and finds nothing wrong', () => {
    fc.assert(
      fc.property(file, wanted, (text, one) => {
        const { text: once } = edit(text, one);
        expect(edit(once, one)).toEqual({ text: once, damaged: false });
      }),
    );
  });
});
