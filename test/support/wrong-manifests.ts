/** A manifest with problems, and each problem as it is told, without the path of the file. */
export interface WrongManifest {
  readonly what: string;
  readonly text: string;
  readonly problems: readonly string[];
  /** A JSON Schema cannot say it, as its comment tells. */
  readonly schema?: 'cannot tell';
}

/** A manifest whose first service, at 1:26, is called so. */
const named = (key: string): string =>
  `{"version":1,"services":{${JSON.stringify(key)}:{"environment":{"A":"x"}}}}`;

/** A manifest in which the value of `A` is at 1:52. */
const valued = (text: string): string => `{"version":1,"services":{"app":{"environment":{"A":${text}}}}}`;

const member = (name: string, text: string): string => `{"version":1,"${name}":${text}}`;

const one = (what: string, text: string, ...problems: readonly string[]): WrongManifest => ({
  what,
  text,
  problems,
});

const untold = (...wrong: Parameters<typeof one>): WrongManifest => ({
  ...one(...wrong),
  schema: 'cannot tell',
});

const long = 'x'.repeat(240);

const notJson: readonly WrongManifest[] = [
  one('an empty file', '', '1:1: not valid JSON: the file is empty'),
  one('a file of blanks', ' \n\t', '1:1: not valid JSON: the file is empty'),
  one(
    'words',
    'version: 1',
    '1:1: not valid JSON: this is not a JSON value',
    '1:8: not valid JSON: a value is expected here',
  ),
  one('a comment', '{\n  // the version\n  "version": 1\n}', '2:3: not valid JSON: JSON has no comments'),
  one(
    'a comma too many',
    '{\n  "version": 1,\n}',
    '3:1: not valid JSON: a member name in double quotes is expected here',
  ),
  one(
    'a comma too few',
    '{\n  "version": 1\n  "services": {}\n}',
    '3:3: not valid JSON: a comma is expected here',
  ),
  one('text behind the end', '{"version":1}\n}', '2:1: not valid JSON: the end of the file is expected here'),
  one(
    'a byte order mark',
    '\ufeff{"version":1}',
    '1:1: not valid JSON: the file begins with a byte order mark, which JSON does not have',
  ),
  one(
    'a control character in a string',
    '{"$schema":"a\tb","version":1}',
    '1:12: not valid JSON: a control character must be written as an escape',
  ),
  one(
    'an escape that JSON does not have',
    '{"$schema":"\\x","version":1}',
    '1:12: not valid JSON: this is not a valid escape',
  ),
  one(
    'a file cut off in a string',
    '{\n  "version": 1,\n  "services": {"app": {"environment": {"A": "op://',
    '3:45: not valid JSON: this string is not closed',
    '3:51: not valid JSON: a closing brace "}" is expected here',
  ),
  one(
    'a file cut off after a member',
    '{\r\n  "version": 1',
    '2:15: not valid JSON: a closing brace "}" is expected here',
  ),
  one(
    'a name without quotes',
    '{version: 1}',
    '1:2: not valid JSON: this is not a JSON value',
    '1:9: not valid JSON: a member name in double quotes is expected here',
    '1:12: not valid JSON: a value is expected here',
  ),
];

