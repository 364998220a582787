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

/** A manifest whose service `app` has this entry, at 1:32. */
const app = (entry: string): string => member('services', `{"app":${entry}}`);

const long = 'x'.repeat(240);
const tooLong = 'x'.repeat(256);

const notJson: readonly WrongManifest[] = [
  one('an empty file', '', '1:1: not valid JSON: the file is empty'),
  one('a file of blanks', ' \n\t', '1:1: not valid JSON: the file is empty'),
  one('words', 'version: 1', '1:1: not valid JSON: this is not a JSON value'),
  one('a comment', '{\n  // the version\n  "version": 1\n}', '2:3: not valid JSON: JSON has no comments'),
  one(
    'a comma too many',
    '{\n  "version": 1,\n}',
    '2:15: not valid JSON: JSON has no comma behind the last member or element',
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
    '3:51: not valid JSON: the file ends here, and a closing brace "}" is missing',
  ),
  one(
    'a file cut off after a member',
    '{\r\n  "version": 1',
    '2:15: not valid JSON: the file ends here, and a closing brace "}" is missing',
  ),
  one('a name without quotes', '{version: 1}', '1:2: not valid JSON: this is not a JSON value'),
];

const nearlyJson: readonly WrongManifest[] = [
  one(
    'several things from other formats, and what else is wrong',
    "\ufeff{\n  'version': 1\n}",
    '1:1: not valid JSON: the file begins with a byte order mark, which JSON does not have',
    '2:3: not valid JSON: a string stands in double quotes',
  ),
  one(
    'a comment, and an entry that is wrong',
    '{\n  "version": 1, // yes\n  "services": {"app": {"environmet": {}},}\n}',
    '2:17: not valid JSON: JSON has no comments',
    '3:41: not valid JSON: JSON has no comma behind the last member or element',
    '3:24: $.services.app.environmet: unknown member "environmet" (did you mean "environment"?)',
  ),
  one(
    'a comma too many in a list',
    member('token', '{"age":"/a","identity":["/b",]}'),
    '1:50: not valid JSON: JSON has no comma behind the last member or element',
  ),
];

const manyFaults: readonly WrongManifest[] = [
  one(
    'two bad references in one value',
    valued('"{{ op://a }}{{ op://b }}{{"'),
    '1:52: $.services.app.environment.A: between "{{" and "}}": a secret reference has three or four parts, op://vault/item/[section/]field, this one has 1',
    '1:52: $.services.app.environment.A: between "{{" and "}}": a secret reference has three or four parts, op://vault/item/[section/]field, this one has 1',
    '1:52: $.services.app.environment.A: "{{" is not closed by "}}"; write {{ "{{" }} for two braces',
  ),
  one(
    'several faults in one reference',
    valued('"op://v+/i/?x"'),
    '1:52: $.services.app.environment.A: the vault part of the reference has the character "+", which references cannot carry; use the id instead of the name; and the field part of the reference is empty; and the query of the reference is none of attribute=otp, attribute=totp, ssh-format=openssh',
  ),
  one(
    'a token in two places that are wrong',
    member('token', '{"age":"a","file":"b"}'),
    '1:22: $.token: says both "age" and "file" (keep the one where the token is)',
    '1:40: $.token.file: must be an absolute path without ".." and control characters',
    '1:29: $.token.age: must be an absolute path without ".." and control characters',
  ),
  one(
    'a misspelt place of the token',
    member('token', '{"flie":"/b"}'),
    '1:23: $.token.flie: unknown member "flie" (did you mean "file"?)',
  ),
  one(
    'an entry that is wrong in name and content',
    member('services', '{"a b":{"environment":{"A":1},"modes":{}}}'),
    '1:26: $.services["a b"]: "a b" is not a unit name: it has the character " "; systemd-escape gives the name to write',
    '1:55: $.services["a b"].modes: unknown member "modes" (known are "environment", "credentials", "files", "configs", "group", "dynamicUser", "runtimeDirectory")',
    '1:52: $.services["a b"].environment.A: must be a string, this is a number (put it in double quotes)',
  ),
];

