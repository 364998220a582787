import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import type { Resolution } from '../../src/domain/provider.ts';
import { onePasswordProvider } from '../../src/effects/onepassword-provider.ts';

const references = ['op://v/i/a', 'op://v/i/b'];
const token = 'ops_TOKEN';

/** Asks a child that is a script of the test's, which reads its request into `request`. */
function ask(script: string, deadline = 30_000): Promise<ReadonlyMap<string, Resolution>> {
  const read = "const input = require('node:fs').readFileSync(0, 'utf8'); const request = JSON.parse(input);";
  return onePasswordProvider({
    command: [process.execPath, '-e', `${read} ${script}`],
    token,
    deadline,
  }).resolve(references);
}

const answer = (text: string): string => `process.stdout.write(JSON.stringify(${text}));`;

test('each reference has the answer that the child gave for it', async () => {
  const results = `{ 'op://v/i/a': { value: '\\n"é🔑' }, 'op://v/i/b': { error: 'fieldNotFound' } }`;
  expect(await ask(answer(`{ ok: true, results: ${results} }`))).toEqual(
    new Map([
      ['op://v/i/a', { ok: true, value: '\n"é🔑' }],
      [
        'op://v/i/b',
        {
          ok: false,
          failure: {
            class: 'permanent',
            exitCode: exitCodes.dataError,
            message: '"op://v/i/b": no field of that name in the item',
          },
        },
      ],
    ]),
  );
});

test('a reference that the child does not answer is worth another try', async () => {
  const resolutions = await ask(answer('{ ok: true, results: {} }'));
  expect([...resolutions.keys()]).toEqual(references);
  for (const one of resolutions.values())
    expect(one).toMatchObject({ ok: false, failure: { class: 'transient' } });
});

test('the token and the references reach the child by its standard input, and nothing else does', async () => {
  const seen = `{ value: JSON.stringify([request, process.argv, process.execArgv.length, process.env, process.cwd()]) }`;
  const [a] = (await ask(answer(`{ ok: true, results: { 'op://v/i/a': ${seen} } }`))).values();
  if (!a?.ok) throw new Error('no answer');
  const [request, argv, , environment, directory] = JSON.parse(a.value) as [
    unknown,
    unknown,
    unknown,
    object,
    string,
  ];
  expect(request).toEqual({ token, references });
  expect(JSON.stringify([argv, environment])).not.toContain('ops_');
  expect(Object.keys(environment).sort()).toEqual(['LANG', 'PATH']);
  expect(directory).toBe('/');
});

test('a failure of the whole call is classified', async () => {
  await expect(
    ask(answer(`{ ok: false, message: 'authentication error: rate limit exceeded' }`)),
  ).rejects.toMatchObject({
    failure: { class: 'rate-limited' },
  });
});

describe('a child without an answer is worth another try', () => {
  const ended = 'the process that asks 1Password ended without an answer';

  test.each([
    ['says nothing', '', ended],
    ['says something else', "process.stdout.write('what');", ended],
    ['says null', answer('null'), ended],
    ['answers without results', answer('{ ok: true }'), ended],
    ['fails behind its answer', `${answer('{ ok: true, results: {} }')} process.exitCode = 70;`, ended],
    ['is killed', "process.kill(process.pid, 'SIGKILL');", ended],
    [
      'answers without end',
      "const part = 'x'.repeat(1 << 20); for (;;) require('node:fs').writeSync(1, part);",
      ended,
    ],
  ])('that %s', async (_, script, message) => {
    await expect(ask(script)).rejects.toMatchObject({ failure: { class: 'transient', message } });
  });

  test('that does not read its request', async () => {
    const provider = onePasswordProvider({ command: ['/bin/true'], token, deadline: 30_000 });
    const many = Array.from({ length: 20_000 }, (_, index) => `op://v/i/${index}`);
    await expect(provider.resolve(many)).rejects.toMatchObject({ failure: { message: ended } });
  });

  test('that cannot be started', async () => {
    const provider = onePasswordProvider({ command: ['/nowhere/unit-secrets'], token, deadline: 30_000 });
    await expect(provider.resolve(references)).rejects.toMatchObject({
      failure: { class: 'transient', message: 'the process that asks 1Password could not be started' },
    });
  });

  test('that hangs is killed at the deadline, with what it has started', async () => {
    const script = `
      const { spawn } = require('node:child_process');
      const inner = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
      setInterval(() => {}, 1000);
    `;
    const handlers = process.listenerCount('exit');
    await expect(ask(script, 1000)).rejects.toMatchObject({
      failure: { class: 'transient', message: '1Password did not answer within 1 s' },
    });
    // our pipe is closed only when both are gone
    await expect.poll(() => process.listenerCount('exit'), { timeout: 10_000 }).toBe(handlers);
  });
});
