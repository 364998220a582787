import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { env } from '../../../src/domain/render/env.ts';
import { parseEnvironmentFile } from '../../support/environment-file.ts';
import {
  patience,
  problemsIn,
  rendered,
  renderWith,
  sample,
  secret,
  secrets,
  tryAll,
} from '../../support/render.ts';

describe('a value in an environment file', () => {
  test.each([
    ['A=${A}\n', 'hunter2', 'A=hunter2\n'],
    ['A=${A}', '$x y', 'A="\\$x y"'],
    ['A=${A}', '', 'A=""'],
    ['A=x${A} # not a comment\nB=1', '"', 'A="x\\" # not a comment"\nB=1'],
    ['A="${A}"', 'a\n"`$\\', 'A="a\n\\"\\`\\$\\\\"'],
    ["A='$x ${A}'", 'a"\n', "A='$x a\"\n'"],
    ["A='$x ${A}' # c", "it's", 'A="\\$x it\'s# c"'],
    ["A='$x ${A}'\t\r\nB=1", "it's", 'A="\\$x it\'s"\t\r\nB=1'],
    ['A="x" \'${A}\' z\\ y\nB=1', 'v', 'A="xvz y"\nB=1'],
    ['# c\n ; d\n\n  A =  ${A}  \n', 'v', '# c\n ; d\n\n  A =  v  \n'],
    ['A=${A:number}\nB="${B:boolean}"', '-1', 'A=-1\nB="true"'],
  ])('%j with %j', (template, value, expected) => {
    expect(rendered('env', template, { A: value, B: 'true' })).toBe(expected);
  });

  test.each([
    ['# ${A}', 1, 3],
    ['# x\\\nA=${A}', 2, 3],
    ['${A}=x', 1, 1],
    ['export A=${A}', 1, 10],
    ['A-B=${A}', 1, 5],
    ['A=1\nno ${A}\n', 2, 4],
  ])('%j is refused without values', (template, line, column) => {
    expect(problemsIn('env', template)).toEqual([
      {
        position: { line, column },
        message:
          'no value can be put here safely; a placeholder stands in the value of NAME=value, where NAME is one that systemd takes',
        hint: 'write $${ for "${" itself',
      },
    ]);
  });

  test.each([
    ['A=1\nB="${A}', '2:3: not valid environment file: this value has a quote that is not closed'],
    ["A='${A}\n\n", '1:3: not valid environment file: this value has a quote that is not closed'],
    ['# \0\nA=${A}', '1:3: not valid environment file: systemd refuses a file with this character in it'],
  ])('%j is refused', (template, message) => {
    expect(rendered('env', template, { A: 'v' })).toBe(message);
  });

  test.each([
    ['a\0b', 'contains a NUL byte, which no environment variable can carry'],
    ['\ufdd0', 'contains a Unicode noncharacter, which systemd does not accept in environment files'],
    ['x'.repeat(131_072), 'is longer than the 128 KiB that an environment variable can carry'],
  ])('a value that no variable can carry is refused (%#)', (value, why) => {
    expect(rendered('env', 'KEY="${A}"', { A: value })).toBe(
      `1:6: the value of A cannot stand here: the value of KEY ${why}`,
    );
  });
});

test('our reader agrees with the model of systemd’s parser', () => {
  const piece = fc.constantFrom(
    ...[
      'A=',
      'B =',
      '=',
      '"',
      "'",
      '\\',
      ' ',
      '\t',
      '\n',
      '\r\n',
      '\r',
      '#',
      ';',
      'x',
      '$',
      '`',
      '\\\n',
      'export C=',
    ],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const text = pieces.join('');
      const reading = env.read(text);
      if (!reading.ok) {
        expect(reading.message).toBe('this value has a quote that is not closed');
        return;
      }
      // what is read in different ways by different versions, and what is cut off, is no one's business
      fc.pre(!/[#;][^\r\n]*\\[\r\n]/.test(text) && !text.endsWith('\\') && !text.includes('\\\r'));
      const variables = new Map<string, string>();
      reading.tree.forEach((one, i) => {
        if (typeof one !== 'string') variables.set(String(reading.tree[i - 1]), one.value);
      });
      expect(variables).toEqual(parseEnvironmentFile(text));
    }),
    { numRuns: 20_000 },
  );
});

const line = fc.constantFrom(
  ...[
    '# c',
    '',
    '; d',
    'no line',
    'export Z=1',
    'A=<A>',
    ' B = x<B>/y ',
    'C="<C>"',
    'D="a\n<A>$HOME<B>"',
    "E='<A>'",
  ],
  ...[
    'F=\'x\' "<B>"',
    'G=a"<C>"',
    'H=a\\ <A>',
    "I='<A>\n<B>'",
    'J=',
    'K=x # <A>',
    'L=\'<A>\'"<B>"<C>',
    'M="<A>" <B>',
  ],
);
const file = fc
  .tuple(fc.array(line), fc.constantFrom('\n', '\r\n'))
  .map(([lines, end]) => sample(lines.map((one) => `${one}${end}`).join('')));

test(
  'systemd reads any template with any values as the template, with exactly the values',
  () => {
    tryAll({
      format: 'env',
      samples: file,
      readers: [(text) => new Map(parseEnvironmentFile(text) ?? [])],
      refusable: (_, values) => /\0|\p{Noncharacter_Code_Point}/u.test(Object.values(values).join('')),
    });
  },
  patience,
);

test('a shell reads the values likewise, where the template is written for one', () => {
  const template = 'A=${A}\nB="x ${B}"\nC=\'${C}\'\n';
  const list = fc.sample(secrets, 300).map((values) => {
    const { A, B, C } = values;
    return { A, B, C };
  });
  for (const values of list) {
    const result = renderWith('env', template, values);
    if (!result.ok) continue;
    const output = execFileSync('sh', ['-s'], {
      input: `${result.text}printf '%s\\0' "$A" "$B" "$C"`,
      encoding: 'utf8',
      env: {},
    });
    expect(output.split('\0').slice(0, -1)).toEqual([values.A, `x ${values.B}`, values.C]);
  }
});

test('what is not a placeholder stays as it is, byte for byte', () => {
  const template = ' # c\r\n\n A =\t"${A}"  \nB=2\\\n3\nno line\n';
  fc.assert(
    fc.property(secret, (value) => {
      const result = renderWith('env', template, { A: value });
      const [before, after] = template.split('${A}') as [string, string];
      if (result.ok) expect(result.text.startsWith(before) && result.text.endsWith(after)).toBe(true);
    }),
  );
});