const shapes: readonly WrongManifest[] = [
  one('an array', '[]', '1:1: $: the manifest must be an object, this is an array'),
  one('null', 'null', '1:1: $: the manifest must be an object, this is null'),
  one('no version', '{}', '1:1: $: the member "version" is missing (add "version": 1)'),
  one(
    'another version',
    '{"version":2}',
    '1:12: $.version: the version must be the number 1 (write "version": 1)',
  ),
  one(
    'a version in quotes',
    '{"version":"1"}',
    '1:12: $.version: the version must be the number 1 (write "version": 1)',
  ),
  one(
    'a misspelt member',
    member('service', '{}'),
    '1:14: $.service: unknown member "service" (did you mean "services"?)',
  ),
  one(
    'an unknown member',
    member('colour', '1'),
    '1:14: $.colour: unknown member "colour" (known are "$schema", "version", "provider", "token", "fetch", "services", "sshKeys")',
  ),
  one(
    'a member called __proto__',
    member('__proto__', '{"version":1}'),
    '1:14: $.__proto__: unknown member "__proto__" (known are "$schema", "version", "provider", "token", "fetch", "services", "sshKeys")',
  ),
  one(
    'a $schema that is a number',
    member('$schema', '1'),
    '1:24: $["$schema"]: must be a string, this is a number',
  ),
  one(
    'a provider that is text',
    member('provider', '"1password"'),
    '1:25: $.provider: must be an object, this is a string (such as {"type": "1password"})',
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
    '1:33: $.provider.type: must be a string, this is a number (known are "1password", "age-vault")',
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
    '1:22: $.token: must be an object, this is a string ({"age": PATH}, {"file": PATH} or {"credential": ID})',
  ),
  one(
    'a token without a place',
    member('token', '{}'),
    '1:22: $.token: must say where the token is ({"age": PATH}, {"file": PATH} or {"credential": ID})',
  ),
  one(
    'a token with an identity only',
    member('token', '{"identity":"/a"}'),
    '1:22: $.token: must say where the token is ({"age": PATH}, {"file": PATH} or {"credential": ID})',
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
    'a token with a control character in its path',
    member('token', '{"file":"/a\\n"}'),
    '1:30: $.token.file: must be an absolute path without ".." and control characters',
  ),
  one(
    'a token whose path no unit file can carry',
    member('token', '{"file":"/a\uffff"}'),
    '1:30: $.token.file: has a character that unit files cannot carry',
  ),
  one(
    'a token whose path is half a character',
    member('token', '{"file":"/a\\ud800"}'),
    '1:30: $.token.file: has a character that unit files cannot carry',
  ),
  one(
    'a token with too long a path',
    member('token', `{"file":"${'/abc'.repeat(1024)}"}`),
    '1:30: $.token.file: is longer than the 4095 bytes of a path',
  ),
  one(
    'a token with too long a name in its path',
    member('token', `{"file":"/a/${tooLong}"}`),
    "1:30: $.token.file: has a part that is longer than the 255 bytes of a file's name",
  ),
  one(
    'a token credential with too long an ID',
    member('token', `{"credential":"${tooLong}"}`),
    '1:36: $.token.credential: must be the ID of a credential (letters, digits, ".", "_" and "-", not beginning with ".")',
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
    '1:31: $.fetch.tries: must be a whole number from 1 to 100 (without quotes)',
  ),
  one(
    'a timeout as a number',
    member('fetch', '{"timeout":240}'),
    '1:33: $.fetch.timeout: must be a string, this is a number (with a unit, such as "4min")',
  ),
  one(
    'a timeout in unknown units',
    member('fetch', '{"timeout":"4 fortnights"}'),
    '1:33: $.fetch.timeout: must be a duration of one second to one year, such as "4min" or "1h 30min" (its units are us, ms, s, min, h, d, w, month and y)',
  ),
  one(
    'a timeout without end',
    member('fetch', '{"timeout":"infinity"}'),
    '1:33: $.fetch.timeout: must not be "infinity": a fetch that never ends would hold up the boot (a duration of one second to one year; its units are us, ms, s, min, h, d, w, month and y)',
  ),
  one(
    'a retry that never comes',
    member('fetch', '{"retryEvery":"infinity"}'),
    '1:36: $.fetch.retryEvery: must not be "infinity": a service whose secrets could not be fetched would stay down (a duration of one second to one year; its units are us, ms, s, min, h, d, w, month and y)',
  ),
  one(
    'a timeout that is too short',
    member('fetch', '{"timeout":"999ms"}'),
    '1:33: $.fetch.timeout: must be a duration of one second to one year, such as "4min" or "1h 30min"',
  ),
  untold(
    'a timeout that is too short in a unit that does not say so at once',
    member('fetch', '{"timeout":"0.01min"}'),
    '1:33: $.fetch.timeout: must be a duration of one second to one year, such as "4min" or "1h 30min"',
  ),
  untold(
    'a retry after more than a year',
    member('fetch', '{"retryEvery":"12M 1s"}'),
    '1:36: $.fetch.retryEvery: must be a duration of one second to one year, such as "4min" or "1h 30min"',
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
    '1:32: $.services.app: must be an object, this is a string (such as {"environment": {NAME: REFERENCE}})',
  ),
  one(
    'a service that is given nothing',
    member('services', '{"app":{}}'),
    '1:32: $.services.app: the service is given nothing (add "environment", "credentials", "files", "configs" or several)',
  ),
  one(
    'a misspelt member of a service',
    member('services', '{"app":{"enviroment":{}}}'),
    '1:33: $.services.app.enviroment: unknown member "enviroment" (did you mean "environment"?)',
  ),
  one(
    'an environment in a list',
    member('services', '{"app":{"environment":["A"]}}'),
    '1:47: $.services.app.environment: must be an object, this is an array',
  ),
  one(
    'a variable with a dash',
    member('services', '{"app":{"environment":{"A-B":"x"}}}'),
    '1:48: $.services.app.environment["A-B"]: "A-B" is not the name of an environment variable (letters, digits and "_", not beginning with a digit: "A_B" would be one)',
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
    '1:52: $.services.app.environment.A: must be a string, this is a number (put it in double quotes)',
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
    '1:49: $.services["a.service"]: "a.service" is the same service as "a" (keep one of them)',
  ),
  untold(
    'a service that is generated for another',
    member('services', '{"a":{"environment":{}},"a-secrets":{"environment":{}}}'),
    '1:49: $.services["a-secrets"]: "a-secrets" is the name of a unit generated for "a" (remove the entry or rename the service)',
  ),
  untold(
    'an instance that is generated for another',
    member('services', '{"a-config@b":{"environment":{}},"a@b":{"environment":{}}}'),
    '1:26: $.services["a-config@b"]: "a-config@b" is the name of the unit that renders configs of "a@b", should it have some (remove the entry or rename the service)',
  ),
  one(
    'several errors at once',
    member('services', '{"a":{"environment":{"A":1,"B":"op://x"}},"b c":{},"d":[]}'),
    '1:50: $.services.a.environment.A: must be a string, this is a number (put it in double quotes)',
    '1:56: $.services.a.environment.B: a secret reference has three or four parts, op://vault/item/[section/]field, this one has 1',
    '1:67: $.services["b c"]: "b c" is not a unit name: it has the character " "; systemd-escape gives the name to write',
    '1:73: $.services["b c"]: the service is given nothing (add "environment", "credentials", "files", "configs" or several)',
    '1:80: $.services.d: must be an object, this is an array (such as {"environment": {NAME: REFERENCE}})',
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
    'a secret reference has three or four parts, op://vault/item/[section/]field, this one has 2: the field is missing',
  ],
  [
    'of five parts',
    'op://a/b/c/d/e',
    'a secret reference has three or four parts, op://vault/item/[section/]field, this one has 5: what has "/" in its name has an id',
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
    'between "{{" and "}}": a secret reference has three or four parts, op://vault/item/[section/]field, this one has 2: the field is missing',
  ],
].map(([what = '', text = '', message = '']) =>
  one(`a value ${what}`, valued(JSON.stringify(text)), `1:52: $.services.app.environment.A: ${message}`),
);