const shapes: readonly WrongManifest[] = [
  one('an array', '[]', '1:1: $: the manifest must be an object, this is an array'),
  one('null', 'null', '1:1: $: the manifest must be an object, this is null'),
  one('no version', '{}', '1:1: $: the member "version" is missing (add "version": 1)'),
  one('another version', '{"version":2}', '1:12: $.version: the version must be the number 1'),
  one('a version in quotes', '{"version":"1"}', '1:12: $.version: the version must be the number 1'),
  one(
    'a misspelt member',
    member('service', '{}'),
    '1:14: $.service: unknown member "service" (did you mean "services"?)',
  ),
  one(
    'an unknown member',
    member('colour', '1'),
    '1:14: $.colour: unknown member "colour" (known are "$schema", "version", "provider", "token", "fetch", "services")',
  ),
  one(
    'a member called __proto__',
    member('__proto__', '{"version":1}'),
    '1:14: $.__proto__: unknown member "__proto__" (known are "$schema", "version", "provider", "token", "fetch", "services")',
  ),
  one(
    'a member of a later version',
    member('sshKeys', '{}'),
    '1:14: $.sshKeys: "sshKeys" is not supported by this version yet (remove it)',
  ),
  one(
    'a $schema that is a number',
    member('$schema', '1'),
    '1:24: $["$schema"]: must be a string, this is a number',
  ),
  one(
    'a provider that is text',
    member('provider', '"1password"'),
    '1:25: $.provider: must be an object, this is a string',
  ),
  one(
    'a provider without a type',
    member('provider', '{}'),
    '1:25: $.provider: the member "type" is missing (one of "1password", "age-vault")',
  ),
  one(
    'a misspelt provider',
    member('provider', '{"type":"1pasword"}'),
    '1:33: $.provider.type: unknown provider "1pasword" (did you mean "1password"?)',
  ),
  one(
    'an unknown provider',
    member('provider', '{"type":"hashicorp"}'),
    '1:33: $.provider.type: unknown provider "hashicorp" (known are "1password", "age-vault")',
  ),
  one(
    'a provider whose type is a number',
    member('provider', '{"type":1}'),
    '1:33: $.provider.type: must be a string, this is a number',
  ),
  one(
    'a provider with a member of another',
    member('provider', '{"type":"1password","path":"/a"}'),
    '1:45: $.provider.path: unknown member "path" (known are "type")',
  ),
  one(
    'a vault with a relative path',
    member('provider', '{"type":"age-vault","path":"vault.age"}'),
    '1:52: $.provider.path: must be an absolute path without ".." and control characters',
  ),
  one(
    'a vault without identities',
    member('provider', '{"type":"age-vault","identity":[]}'),
    '1:56: $.provider.identity: must name at least one identity file',
  ),
  one(
    'a vault with an identity above',
    member('provider', '{"type":"age-vault","identity":["/a","/b/../c"]}'),
    '1:62: $.provider.identity[1]: must be an absolute path without ".." and control characters',
  ),
  one(
    'a token that is text',
    member('token', '"/etc/token"'),
    '1:22: $.token: must be an object, this is a string',
  ),
  one(
    'a token without a place',
    member('token', '{}'),
    '1:22: $.token: must say where the token is ({"age": PATH} or {"file": PATH})',
  ),
  one(
    'a token with an identity only',
    member('token', '{"identity":"/a"}'),
    '1:22: $.token: must say where the token is ({"age": PATH} or {"file": PATH})',
  ),
  one(
    'a token in two places',
    member('token', '{"age":"/a","file":"/b"}'),
    '1:22: $.token: says both "age" and "file" (keep the one where the token is)',
  ),
  one(
    'a token file with an identity',
    member('token', '{"file":"/b","identity":"/a"}'),
    '1:35: $.token.identity: "identity" goes with "age" only',
  ),
  one(
    'a token in a credential',
    member('token', '{"credential":"token"}'),
    '1:23: $.token.credential: "credential" is not supported by this version yet (remove it)',
  ),
  one(
    'a token with a control character in its path',
    member('token', '{"file":"/a\\n"}'),
    '1:30: $.token.file: must be an absolute path without ".." and control characters',
  ),
  one(
    'a token whose path is null',
    member('token', '{"age":null}'),
    '1:29: $.token.age: must be a string, this is null',
  ),
  one(
    'fetch settings in a list',
    member('fetch', '[]'),
    '1:22: $.fetch: must be an object, this is an array',
  ),
  one(
    'a misspelt fetch setting',
    member('fetch', '{"retryevry":"1s"}'),
    '1:23: $.fetch.retryevry: unknown member "retryevry" (did you mean "retryEvery"?)',
  ),
  one(
    'no tries',
    member('fetch', '{"tries":0}'),
    '1:31: $.fetch.tries: must be a whole number from 1 to 100',
  ),
  one(
    'too many tries',
    member('fetch', '{"tries":101}'),
    '1:31: $.fetch.tries: must be a whole number from 1 to 100',
  ),
  one(
    'a part of a try',
    member('fetch', '{"tries":1.5}'),
    '1:31: $.fetch.tries: must be a whole number from 1 to 100',
  ),
  one(
    'tries in quotes',
    member('fetch', '{"tries":"12"}'),
    '1:31: $.fetch.tries: must be a whole number from 1 to 100',
  ),
  one(
    'a timeout as a number',
    member('fetch', '{"timeout":240}'),
    '1:33: $.fetch.timeout: must be a string, this is a number',
  ),
  one(
    'a timeout in unknown units',
    member('fetch', '{"timeout":"4 fortnights"}'),
    '1:33: $.fetch.timeout: must be a duration of one second to 52 weeks, such as "4min" or "1h 30min"',
  ),
  one(
    'a timeout without end',
    member('fetch', '{"timeout":"infinity"}'),
    '1:33: $.fetch.timeout: must be a duration of one second to 52 weeks, such as "4min" or "1h 30min"',
  ),
  untold(
    'a timeout that is too short',
    member('fetch', '{"timeout":"999ms"}'),
    '1:33: $.fetch.timeout: must be a duration of one second to 52 weeks, such as "4min" or "1h 30min"',
  ),
  untold(
    'a retry after more than 52 weeks',
    member('fetch', '{"retryEvery":"52w 1s"}'),
    '1:36: $.fetch.retryEvery: must be a duration of one second to 52 weeks, such as "4min" or "1h 30min"',
  ),
  one(
    'services in a list',
    member('services', '[]'),
    '1:25: $.services: must be an object, this is an array',
  ),
  one(
    'services that are null',
    member('services', 'null'),
    '1:25: $.services: must be an object, this is null',
  ),
];

