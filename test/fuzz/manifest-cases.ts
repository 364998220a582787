/** Manifests that are in order, nearly so, or not at all. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mutateBytes, oddText, type Random, trouble } from './random.ts';

/** JSON as it is written: members may be given twice, and a text may stand for anything. */
type Node = string | number | boolean | null | readonly Node[] | Raw | Members;
interface Raw {
  readonly raw: string;
}
interface Members {
  readonly members: readonly (readonly [string, Node])[];
}

export interface ManifestCase {
  readonly bytes: Buffer;
  readonly how: 'structured' | 'bytes';
  /** Names of services that it had before it was damaged, and names of other things in the same form. */
  readonly services: readonly string[];
  readonly others: readonly string[];
}

const repository = join(import.meta.dirname, '../..');

/** Manifests of the examples and fixtures, to be damaged. */
export const corpus: readonly Buffer[] = ['examples', 'fixtures'].flatMap((directory) =>
  readdirSync(join(repository, directory), { recursive: true, withFileTypes: true })
    .filter(
      (entry) => entry.isFile() && /\/root\/etc\/unit-secrets\/|examples\//.test(`${entry.parentPath}/`),
    )
    .filter((entry) => entry.name.endsWith('.json') && entry.name !== 'vault.json')
    .map((entry) => readFileSync(join(entry.parentPath, entry.name))),
);

/** A file of the manifest: `main` may have settings for all. */
export function manifestCase(random: Random, main: boolean): ManifestCase {
  if (random.chance(0.0005)) return { bytes: bulk(random), how: 'bytes', services: [], others: [] };
  if (random.chance(0.25)) {
    const base = random.pick(corpus);
    return { bytes: mutateBytes(random, base, corpus), how: 'bytes', ...namesIn(base) };
  }
  let tree: Node = manifestTree(random, main);
  for (let round = random.pick([0, 0, 0, 1, 1, 2, 3]); round > 0; round--) tree = damage(random, tree);
  const bytes = Buffer.from(write(random, tree), 'utf8');
  const names = namesIn(bytes);
  return random.chance(0.2)
    ? { bytes: mutateBytes(random, bytes, corpus), how: 'bytes', ...names }
    : { bytes, how: 'structured', ...names };
}

/** A megabyte of one thing, which costs a parser that looks back for each of its errors too much. */
function bulk(random: Random): Buffer {
  const piece = random.pick([
    ...[
      '{',
      '[',
      '"',
      '\\"',
      '@ ',
      '"a" "b" ',
      '"a":{},',
      '{"services":{',
      '"\\u0041',
      '\n',
      '\0',
      ' ',
      '\xff',
      '"a":1,',
    ],
    ...[
      '"A-1":1,',
      '}',
      ',',
      '//',
      '/*',
      '"x": {"environment": {"A-B": 1}}, ',
      '"a":{"environment":{"A":"x"}},',
    ],
  ]);
  const text = piece.repeat(Math.ceil(random.pick([100_000, 1_000_000]) / piece.length));
  return Buffer.from(
    random.pick([text, `{"services":{${text}`, `{"version":1,"services":{"a":{"environment":{${text}}}}}`]),
  );
}