const twice: readonly WrongManifest[] = [
  untold(
    'a member given twice',
    '{\n  "version": 1,\n  "version": 1\n}',
    '3:3: $.version: this member is given twice: keep one of them',
  ),
  untold(
    'a service given twice',
    member('services', '{"a":{"environment":{}},"a":{"environment":{}}}'),
    '1:49: $.services.a: this member is given twice: keep one of them',
  ),
  untold(
    'a variable given twice',
    valued('"x","A":"y"'),
    '1:56: $.services.app.environment.A: this member is given twice: keep one of them',
  ),
  untold(
    'a variable given twice, once with an escape',
    valued('"x","\\u0041":"y"'),
    '1:56: $.services.app.environment.A: this member is given twice: keep one of them',
  ),
];

const tokens: readonly WrongManifest[] = [
  one(
    'a token in a file and a credential',
    member('token', '{"file":"/b","credential":"t"}'),
    '1:22: $.token: says both "file" and "credential" (keep the one where the token is)',
  ),
  one(
    'a token credential with a blank',
    member('token', '{"credential":"my token"}'),
    '1:36: $.token.credential: must be the ID of a credential (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a token credential that begins with a dot',
    member('token', '{"credential":".token"}'),
    '1:36: $.token.credential: must be the ID of a credential (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a token credential with a path',
    member('token', '{"credential":"/etc/credstore.encrypted/token"}'),
    '1:36: $.token.credential: must be the ID of a credential (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a token credential that is a number',
    member('token', '{"credential":1}'),
    '1:36: $.token.credential: must be a string, this is a number',
  ),
  one(
    'a token credential with an identity',
    member('token', '{"credential":"t","identity":"/a"}'),
    '1:40: $.token.identity: "identity" goes with "age" only',
  ),
];