const serviceNames: readonly WrongManifest[] = [
  one('an empty unit name', named(''), '1:26: $.services[""]: "" is not a unit name: it is empty'),
  one(
    'a unit name of nothing but its type',
    named('.service'),
    '1:26: $.services[".service"]: ".service" is not a unit name: it is empty',
  ),
  one(
    'a unit name with a slash',
    named('a/b'),
    '1:26: $.services["a/b"]: "a/b" is not a unit name: it has the character "/"; systemd-escape gives the name to write',
  ),
  one(
    'a unit name with a blank',
    named('a b'),
    '1:26: $.services["a b"]: "a b" is not a unit name: it has the character " "; systemd-escape gives the name to write',
  ),
  one(
    'a unit name with an umlaut',
    named('zähler'),
    '1:26: $.services["zähler"]: "zähler" is not a unit name: it has the character "ä"; systemd-escape gives the name to write',
  ),
  one(
    'a unit name with an emoji',
    named('🔑'),
    '1:26: $.services["🔑"]: "🔑" is not a unit name: it has the character "🔑"; systemd-escape gives the name to write',
  ),
  one(
    'a unit name with a percent sign',
    named('a%b'),
    '1:26: $.services["a%b"]: "a%b" is not a unit name: it has the character "%"; systemd-escape gives the name to write',
  ),
  one(
    'a unit name with a plus sign',
    named('a+b'),
    '1:26: $.services["a+b"]: "a+b" is not a unit name: it has the character "+"; systemd-escape gives the name to write',
  ),
  one(
    'a unit name with a line end',
    named('a\n'),
    '1:26: $.services["a\\n"]: "a\\n" is not a unit name: it has the character "\\n"; systemd-escape gives the name to write',
  ),
  one(
    'a unit name that begins with @',
    named('@a'),
    '1:26: $.services["@a"]: "@a" is not a unit name: it begins with "@"',
  ),
  one(
    'a unit name that begins with a dot',
    named('..'),
    '1:26: $.services[".."]: ".." is not a unit name: it begins with "."',
  ),
  one(
    'a template',
    named('backup@'),
    '1:26: $.services["backup@"]: "backup@" is a template; name an instance, such as "backup@NAME"',
  ),
  one(
    'a template with its type',
    named('backup@.service'),
    '1:26: $.services["backup@.service"]: "backup@.service" is a template; name an instance, such as "backup@NAME"',
  ),
  one(
    'a socket',
    named('ssh.socket'),
    '1:26: $.services["ssh.socket"]: "ssh.socket" is a socket unit; only services get secrets',
  ),
  one(
    'a unit name of 240 characters',
    named(long),
    `1:26: $.services.${long}: "${long}" is longer than the 239 characters that leave room for "-secrets.service"`,
  ),
  one(
    'a unit of our own',
    named('unit-secrets-token.service'),
    '1:26: $.services["unit-secrets-token.service"]: "unit-secrets-token.service" is a name that unit-secrets keeps for itself',
  ),
];

