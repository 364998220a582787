import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import type { Resolution, Session } from '../../src/domain/provider.ts';
import { openOnePassword } from '../../src/effects/onepassword-provider.ts';
import { isAlive } from '../../src/effects/processes.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const references = ['op://v/i/a', 'op://v/i/b'];
const token = 'ops_TOKEN';

/** A child that is a script of the test's, which is called with each line as `request`. */
function open(script: string): Session {
  const read = `
    const answer = (value) => require('node:fs').writeSync(1, JSON.stringify(value) + '\\n');
    const seen = [];
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const request = JSON.parse(line);
      seen.push(request);
      ${script}
    });`;
  const session = openOnePassword({ command: [process.execPath, '-e', read], token });
  onTestFinished(() => session.close());
  return session;
}

/** Signs in, then answers with `text`. */
const signedIn = (text: string): string =>
  `if (request.token) answer({ ok: true, results: {} }); else { ${text} }`;

function ask(script: string, within = 30_000): Promise<ReadonlyMap<string, Resolution>> {
  return open(script).resolve(references, within);
}

test('each reference has the answer that the child gave for it', async () => {
  const results = `{ 'op://v/i/a': { value: '\\\\n"é🔑' }, 'op://v/i/b': { error: 'fieldNotFound' } }`;
  expect(await ask(signedIn(`answer({ ok: true, results: ${results} })`))).toEqual(
    new Map([
      ['op://v/i/a', { ok: true, value: '\\n"é🔑' }],
      [
        'op://v/i/b',
        {
          ok: false,
          failure: {
            class: 'permanent',
            exitCode: exitCodes.dataError,
            message: '"op://v/i/b": no field of that name in the item',
            hint: 'correct the reference, or add the field in 1Password',
          },
        },
      ],
    ]),
  );
});

test('a reference that the child does not answer is worth another try', async () => {
  const resolutions = await ask(signedIn('answer({ ok: true, results: {} })'));
  expect([...resolutions.keys()]).toEqual(references);
  for (const one of resolutions.values())
    expect(one).toMatchObject({ ok: false, failure: { class: 'transient' } });
});

test('the token and the references reach the child by its standard input, and nothing else does', async () => {
  const seen = '{ value: JSON.stringify([seen, process.argv, process.env, process.cwd()]) }';
  const [a] = (await ask(signedIn(`answer({ ok: true, results: { 'op://v/i/a': ${seen} } })`))).values();
  if (!a?.ok) throw new Error('no answer');
  const [requests, argv, environment, directory] = JSON.parse(a.value) as [unknown, unknown, object, string];
  expect(requests).toEqual([{ token }, { references }]);
  expect(JSON.stringify([argv, environment])).not.toContain('ops_');
  expect(Object.keys(environment).sort()).toEqual(['LANG', 'PATH']);
  expect(directory).toBe('/');
});

test('one child, signed in once, answers many calls, in pieces or many at a time', async () => {
  const session = open(`
    if (request.token) process.stdout.write('{"ok":true,"res');
    if (request.token) setTimeout(() => process.stdout.write('ults":{}}\\n'), 50);
    else answer({ ok: true, results: { [request.references[0]]: { value: String(process.pid + seen.length) } } });
  `);
  await session.ready(30_000);
  const values: string[] = [];
  for (const reference of ['op://v/i/a', 'op://v/i/b']) {
    const one = (await session.resolve([reference], 30_000)).get(reference);
    values.push(one?.ok ? one.value : 'failed');
  }
  expect(Number(values[1]) - Number(values[0])).toBe(1);
  expect(session.isOpen()).toBe(true);
});

test('a sign-in that fails is classified, and ends the child', async () => {
  const session = open(`answer({ ok: false, message: 'authentication error: rate limit exceeded' })`);
  await expect(session.resolve(references, 30_000)).rejects.toMatchObject({
    failure: { class: 'rate-limited' },
  });
  expect(session.isOpen()).toBe(false);
});

test('a failure of a whole call is classified', async () => {
  const script = signedIn(
    `answer({ ok: false, message: 'performing a vault operation: rate limit exceeded' })`,
  );
  await expect(ask(script)).rejects.toMatchObject({ failure: { class: 'rate-limited' } });
});

describe('a child without an answer is worth another try', () => {
  const ended = 'the process that asks 1Password ended without an answer';
  const killed = 'the process that asks 1Password was killed (SIGKILL), perhaps for want of memory';

  test.each([
    ['says nothing', 'process.exit()', ended],
    ['says something else', signedIn("process.stdout.write('what\\n')"), ended],
    ['says something else at once', "process.stdout.write('what\\n')", ended],
    ['says null', signedIn('answer(null)'), ended],
    ['answers without results', signedIn('answer({ ok: true })'), ended],
    [
      'ends in the middle of its answer',
      signedIn(`process.stdout.write('{"ok":', () => process.exit())`),
      ended,
    ],
    ['is killed', "process.kill(process.pid, 'SIGKILL')", killed],
    ['is killed after its sign-in', signedIn("process.kill(process.pid, 'SIGKILL')"), killed],
    [
      'crashes',
      "process.kill(process.pid, 'SIGSEGV')",
      'the process that asks 1Password was killed (SIGSEGV)',
    ],
    [
      'answers without end',
      "const part = 'x'.repeat(1 << 20); for (;;) require('node:fs').writeSync(1, part);",
      ended,
    ],
  ])('that %s', async (_, script, message) => {
    const session = open(script);
    await expect(session.resolve(references, 30_000)).rejects.toMatchObject({
      failure: { class: 'transient', message },
    });
    expect(session.isOpen()).toBe(false);
    await expect(session.resolve(references, 30_000)).rejects.toMatchObject({ failure: { message } });
  });

  test('that does not read its request', async () => {
    const session = openOnePassword({ command: ['/bin/true'], token });
    const many = Array.from({ length: 20_000 }, (_, index) => `op://v/i/${index}`);
    await expect(session.resolve(many, 30_000)).rejects.toMatchObject({ failure: { message: ended } });
  });

  test('that cannot be started', async () => {
    const session = openOnePassword({ command: ['/nowhere/unit-secrets'], token });
    await expect(session.resolve(references, 30_000)).rejects.toMatchObject({
      failure: { class: 'transient', message: 'the process that asks 1Password could not be started' },
    });
  });

  test('that hangs is killed at the deadline, with what it has started', async () => {
    const directory = temporaryDirectory();
    const script = signedIn(`
      const { spawn } = require('node:child_process');
      const inner = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
      require('node:fs').writeFileSync(${JSON.stringify(join(directory, 'pids'))}, process.pid + ' ' + inner.pid);
    `);
    const handlers = process.listenerCount('exit');
    await expect(ask(script, 2000)).rejects.toMatchObject({
      failure: { class: 'transient', message: '1Password did not answer within 2 s' },
    });
    expect(existsSync(join(directory, 'pids'))).toBe(true);
    const pids = readFileSync(join(directory, 'pids'), 'utf8').split(' ').map(Number);
    await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([]);
    expect(process.listenerCount('exit')).toBeLessThanOrEqual(handlers);
  });
});
