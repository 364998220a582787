import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { type QueuedRequest, RequestQueue } from '../../src/effects/request-queue.ts';
import { modeOf, temporaryDirectory, withUmask } from '../support/temporary.ts';

const id = `${process.pid}-1`;
const request: QueuedRequest = { id, service: 'app.service', references: ['op://v/i/f'], until: 12.5 };

/** The id of a process that is no more. */
function deadId(): string {
  return `${spawnSync('/bin/true').pid}-1`;
}

test('a request is answered, and the answer taken once', () => {
  const directory = temporaryDirectory();
  const [asker, server] = [new RequestQueue(directory), new RequestQueue(directory)];
  asker.put(request);
  expect(asker.has(id)).toBe(true);
  expect(asker.take(id)).toBeUndefined();
  expect(server.pending()).toEqual([request]);

  const values = new Map([['op://v/i/f', '\ud83e\udd8a "quoted"\n\0']]);
  server.answer(id, { ok: true, values });
  expect([server.pending(), asker.has(id), server.waitsToBeTaken(id)]).toEqual([[], false, true]);
  expect(asker.take(id)).toEqual({ ok: true, values });
  expect([asker.take(id), server.waitsToBeTaken(id), readdirSync(directory)]).toEqual([undefined, false, []]);
});

test('a failure arrives as it is', () => {
  const queue = new RequestQueue(temporaryDirectory());
  queue.put(request);
  const failure = { class: 'permanent', exitCode: exitCodes.dataError, message: 'no', hint: 'look' } as const;
  queue.answer(id, { ok: false, failure, jitter: 0.25 });
  expect(queue.take(id)).toEqual({ ok: false, failure, jitter: 0.25 });
});

test('requests and answers are for root alone, whatever the umask', () => {
  withUmask(0, () => {
    const directory = join(temporaryDirectory(), 'queue');
    const queue = new RequestQueue(directory);
    queue.put(request);
    expect([modeOf(directory), modeOf(join(directory, `${id}.request`))]).toEqual(['0700', '0600']);
    queue.answer(id, { ok: true, values: new Map() });
    expect(modeOf(join(directory, `${id}.answer`))).toBe('0600');
  });
});

test('what is withdrawn is gone, with its answer', () => {
  const directory = temporaryDirectory();
  const queue = new RequestQueue(directory);
  queue.put(request);
  queue.answer(id, { ok: true, values: new Map() });
  queue.put(request);
  queue.withdraw(id);
  expect(readdirSync(directory)).toEqual([]);
});

test('what dead processes left is swept away, and nothing else', () => {
  const directory = temporaryDirectory();
  const queue = new RequestQueue(directory);
  const dead = deadId();
  for (const suffix of ['request', 'answer', 'new']) writeFileSync(join(directory, `${dead}.${suffix}`), '');
  const [pid = ''] = dead.split('-');
  // written aside by who was killed before the rename
  for (const name of ['app.service.state', 'cool-down']) writeFileSync(join(directory, `${name}.${pid}`), '');
  const kept = ['app.service.state', `app.service.state.${process.pid}`, 'cool-down'];
  for (const name of kept) writeFileSync(join(directory, name), '');
  queue.put(request);
  queue.sweep();
  expect(readdirSync(directory).sort()).toEqual([`${id}.request`, ...kept]);
});

test.each(['', 'null', '{}', '{"id":1}', '{"id":"other-1","service":"x","references":[],"until":1}'])(
  'what is no request is removed: %s',
  (text) => {
    const directory = temporaryDirectory();
    const queue = new RequestQueue(directory);
    writeFileSync(join(directory, `${id}.request`), text);
    expect(queue.pending()).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  },
);

describe('where nothing can be written', () => {
  test('a request is refused, with what to do', () => {
    const directory = join(temporaryDirectory(), 'queue');
    const queue = new RequestQueue(directory);
    rmSync(directory, { recursive: true });
    expect(() => queue.put(request)).toThrow(
      expect.objectContaining({
        failure: {
          class: 'transient',
          exitCode: exitCodes.cannotCreate,
          message: `cannot put down a request in ${directory} (ENOENT)`,
          hint: 'unit-secrets-token.service makes it: systemctl restart unit-secrets-token.service',
        },
      }),
    );
    expect(() => new RequestQueue('/proc/version/queue')).toThrow('ENOTDIR');
  });

  test('an answer leaves no request either, which tells its asker', () => {
    const directory = temporaryDirectory();
    const queue = new RequestQueue(directory);
    queue.put(request);
    // nothing of that name can be written
    mkdirSync(join(directory, `${id}.new`));
    queue.answer(id, { ok: true, values: new Map() });
    expect([queue.has(id), queue.take(id)]).toEqual([false, undefined]);
    chmodSync(directory, 0o700);
  });
});