const services: readonly WrongManifest[] = [
  one(
    'a service that is text',
    member('services', '{"app":"x"}'),
    '1:32: $.services.app: must be an object, this is a string',
  ),
  one(
    'a service that is given nothing',
    member('services', '{"app":{}}'),
    '1:32: $.services.app: the service is given nothing (add "environment")',
  ),
  one(
    'a misspelt member of a service',
    member('services', '{"app":{"enviroment":{}}}'),
    '1:33: $.services.app.enviroment: unknown member "enviroment" (did you mean "environment"?)',
  ),
  one(
    'a member of a service of a later version',
    member('services', '{"app":{"files":{}}}'),
    '1:33: $.services.app.files: "files" is not supported by this version yet (remove it)',
  ),
  one(
    'an environment in a list',
    member('services', '{"app":{"environment":["A"]}}'),
    '1:47: $.services.app.environment: must be an object, this is an array',
  ),
  one(
    'a variable with a dash',
    member('services', '{"app":{"environment":{"A-B":"x"}}}'),
    '1:48: $.services.app.environment["A-B"]: "A-B" is not the name of an environment variable (letters, digits and "_", not beginning with a digit)',
  ),
  one(
    'a variable with an empty name',
    member('services', '{"app":{"environment":{"":"x"}}}'),
    '1:48: $.services.app.environment[""]: "" is not the name of an environment variable (letters, digits and "_", not beginning with a digit)',
  ),
  one(
    'a variable that begins with a digit',
    member('services', '{"app":{"environment":{"1A":"x"}}}'),
    '1:48: $.services.app.environment["1A"]: "1A" is not the name of an environment variable (letters, digits and "_", not beginning with a digit)',
  ),
  one(
    'a value that is a number',
    valued('5432'),
    '1:52: $.services.app.environment.A: must be a string, this is a number',
  ),
  one(
    'a value that is null',
    valued('null'),
    '1:52: $.services.app.environment.A: must be a string, this is null',
  ),
  one(
    'a value with a NUL',
    valued('"a\\u0000b"'),
    '1:52: $.services.app.environment.A: the value of A contains a NUL byte, which no environment variable can carry',
  ),
  one(
    'a value with a noncharacter',
    valued('"\\ufffe"'),
    '1:52: $.services.app.environment.A: the value of A contains a Unicode noncharacter, which systemd does not accept in environment files',
  ),
  one(
    'a value with a noncharacter of another plane',
    valued('"\\ud83f\\udfff"'),
    '1:52: $.services.app.environment.A: the value of A contains a Unicode noncharacter, which systemd does not accept in environment files',
  ),
  one(
    'a value with half a character',
    valued('"\\ud800"'),
    '1:52: $.services.app.environment.A: the value of A is not valid Unicode',
  ),
  untold(
    'a value of more than 128 KiB',
    valued(`"${'é'.repeat(65_535)}"`),
    '1:52: $.services.app.environment.A: the value of A is longer than the 128 KiB that an environment variable can carry',
  ),
  untold(
    'the same service by two names',
    member('services', '{"a":{"environment":{}},"a.service":{"environment":{}}}'),
    '1:49: $.services["a.service"]: "a.service" is the same service as "a"',
  ),
  untold(
    'a service that is generated for another',
    member('services', '{"a":{"environment":{}},"a-secrets":{"environment":{}}}'),
    '1:49: $.services["a-secrets"]: "a-secrets" is the name of a unit generated for "a"',
  ),
  untold(
    'an instance that is generated for another',
    member('services', '{"a-config@b":{"environment":{}},"a@b":{"environment":{}}}'),
    '1:26: $.services["a-config@b"]: "a-config@b" is the name of a unit generated for "a@b"',
  ),
  one(
    'several errors at once',
    member('services', '{"a":{"environment":{"A":1,"B":"op://x"}},"b c":{},"d":[]}'),
    '1:50: $.services.a.environment.A: must be a string, this is a number',
    '1:56: $.services.a.environment.B: a secret reference has three or four parts, op://vault/item/[section/]field, this one has 1',
    '1:67: $.services["b c"]: "b c" is not a unit name: it has the character " "; systemd-escape gives the name to write',
    '1:80: $.services.d: must be an object, this is an array',
  ),
];