/** What a text names before it is damaged; nothing, if it is no JSON to begin with. */
function namesIn(bytes: Buffer): { services: readonly string[]; others: readonly string[] } {
  const services: string[] = [];
  const others: string[] = [];
  try {
    const value = JSON.parse(bytes.toString('utf8')) as Record<
      string,
      Record<string, Record<string, object>>
    >;
    if (isObject(value['services'])) services.push(...Object.keys(value['services']));
    if (isObject(value['sshKeys'])) others.push(...Object.keys(value['sshKeys']));
    for (const entry of Object.values(isObject(value['services']) ? value['services'] : {})) {
      for (const kind of ['files', 'configs']) {
        const files = isObject(entry) ? entry[kind] : undefined;
        if (isObject(files)) others.push(...Object.keys(files));
      }
    }
  } catch {}
  return { services, others };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const object = (...members: readonly (readonly [string, Node] | undefined)[]): Members => ({
  members: members.filter((member) => member !== undefined),
});
const maybe = (random: Random, probability: number, name: string, make: () => Node) =>
  random.chance(probability) ? ([name, make()] as const) : undefined;

function manifestTree(random: Random, main: boolean): Node {
  return object(
    maybe(random, 0.3, '$schema', () => '/usr/share/unit-secrets/manifest.schema.json'),
    random.chance(main ? 0.97 : 0.5) ? ['version', random.chance(0.98) ? 1 : odd(random)] : undefined,
    main ? maybe(random, 0.5, 'provider', () => provider(random)) : undefined,
    main ? maybe(random, 0.5, 'token', () => token(random)) : undefined,
    main ? maybe(random, 0.4, 'fetch', () => fetchSettings(random)) : undefined,
    maybe(random, 0.95, 'services', () =>
      object(...random.list(0, 4, () => [serviceName(random), service(random)] as const)),
    ),
    maybe(random, 0.25, 'sshKeys', () =>
      object(...random.list(0, 2, () => [userName(random), sshKeys(random)] as const)),
    ),
  );
}

function provider(random: Random): Node {
  return random.chance(0.5)
    ? object(['type', '1password'])
    : object(
        ['type', 'age-vault'],
        maybe(random, 0.5, 'path', () => path(random)),
        maybe(random, 0.5, 'identity', () => identity(random)),
      );
}

function token(random: Random): Node {
  return random.pick([
    () =>
      object(
        ['age', path(random)],
        maybe(random, 0.5, 'identity', () => identity(random)),
      ),
    () => object(['file', path(random)]),
    () => object(['credential', fileName(random)]),
  ])();
}

const identity = (random: Random): Node =>
  random.chance(0.5) ? path(random) : random.list(1, 3, () => path(random));

function fetchSettings(random: Random): Node {
  const duration = (): Node =>
    random.chance(0.95)
      ? random.pick(['1s', '4min', '1h 30min', '1.5h', '90', '52w', '2 d', '6M', '1year', '31557600'])
      : odd(random);
  return object(
    maybe(random, 0.5, 'tries', () => (random.chance(0.95) ? random.between(1, 100) : odd(random))),
    maybe(random, 0.5, 'timeout', duration),
    maybe(random, 0.5, 'retryEvery', duration),
  );
}

function serviceName(random: Random): string {
  const part = (most: number): string =>
    random.list(1, most, () => random.pick([...'abcxyzABC019:_.\\-'])).join('') +
    random.below(1e6).toString(36);
  const simple = `s${random.below(2 ** 32).toString(36)}`;
  return random.pick([
    () => simple,
    () => simple,
    () => simple,
    () => part(8),
    () => `${part(6)}@${part(6)}`,
    () => `${part(6)}@${part(3)}@${part(2)}`,
    () => `${simple}.service`,
    () =>
      random.pick([
        'app',
        'web',
        'app-secrets',
        'app-config',
        'app@x',
        'app-secrets@x',
        'web.service',
        'ssh-key-setup@alice',
      ]),
    () => simple.padEnd(random.pick([150, 183, 184, 238, 239, 240, 245, 246, 300]), 'x'),
    () => `${simple}@`,
    () =>
      `${simple}${random.pick(['.socket', '-', '.service.service', '@.service', '/x', ' ', '%n', '\n', 'é'])}`,
    () => `unit-secrets${simple}`,
    () => oddText(random),
  ])();
}

const userName = (random: Random): string =>
  random.chance(0.8)
    ? `u${random.below(2 ** 32).toString(36)}${random.pick(['', '.x', '_y', '-z'])}`
    : random.chance(0.5)
      ? 'alice'
      : oddText(random);

const fileName = (random: Random): string =>
  random.chance(0.9)
    ? random.list(1, 6, () => random.pick([...'abcXYZ019_-'])).join('') +
      random.pick(['', '.yaml', '.json', '.key', '.a.b'])
    : random.chance(0.3)
      ? 'n'.repeat(random.pick([254, 255, 256]))
      : oddText(random);

const variable = (random: Random): string =>
  random.chance(0.93)
    ? random.pick([...'ABCdef_']) + random.list(0, 6, () => random.pick([...'ABCdef_019'])).join('')
    : oddText(random);

function path(random: Random): string {
  return random.chance(0.7)
    ? random.pick([
        '/etc/a',
        '/',
        '/a b/%n',
        '/é/..x',
        '/etc/unit-secrets/t.yaml',
        '/x"y',
        "/x'y",
        '/a\\b',
        '/a;b',
        '/a#b',
        '/$x',
        '//a//b/',
        '/a/./b',
        '/a:b',
        '/%%',
        '/a\u2028b',
        '/a\x80b',
      ])
    : random.chance(0.1)
      ? `/${'p'.repeat(random.pick([100, 255, 256]))}${'/q'.repeat(random.pick([10, 1900, 2100]))}`
      : `/${oddText(random)}`;
}

const referencePart = (random: Random): string =>
  random.chance(0.95)
    ? `${random.pick([...'aZ0._-'])}${random.list(0, 5, () => random.pick([...'ab Z0._-'])).join('')}x`
    : oddText(random);

function reference(random: Random): string {
  const parts = random.list(3, random.chance(0.95) ? 4 : 6, () => referencePart(random)).join('/');
  const query = random.chance(0.9)
    ? random.pick(['', '', '', '?attribute=otp', '?attribute=totp', '?ssh-format=openssh'])
    : `?${oddText(random, 3)}`;
  return `op://${parts}${query}`;
}

function value(random: Random): Node {
  return random.pick<() => Node>([
    () => reference(random),
    () => reference(random),
    () => `${oddText(random, 3)}{{ ${reference(random)} }}${oddText(random, 3)}`,
    () => oddText(random),
    () => random.list(0, 30, () => String.fromCharCode(random.between(32, 126))).join(''),
    () =>
      random.chance(0.02)
        ? random
            .pick(['x', '"', '\x01', 'é', '\uffff', '🔑'])
            .repeat(random.pick([1000, 30_000, 131_050, 200_000, 600_000]))
        : 'x',
    () => (random.chance(0.2) ? odd(random) : 'plain'),
  ])();
}

function service(random: Random): Node {
  const inline = random.chance(0.15);
  const mode = () =>
    random.chance(0.9) ? random.pick(['0400', '0440', '0600', '640', '0000']) : odd(random);
  const file = () =>
    random.chance(0.5)
      ? value(random)
      : object(
          ['value', value(random)],
          maybe(random, 0.4, 'mode', mode),
          maybe(random, inline ? 0.02 : 0.3, 'credential', () => random.chance(0.9)),
        );
  const config = () =>
    object(
      ['template', path(random)],
      maybe(random, 0.3, 'format', () => random.pick(['json', 'yaml', 'toml', 'ini', 'env', 'text'])),
      maybe(random, 0.3, 'values', () =>
        object(...random.list(0, 2, () => [variable(random), value(random)] as const)),
      ),
      maybe(random, 0.3, 'mode', mode),
      maybe(random, 0.3, 'credential', () => true),
    );
  return object(
    maybe(random, 0.6, 'environment', () =>
      object(...random.list(0, 4, () => [variable(random), value(random)] as const)),
    ),
    maybe(random, inline ? 0.02 : 0.3, 'credentials', () =>
      object(...random.list(0, 3, () => [fileName(random), value(random)] as const)),
    ),
    maybe(random, 0.3, 'files', () =>
      object(...random.list(0, 3, () => [fileName(random), file()] as const)),
    ),
    maybe(random, inline ? 0.02 : 0.3, 'configs', () =>
      object(...random.list(0, 2, () => [fileName(random), config()] as const)),
    ),
    maybe(random, inline ? 0.02 : 0.3, 'group', () =>
      random.chance(0.9) ? random.pick(['litellm', '_x', 'a-b_9']) : oddText(random),
    ),
    maybe(random, inline ? 0.02 : 0.2, 'runtimeDirectory', () =>
      random.chance(0.8)
        ? `d${random.below(2 ** 32).toString(36)}`
        : random.chance(0.5)
          ? random.pick(['systemd', 'dbus', 'lock', 'x', 'unit-secrets-x'])
          : oddText(random),
    ),
    inline ? ['dynamicUser', random.chance(0.95) ? 'inline' : odd(random)] : undefined,
  );
}

function sshKeys(random: Random): Node {
  return object(
    maybe(random, 0.8, 'privateKey', () => value(random)),
    maybe(random, 0.5, 'publicKey', () => value(random)),
    maybe(random, 0.7, 'authorize', () => random.chance(0.9)),
    maybe(random, 0.3, 'file', () =>
      random.chance(0.7) ? random.pick(['id_ed25519', 'work.key']) : oddText(random),
    ),
  );
}

/** A value where another is expected. */
function odd(random: Random): Node {
  return random.pick<() => Node>([
    () => null,
    () => random.chance(0.5),
    () => ({
      raw: random.pick([
        '0',
        '-0',
        '1e999',
        '-1e999',
        '1E3',
        '1.0',
        '123456789012345678901234567890',
        '0.1e-400',
        '4294967296',
        '1e3',
      ]),
    }),
    () => random.below(200),
    () => [],
    () => object(),
    () => [null, 'x'],
    () => object(['__proto__', object(['version', 1])]),
    () => oddText(random),
    () => ({
      raw: `${'['.repeat(random.pick([3, 100, 5000]))}`.replace(
        /^(\[+)$/,
        (all) => all + ']'.repeat(all.length),
      ),
    }),
  ])();
}

const words = [
  ...[
    '$schema',
    'version',
    'provider',
    'token',
    'fetch',
    'services',
    'sshKeys',
    'environment',
    'credentials',
  ],
  ...[
    'files',
    'configs',
    'values',
    'group',
    'runtimeDirectory',
    'dynamicUser',
    'type',
    'path',
    'identity',
    'age',
  ],
  ...['file', 'credential', 'tries', 'timeout', 'retryEvery', 'value', 'mode', 'template', 'format'],
  ...[
    'privateKey',
    'publicKey',
    'authorize',
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'valueOf',
    '',
  ],
];

/** Changes a tree in one place, chosen at random on the way down. */
function damage(random: Random, node: Node): Node {
  if (typeof node === 'object' && node !== null && 'members' in node) {
    const { members } = node;
    if (members.length > 0 && random.chance(0.75)) {
      const at = random.below(members.length);
      return {
        members: members.map((member, i) => (i === at ? [member[0], damage(random, member[1])] : member)),
      };
    }
    const at = random.below(Math.max(1, members.length));
    const member = members[at] ?? ['x', 'x'];
    const others = members.filter((_, i) => i !== at);
    const put = (...more: readonly (readonly [string, Node])[]): Members => ({
      members: [...members.slice(0, at), ...more, ...members.slice(at + 1)],
    });
    return random.pick<() => Node>([
      () => ({ members: others }),
      () => put([random.pick(words), member[1]]),
      () => put([oddText(random), member[1]]),
      () => put([slip(random, member[0]), member[1]]),
      () => put(member, member),
      () => put(member, [member[0], odd(random)]),
      () => put([member[0], odd(random)], member),
      () => put(member, [random.pick(words), odd(random)]),
      () => put([member[0], [member[1]]]),
      () => put([member[0], object(['x', member[1]])]),
      () => odd(random),
    ])();
  }
  if (Array.isArray(node) && node.length > 0 && random.chance(0.7))
    return node.map((one: Node, i: number) => (i === 0 ? damage(random, one) : one));
  if (typeof node === 'string' && random.chance(0.6)) return slip(random, node);
  return odd(random);
}

/** A slip of the hand. */
function slip(random: Random, text: string): string {
  const at = random.below(text.length + 1);
  return random.pick([
    () => text.slice(0, at) + text.slice(at + 1),
    () => text.slice(0, at) + random.pick(trouble) + text.slice(at),
    () => text.toUpperCase(),
    () => `${text}s`,
    () => ` ${text}`,
    () => text.repeat(2),
    () =>
      text === '' || random.chance(0.8) ? text : text.repeat(Math.min(300, Math.ceil(3000 / text.length))),
  ])();
}

function write(random: Random, tree: Node): string {
  const layout = random.pick(['dense', 'dense', 'pretty', 'wide', 'crlf']);
  const escaping = random.chance(0.1);
  const end = layout === 'crlf' ? '\r\n' : '\n';
  const text = (value: string): string => {
    const quoted = JSON.stringify(value);
    return escaping
      ? quoted.replace(/[A-Za-z/]/g, (c, at: number) =>
          quoted[at - 1] === '\\' ||
          /\\u[0-9a-f]{0,3}$/.test(quoted.slice(Math.max(0, at - 5), at)) ||
          at % 7 > 0
            ? c
            : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
        )
      : quoted;
  };
  const list = (open: string, parts: readonly string[], close: string, depth: number): string => {
    if (layout === 'dense' || parts.length === 0) return `${open}${parts.join(',')}${close}`;
    if (layout === 'wide') return `${open} ${parts.join(' ,\t')} ${close}`;
    const indent = end + '  '.repeat(depth);
    return `${open}${indent}  ${parts.join(`,${indent}  `)}${indent}${close}`;
  };
  const one = (node: Node, depth: number): string => {
    if (typeof node === 'string') return text(node);
    if (typeof node !== 'object' || node === null) return String(node);
    if ('raw' in node) return node.raw;
    if ('members' in node) {
      const colon = layout === 'dense' ? ':' : layout === 'wide' ? ' : ' : ': ';
      return list(
        '{',
        node.members.map(([name, member]) => text(name) + colon + one(member, depth + 1)),
        '}',
        depth,
      );
    }
    return list(
      '[',
      node.map((element) => one(element, depth + 1)),
      ']',
      depth,
    );
  };
  return one(tree, 0) + (random.chance(0.5) ? end : '');
}