const deliveries: readonly WrongManifest[] = [
  one(
    'credentials in a list',
    app('{"credentials":["a"]}'),
    '1:47: $.services.app.credentials: must be an object, this is an array',
  ),
  one(
    'a credential with a blank',
    app('{"credentials":{"a b":"x"}}'),
    '1:48: $.services.app.credentials["a b"]: "a b" is not the ID of a credential (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a credential that begins with a dot',
    app('{"credentials":{".a":"x"}}'),
    '1:48: $.services.app.credentials[".a"]: ".a" is not the ID of a credential (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a credential with a colon',
    app('{"credentials":{"a:b":"x"}}'),
    '1:48: $.services.app.credentials["a:b"]: "a:b" is not the ID of a credential (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a credential with a slash',
    app('{"credentials":{"tls/key":"x"}}'),
    '1:48: $.services.app.credentials["tls/key"]: "tls/key" is not the ID of a credential (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a credential without a name',
    app('{"credentials":{"":"x"}}'),
    '1:48: $.services.app.credentials[""]: "" is not the ID of a credential (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a credential with a name of 256 characters',
    app(`{"credentials":{"${tooLong}":"x"}}`),
    `1:48: $.services.app.credentials.${tooLong}: "${tooLong}" is not the ID of a credential (at most 255 characters)`,
  ),
  one(
    'a credential with an object',
    app('{"credentials":{"a":{"value":"x"}}}'),
    '1:52: $.services.app.credentials.a: must be a string, this is an object',
  ),
  one(
    'a credential with a bad reference',
    app('{"credentials":{"a":"op://x"}}'),
    '1:52: $.services.app.credentials.a: a secret reference has three or four parts, op://vault/item/[section/]field, this one has 1',
  ),
  one(
    'a credential with a NUL',
    app('{"credentials":{"tls.key":"\\u0000"}}'),
    '1:58: $.services.app.credentials["tls.key"]: the value of "tls.key" contains a NUL byte',
  ),
  one(
    'files in a list',
    app('{"files":[]}'),
    '1:41: $.services.app.files: must be an object, this is an array',
  ),
  one(
    'a file with a path',
    app('{"files":{"../key":"x"}}'),
    '1:42: $.services.app.files["../key"]: "../key" is not the name of a file (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a hidden file',
    app('{"files":{".env":"x"}}'),
    '1:42: $.services.app.files[".env"]: ".env" is not the name of a file (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a file that is a number',
    app('{"files":{"key":1}}'),
    '1:48: $.services.app.files.key: must be an object, this is a number (or a string: a reference, or text with references in {{ … }})',
  ),
  one(
    'a file that is null',
    app('{"files":{"key":null}}'),
    '1:48: $.services.app.files.key: must be an object, this is null (or a string: a reference, or text with references in {{ … }})',
  ),
  one(
    'a file without a value',
    app('{"files":{"key":{"mode":"0400"}}}'),
    '1:48: $.services.app.files.key: the member "value" is missing (add "value": REFERENCE)',
  ),
  one(
    'a file with a misspelt member',
    app('{"files":{"key":{"value":"x","modes":"0400"}}}'),
    '1:61: $.services.app.files.key.modes: unknown member "modes" (did you mean "mode"?)',
  ),
  one(
    'a file with an owner',
    app('{"files":{"key":{"value":"x","owner":"app"}}}'),
    '1:61: $.services.app.files.key.owner: unknown member "owner" (known are "value", "mode", "credential")',
  ),
  one(
    'a file for all to read',
    app('{"files":{"key":{"value":"x","mode":"0644"}}}'),
    '1:68: $.services.app.files.key.mode: the mode is wider than "0640" (nobody but root and the group may read a secret)',
  ),
  one(
    'a file that its group may write',
    app('{"files":{"key":{"value":"x","mode":"0660"}}}'),
    '1:68: $.services.app.files.key.mode: the mode is wider than "0640" (nobody but root and the group may read a secret)',
  ),
  one(
    'a file that can be executed',
    app('{"files":{"key":{"value":"x","mode":"0700"}}}'),
    '1:68: $.services.app.files.key.mode: the mode is wider than "0640" (nobody but root and the group may read a secret)',
  ),
  one(
    'a file with set-user-ID',
    app('{"files":{"key":{"value":"x","mode":"4400"}}}'),
    '1:68: $.services.app.files.key.mode: must be a file mode in octal digits, such as "0400"',
  ),
  one(
    'a file with a mode in letters',
    app('{"files":{"key":{"value":"x","mode":"u=r"}}}'),
    '1:68: $.services.app.files.key.mode: must be a file mode in octal digits, such as "0400"',
  ),
  one(
    'a file with a mode that is a number',
    app('{"files":{"key":{"value":"x","mode":400}}}'),
    '1:68: $.services.app.files.key.mode: must be a string, this is a number (in octal digits, such as "0400")',
  ),
  one(
    'a file whose credential is text',
    app('{"files":{"key":{"value":"x","credential":"yes"}}}'),
    '1:74: $.services.app.files.key.credential: must be true or false, this is a string',
  ),
  one(
    'configs in a list',
    app('{"configs":[]}'),
    '1:43: $.services.app.configs: must be an object, this is an array',
  ),
  untold(
    'a file that makes a line which systemd does not read',
    app(`{"files":{"a":"${'\\u0001'.repeat(180_000)}"}}`),
    '1:46: $.services.app.files.a: the value of "a" is longer than a line of a unit file can be',
  ),
  one(
    'a config that is a path',
    app('{"configs":{"a.yaml":"/a.yaml"}}'),
    '1:53: $.services.app.configs["a.yaml"]: must be an object, this is a string (such as {"template": PATH})',
  ),
  one(
    'a config without a template',
    app('{"configs":{"a.yaml":{}}}'),
    '1:53: $.services.app.configs["a.yaml"]: the member "template" is missing (add "template": PATH)',
  ),
  one(
    'a config with a relative template',
    app('{"configs":{"a.yaml":{"template":"a.yaml"}}}'),
    '1:65: $.services.app.configs["a.yaml"].template: must be an absolute path without ".." and control characters',
  ),
  one(
    'a config with a misspelt member',
    app('{"configs":{"a.yaml":{"template":"/a","vaules":{}}}}'),
    '1:70: $.services.app.configs["a.yaml"].vaules: unknown member "vaules" (did you mean "values"?)',
  ),
  one(
    'a config with a misspelt format',
    app('{"configs":{"a":{"template":"/a","format":"yml"}}}'),
    '1:74: $.services.app.configs.a.format: unknown format "yml" (did you mean "yaml"?)',
  ),
  one(
    'a config with an unknown format',
    app('{"configs":{"a":{"template":"/a","format":"xml"}}}'),
    '1:74: $.services.app.configs.a.format: unknown format "xml" (known are "json", "yaml", "toml", "ini", "env", "text")',
  ),
  one(
    'a config with a slash',
    app('{"configs":{"a/b":{"template":"/a"}}}'),
    '1:44: $.services.app.configs["a/b"]: "a/b" is not the name of a file (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a config with values in a list',
    app('{"configs":{"a":{"template":"/a","values":[]}}}'),
    '1:74: $.services.app.configs.a.values: must be an object, this is an array',
  ),
  one(
    'a config with a value that no template can name',
    app('{"configs":{"a":{"template":"/a","values":{"db-port":"1"}}}}'),
    '1:75: $.services.app.configs.a.values["db-port"]: "db-port" is not a name that a template can use (letters, digits and "_", not beginning with a digit: "db_port" would be one)',
  ),
  one(
    'a config with a value that is a number',
    app('{"configs":{"a":{"template":"/a","values":{"PORT":80}}}}'),
    '1:82: $.services.app.configs.a.values.PORT: must be a string, this is a number (put it in double quotes)',
  ),
  one(
    'a config that is wider than 0640',
    app('{"configs":{"a":{"template":"/a","mode":"0664"}}}'),
    '1:72: $.services.app.configs.a.mode: the mode is wider than "0640" (nobody but root and the group may read a secret)',
  ),
  one(
    'a config whose credential is a number',
    app('{"configs":{"a":{"template":"/a","credential":1}}}'),
    '1:78: $.services.app.configs.a.credential: must be true or false, this is a number',
  ),
  one(
    'a group that is a number',
    app('{"files":{},"group":100}'),
    '1:52: $.services.app.group: must be a string, this is a number (its name, not its number)',
  ),
  one(
    'a group by its number',
    app('{"files":{},"group":"100"}'),
    '1:52: $.services.app.group: "100" is not the name of a group (letters, digits, "_" and "-", beginning with a letter or "_", at most 31 characters)',
  ),
  one(
    'a group with a blank',
    app('{"files":{},"group":"my group"}'),
    '1:52: $.services.app.group: "my group" is not the name of a group (letters, digits, "_" and "-", beginning with a letter or "_", at most 31 characters)',
  ),
  one(
    'a group with a specifier',
    app('{"files":{},"group":"%i"}'),
    '1:52: $.services.app.group: "%i" is not the name of a group (letters, digits, "_" and "-", beginning with a letter or "_", at most 31 characters)',
  ),
  one(
    'an empty group',
    app('{"files":{},"group":""}'),
    '1:52: $.services.app.group: "" is not the name of a group (letters, digits, "_" and "-", beginning with a letter or "_", at most 31 characters)',
  ),
  one(
    'a runtime directory that is a path',
    app('{"files":{},"runtimeDirectory":"/run/app"}'),
    '1:63: $.services.app.runtimeDirectory: "/run/app" is not the name of a directory below /run (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a runtime directory within another',
    app('{"files":{},"runtimeDirectory":"app/secrets"}'),
    '1:63: $.services.app.runtimeDirectory: "app/secrets" is not the name of a directory below /run (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a runtime directory above',
    app('{"files":{},"runtimeDirectory":".."}'),
    '1:63: $.services.app.runtimeDirectory: ".." is not the name of a directory below /run (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'an empty runtime directory',
    app('{"files":{},"runtimeDirectory":""}'),
    '1:63: $.services.app.runtimeDirectory: "" is not the name of a directory below /run (letters, digits, ".", "_" and "-", not beginning with ".")',
  ),
  one(
    'a runtime directory with a list',
    app('{"files":{},"runtimeDirectory":["app"]}'),
    '1:63: $.services.app.runtimeDirectory: must be a string, this is an array',
  ),
  one(
    'a runtime directory of systemd',
    app('{"files":{},"runtimeDirectory":"systemd"}'),
    '1:63: $.services.app.runtimeDirectory: /run/systemd is used by the system (take the name of the service)',
  ),
  one(
    'a runtime directory of a part of systemd',
    app('{"files":{},"runtimeDirectory":"systemd-resolve"}'),
    '1:63: $.services.app.runtimeDirectory: /run/systemd-resolve is used by the system (take the name of the service)',
  ),
  one(
    'a runtime directory of sshd',
    app('{"files":{},"runtimeDirectory":"sshd"}'),
    '1:63: $.services.app.runtimeDirectory: /run/sshd is used by the system (take the name of the service)',
  ),
  one(
    'a runtime directory of all credentials',
    app('{"files":{},"runtimeDirectory":"credentials"}'),
    '1:63: $.services.app.runtimeDirectory: /run/credentials is used by the system (take the name of the service)',
  ),
  one(
    'a runtime directory of ours',
    app('{"files":{},"runtimeDirectory":"unit-secrets-x"}'),
    '1:63: $.services.app.runtimeDirectory: /run/unit-secrets-x is used by the system (take the name of the service)',
  ),
  one(
    'another way of fetching',
    app('{"environment":{},"dynamicUser":"yes"}'),
    '1:64: $.services.app.dynamicUser: unknown way of fetching "yes" (known are "inline")',
  ),
  one(
    'a way of fetching that is a boolean',
    app('{"environment":{},"dynamicUser":true}'),
    '1:64: $.services.app.dynamicUser: must be a string, this is a boolean (known are "inline")',
  ),
  one(
    'an inline service with credentials',
    app('{"dynamicUser":"inline","credentials":{}}'),
    '1:56: $.services.app.credentials: "credentials" cannot be had with "dynamicUser": "inline" (leave "dynamicUser" out: without it everything works for services with DynamicUser=, too)',
  ),
  one(
    'an inline service with configs',
    app('{"dynamicUser":"inline","configs":{}}'),
    '1:56: $.services.app.configs: "configs" cannot be had with "dynamicUser": "inline" (leave "dynamicUser" out: without it everything works for services with DynamicUser=, too)',
  ),
  one(
    'an inline service with a group',
    app('{"dynamicUser":"inline","files":{},"group":"app"}'),
    '1:67: $.services.app.group: "group" cannot be had with "dynamicUser": "inline" (leave "dynamicUser" out: without it everything works for services with DynamicUser=, too)',
  ),
  one(
    'an inline service with a runtime directory',
    app('{"dynamicUser":"inline","files":{},"runtimeDirectory":"app"}'),
    '1:67: $.services.app.runtimeDirectory: "runtimeDirectory" cannot be had with "dynamicUser": "inline" (leave "dynamicUser" out: without it everything works for services with DynamicUser=, too)',
  ),
  one(
    'an inline service with a file as a credential',
    app('{"dynamicUser":"inline","files":{"k":{"value":"x","credential":true}}}'),
    '1:95: $.services.app.files.k.credential: a service that fetches its secrets itself cannot be given them as credentials (it finds the file in UNIT_SECRETS_DIRECTORY)',
  ),
  one(
    'an inline service without anything',
    app('{"dynamicUser":"inline"}'),
    '1:32: $.services.app: the service is given nothing (add "environment", "credentials", "files", "configs" or several)',
  ),
  one(
    'an inline service with a vault',
    '{"version":1,"provider":{"type":"age-vault"},"services":{"app":{"dynamicUser":"inline","environment":{}}}}',
    '1:79: $.services.app.dynamicUser: "inline" is for 1Password: only root can open an age vault (leave it out: without it everything works for services with DynamicUser=, too)',
  ),
  one(
    'a service with a group and nothing else',
    app('{"group":"app"}'),
    '1:32: $.services.app: the service is given nothing (add "environment", "credentials", "files", "configs" or several)',
  ),
  untold(
    'a credential that is a file, too',
    app('{"credentials":{"k":"x"},"files":{"k":{"value":"y","credential":true}}}'),
    '1:66: $.services.app.files.k: the service already has a credential "k" from "credentials" (give one of them another name)',
  ),
  untold(
    'a credential that is a config, too',
    app('{"credentials":{"k":"x"},"configs":{"k":{"template":"/k","credential":true}}}'),
    '1:68: $.services.app.configs.k: the service already has a credential "k" from "credentials" (give one of them another name)',
  ),
  untold(
    'a file and a config as one credential',
    app(
      '{"files":{"k":{"value":"x","credential":true}},"configs":{"k":{"template":"/k","credential":true}}}',
    ),
    '1:90: $.services.app.configs.k: the service already has a credential "k" from "files" (give one of them another name)',
  ),
  untold(
    'a runtime directory of two services',
    member('services', '{"a":{"files":{},"runtimeDirectory":"x"},"b":{"files":{},"runtimeDirectory":"x"}}'),
    '1:101: $.services.b.runtimeDirectory: /run/x is already that of "a" (give each service a directory of its own)',
  ),
];