const references: readonly WrongManifest[] = [
  [
    'of no parts',
    'op://',
    'a secret reference has three or four parts, op://vault/item/[section/]field, this one has 1',
  ],
  [
    'of two parts',
    'op://vault/item',
    'a secret reference has three or four parts, op://vault/item/[section/]field, this one has 2',
  ],
  [
    'of five parts',
    'op://a/b/c/d/e',
    'a secret reference has three or four parts, op://vault/item/[section/]field, this one has 5',
  ],
  ['with an empty vault', 'op:///item/field', 'the vault part of the reference is empty'],
  ['with a blank item', 'op://vault/ /field', 'the item part of the reference is empty'],
  ['with an empty section', 'op://vault/item//field', 'the section part of the reference is empty'],
  ['with an empty field', 'op://vault/item/section/', 'the field part of the reference is empty'],
  [
    'with a bracket',
    'op://vault/item (old)/field',
    'the item part of the reference has the character "(", which references cannot carry; use the id instead of the name',
  ],
  [
    'with an umlaut',
    'op://vault/item/schlüssel',
    'the field part of the reference has the character "ü", which references cannot carry; use the id instead of the name',
  ],
  [
    'with an emoji',
    'op://🔑/item/field',
    'the vault part of the reference has the character "🔑", which references cannot carry; use the id instead of the name',
  ],
  [
    'with a line end',
    'op://vault/item/field\n',
    'the field part of the reference has the character "\\n", which references cannot carry; use the id instead of the name',
  ],
  [
    'with an unknown query',
    'op://vault/item/field?attribute=value',
    'the query of the reference is none of attribute=otp, attribute=totp, ssh-format=openssh',
  ],
  [
    'with an empty query',
    'op://vault/item/field?',
    'the query of the reference is none of attribute=otp, attribute=totp, ssh-format=openssh',
  ],
  [
    'with braces that are not closed',
    'x{{ op://a/b/c',
    '"{{" is not closed by "}}"; write {{ "{{" }} for two braces',
  ],
  ['with braces that hold nothing', '{{}}', 'between "{{" and "}}": a secret reference begins with "op://"'],
  [
    'with braces that hold something else',
    '{{ NAME }}',
    'between "{{" and "}}": a secret reference begins with "op://"',
  ],
  [
    'with a bad reference in braces',
    'x{{ op://a/b }}',
    'between "{{" and "}}": a secret reference has three or four parts, op://vault/item/[section/]field, this one has 2',
  ],
].map(([what = '', text = '', message = '']) =>
  one(`a value ${what}`, valued(JSON.stringify(text)), `1:52: $.services.app.environment.A: ${message}`),
);

const twice: readonly WrongManifest[] = [
  untold(
    'a member given twice',
    '{\n  "version": 1,\n  "version": 1\n}',
    '3:3: $.version: this member is given twice',
  ),
  untold(
    'a service given twice',
    member('services', '{"a":{"environment":{}},"a":{"environment":{}}}'),
    '1:49: $.services.a: this member is given twice',
  ),
  untold(
    'a variable given twice',
    valued('"x","A":"y"'),
    '1:56: $.services.app.environment.A: this member is given twice',
  ),
  untold(
    'a variable given twice, once with an escape',
    valued('"x","\\u0041":"y"'),
    '1:56: $.services.app.environment.A: this member is given twice',
  ),
];

export const wrong: readonly WrongManifest[] = [
  ...notJson,
  ...twice,
  ...shapes,
  ...serviceNames,
  ...services,
  ...references,
];
