import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  companionName,
  directoryName,
  parseServiceName,
  type ServiceName,
  serviceKey,
  unitOfDirectory,
} from '../../src/domain/service-name.ts';

/** Names near the borders of what systemd takes. */
const anyName = fc
  .array(
    fc.constantFrom(
      'a',
      'B',
      '7',
      ':',
      '_',
      '.',
      '\\',
      '\\x2d',
      '-',
      '@',
      '.service',
      '.socket',
      '-secrets',
      'unit-',
      'secrets',
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((pieces) => pieces.join(''));

const service = anyName.map(parse).filter((name) => name !== undefined);
const services = fc.uniqueArray(service, { selector: ({ name }) => name, minLength: 2, maxLength: 8 });

function parse(key: string): ServiceName | undefined {
  const result = parseServiceName(key);
  return result.ok ? result.service : undefined;
}

test.each([
  ['cloudflared', { name: 'cloudflared', base: 'cloudflared' }],
  ['cloudflared.service', { name: 'cloudflared', base: 'cloudflared' }],
  ['backup@nas', { name: 'backup@nas', base: 'backup', instance: 'nas' }],
  ['a@b@c.service', { name: 'a@b@c', base: 'a', instance: 'b@c' }],
  ['my\\x20svc:1', { name: 'my\\x20svc:1', base: 'my\\x20svc:1' }],
  ['ssh.socket.service', { name: 'ssh.socket', base: 'ssh.socket' }],
  ['a.service.service', { name: 'a.service', base: 'a.service' }],
  ['__proto__', { name: '__proto__', base: '__proto__' }],
  ['x'.repeat(239), { name: 'x'.repeat(239), base: 'x'.repeat(239) }],
])('%s is a service', (key, expected) => {
  expect(parse(key)).toEqual(expected);
});

test('the names of all units that go with a service fit into a file system, the drop-in’s directory too', () => {
  const [longest = ''] = ['x'.repeat(239)];
  const name = parse(longest);
  expect(name && `${companionName(name, 'secrets')}.service`.length).toBe(255);
  expect(`${longest}.service.d`.length).toBeLessThanOrEqual(255);
});

test.each([
  ['litellm', 'litellm-secrets'],
  ['backup@nas', 'backup-secrets@nas'],
  ['a@b@c', 'a-secrets@b@c'],
])('the companion of %s is %s', (key, expected) => {
  const name = parse(key);
  expect(name && companionName(name, 'secrets')).toBe(expected);
});

test('no two services have the same companion', () => {
  fc.assert(
    fc.property(services, (list) => {
      const companions = list.flatMap((name) =>
        ['secrets', 'config'].map((suffix) => companionName(name, suffix)),
      );
      expect(new Set(companions).size).toBe(companions.length);
    }),
  );
});

test('no service has a companion that is a unit of ours', () => {
  fc.assert(
    fc.property(service, (name) => {
      for (const suffix of ['secrets', 'config', 'retry'])
        expect(companionName(name, suffix)).not.toMatch(/^unit-secrets-/);
    }),
  );
});

test('no two services have the same directory, and a directory leads back to its service', () => {
  fc.assert(
    fc.property(services, (list) => {
      const directories = list.map(({ name }) => directoryName(name));
      expect(new Set(directories).size).toBe(directories.length);
      expect(directories.map((directory) => parse(unitOfDirectory(directory)))).toEqual(list);
    }),
  );
});

test('a directory’s name has nothing that means something else in a path of a unit file', () => {
  fc.assert(
    fc.property(service, ({ name }) => {
      expect(directoryName(name)).toMatch(/^[A-Za-z0-9_,+-][A-Za-z0-9_.,+@-]*$/);
    }),
  );
});

test('a service is found again by its key, with or without .service', () => {
  fc.assert(
    fc.property(service, (name) => {
      expect(parse(serviceKey(name))).toEqual(name);
      expect(parse(`${name.name}.service`)).toEqual(name);
    }),
  );
  expect(
    ['a', 'a.service.service', 'a.socket.service'].map((key) => serviceKey(parse(key) as ServiceName)),
  ).toEqual(['a', 'a.service.service', 'a.socket.service']);
});