const sshKeys: readonly WrongManifest[] = [
  one('SSH keys in a list', member('sshKeys', '[]'), '1:24: $.sshKeys: must be an object, this is an array'),
  one(
    'SSH keys of a user without a name',
    member('sshKeys', '{"":{"privateKey":"x"}}'),
    '1:25: $.sshKeys[""]: "" is not the name of a user: letters, digits, ".", "_" and "-", not only digits',
  ),
  one(
    'SSH keys of a user with a slash',
    member('sshKeys', '{"a/b":{"privateKey":"x"}}'),
    '1:25: $.sshKeys["a/b"]: "a/b" is not the name of a user: letters, digits, ".", "_" and "-", not only digits',
  ),
  one(
    'SSH keys of a user by number',
    member('sshKeys', '{"1000":{"privateKey":"x"}}'),
    '1:25: $.sshKeys["1000"]: "1000" is not the name of a user: letters, digits, ".", "_" and "-", not only digits',
  ),
  one(
    'SSH keys of a user with a dash in front',
    member('sshKeys', '{"-r":{"privateKey":"x"}}'),
    '1:25: $.sshKeys["-r"]: "-r" is not the name of a user: letters, digits, ".", "_" and "-", not only digits',
  ),
  one(
    'SSH keys of a user with a name too long for a unit',
    member('sshKeys', `{"${tooLong}":{"privateKey":"x"}}`),
    `1:25: $.sshKeys.${tooLong}: "${tooLong}" is too long for the name of a unit`,
  ),
  one(
    'SSH keys that are text',
    member('sshKeys', '{"alice":"op://v/i/private key"}'),
    '1:33: $.sshKeys.alice: must be an object, this is a string (such as {"privateKey": REFERENCE})',
  ),
  one(
    'SSH keys without a key',
    member('sshKeys', '{"alice":{}}'),
    '1:33: $.sshKeys.alice: no key is given (add "privateKey", or "publicKey" with "authorize": true)',
  ),
  one(
    'SSH keys with authorize only',
    member('sshKeys', '{"alice":{"authorize":true}}'),
    '1:33: $.sshKeys.alice: no key is given (add "privateKey", or "publicKey" with "authorize": true)',
  ),
  one(
    'a public key that is not authorized',
    member('sshKeys', '{"alice":{"publicKey":"x"}}'),
    '1:33: $.sshKeys.alice: a public key alone does nothing unless it is authorized (add "privateKey" or "authorize": true)',
  ),
  one(
    'a public key with a file',
    member('sshKeys', '{"alice":{"publicKey":"x","authorize":true,"file":"id_rsa"}}'),
    '1:67: $.sshKeys.alice.file: "file" names the private key, and none is given',
  ),
  one(
    'SSH keys with a misspelt member',
    member('sshKeys', '{"alice":{"privatekey":"x"}}'),
    '1:34: $.sshKeys.alice.privatekey: unknown member "privatekey" (did you mean "privateKey"?)',
  ),
  one(
    'SSH keys whose authorize is text',
    member('sshKeys', '{"alice":{"privateKey":"x","authorize":"yes"}}'),
    '1:63: $.sshKeys.alice.authorize: must be true or false, this is a string',
  ),
  one(
    'SSH keys in a file with a path',
    member('sshKeys', '{"alice":{"privateKey":"x","file":"/home/alice/.ssh/id"}}'),
    '1:58: $.sshKeys.alice.file: a key file is named with letters, digits, ".", "_" and "-", not beginning with "."',
  ),
  one(
    'SSH keys in authorized_keys',
    member('sshKeys', '{"alice":{"privateKey":"x","file":"authorized_keys"}}'),
    '1:58: $.sshKeys.alice.file: ssh uses ~/.ssh/authorized_keys for something else',
  ),
  one(
    'SSH keys in a file for public keys',
    member('sshKeys', '{"alice":{"privateKey":"x","file":"id.pub"}}'),
    '1:58: $.sshKeys.alice.file: it names the private key: ".pub" is appended for the public one',
  ),
  one(
    'SSH keys with a bad reference',
    member('sshKeys', '{"alice":{"privateKey":"op://v/i/private key?ssh-format=pem"}}'),
    '1:47: $.sshKeys.alice.privateKey: the query of the reference is none of attribute=otp, attribute=totp, ssh-format=openssh',
  ),
  untold(
    'a service that sets up SSH keys',
    '{"version":1,"sshKeys":{"alice":{"privateKey":"x"}},"services":{"ssh-key-setup@alice":{"files":{}}}}',
    '1:65: $.services["ssh-key-setup@alice"]: "ssh-key-setup@alice" is the name of a unit generated for the SSH keys of "alice" (remove the entry or rename the service)',
  ),
  untold(
    'a service that fetches SSH keys',
    '{"version":1,"sshKeys":{"alice":{"privateKey":"x"}},"services":{"ssh-key-setup-secrets@alice":{"files":{}}}}',
    '1:65: $.services["ssh-key-setup-secrets@alice"]: "ssh-key-setup-secrets@alice" is the name of a unit generated for the SSH keys of "alice" (remove the entry or rename the service)',
  ),
  untold(
    'a service that sets up SSH keys once they can be fetched',
    '{"version":1,"sshKeys":{"alice":{"privateKey":"x"}},"services":{"ssh-key-setup-retry@alice":{"files":{}}}}',
    '1:65: $.services["ssh-key-setup-retry@alice"]: "ssh-key-setup-retry@alice" is the name of a unit generated for the SSH keys of "alice" (remove the entry or rename the service)',
  ),
  untold(
    'SSH keys given twice',
    member('sshKeys', '{"a":{"privateKey":"x"},"a":{"privateKey":"x"}}'),
    '1:48: $.sshKeys.a: this member is given twice: keep one of them',
  ),
];

export const wrong: readonly WrongManifest[] = [
  ...notJson,
  ...nearlyJson,
  ...manyFaults,
  ...twice,
  ...shapes,
  ...serviceNames,
  ...services,
  ...references,
  ...tokens,
  ...deliveries,
  ...sshKeys,
];
