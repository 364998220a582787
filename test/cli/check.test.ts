import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { unitSecrets } from '../support/command.ts';
import { temporaryTree } from '../support/temporary.ts';

const manifestJson = '/etc/unit-secrets/manifest.json';
const json = (value: unknown): string => JSON.stringify(value, undefined, 2);
const app = { environment: { KEY: 'op://Home/App/key' } };
const config = (template: string, more: object = {}) => ({
  ...app,
  configs: { 'app.yaml': { template, ...more } },
});
const template = '/etc/unit-secrets/templates/app.yaml';
const hostFiles = {
  '/etc/unit-secrets/1password-token.age': 'x',
  '/etc/ssh/ssh_host_rsa_key': 'x',
};

/** Checks the tree as a machine's root. */
function checkRoot(files: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const root = temporaryTree(files);
  return unitSecrets(['check', '--root', root, ...args]);
}

describe('a manifest that is right', () => {
  test('is told so, with what it is about', () => {
    expect(
      checkRoot({
        ...hostFiles,
        [manifestJson]: json({
          version: 1,
          services: { app, web: app },
          sshKeys: { me: { privateKey: 'x' } },
        }),
      }),
    ).toEqual({
      exitCode: exitCodes.ok,
      stdout: 'no errors, 0 warnings: 2 services and SSH keys of 1 user\n',
      stderr: '',
    });
  });

  test('may lack what only the machine has: that is a warning', () => {
    const { exitCode, stdout } = checkRoot({ [manifestJson]: json({ version: 1, services: { app } }) });
    expect(exitCode).toBe(exitCodes.ok);
    expect(stdout).toBe(
      [
        'warning: /etc/unit-secrets/1password-token.age: the sealed token is missing (unit-secrets token seal makes it)',
        'warning: /etc/ssh/ssh_host_ed25519_key: the private key is missing, and so is /etc/ssh/ssh_host_rsa_key ("ssh-keygen -A" makes host keys)',
        'no errors, 2 warnings: 1 service',
        '',
      ].join('\n'),
    );
  });
});

describe('a directory below /run that another service still has', () => {
  const files = (key: string) => ({
    ...hostFiles,
    [manifestJson]: `{
  "version": 1,
  "services": {
    "${key}": { "environment": {}, "runtimeDirectory": "appdir" }
  }
}
`,
    '/run/unit-secrets/secrets/app/.runtime-directories': 'appdir\n',
  });

  test.each(['plain', 'plain.service'])('is an error, as for the generator, with its place: %s', (key) => {
    const shown = key.includes('.') ? `["${key}"]` : `.${key}`;
    const column = 50 + key.length;
    const problem = `/etc/unit-secrets/manifest.json:4:${column}: $.services${shown}.runtimeDirectory: /run/appdir still has secrets of app.service (stop app.service, then run systemctl daemon-reload)`;
    const { exitCode, stdout } = checkRoot(files(key));
    expect(exitCode).toBe(exitCodes.problems);
    const [first, ...others] = stdout.split('\n');
    expect(first).toBe(problem);
    expect(others.at(-2)).toBe('1 error, 0 warnings; 0 services without errors');
    const root = temporaryTree({ ...files(key), '/out/.keep': '' });
    const generated = unitSecrets(['generate', '--root', root, '--output', join(root, 'out')]);
    expect(generated.exitCode).toBe(exitCodes.problems);
    expect(readFileSync(join(root, 'out/plain-secrets.service'), 'utf8')).toContain(
      `manifest.json:4:${column}: $.services`,
    );
  });

  test('is of no interest for a manifest in a checkout', () => {
    const root = temporaryTree(files('plain'));
    const { exitCode } = unitSecrets(['check', join(root, manifestJson), '--root', root]);
    expect(exitCode).toBe(exitCodes.ok);
  });
});

describe('everything that is wrong is told at once', () => {
  const text =
    '{\n  "version": 1,\n  "services": {\n    "app": { "enviroment": {} },\n    "a b": {}\n  }\n}\n';

  test('with a snippet, a caret and what to do', () => {
    const { exitCode, stdout, stderr } = checkRoot({ ...hostFiles, [manifestJson]: text });
    expect({ exitCode, stderr }).toEqual({ exitCode: exitCodes.problems, stderr: '' });
    expect(stdout).toBe(
      [
        `${manifestJson}:4:14: $.services.app.enviroment: unknown member "enviroment" (did you mean "environment"?)`,
        '  4 |     "app": { "enviroment": {} },',
        '    |              ^',
        `${manifestJson}:5:5: $.services["a b"]: "a b" is not a unit name: it has the character " "; systemd-escape gives the name to write`,
        '  5 |     "a b": {}',
        '    |     ^',
        `${manifestJson}:5:12: $.services["a b"]: the service is given nothing (add "environment", "credentials", "files", "configs" or several)`,
        '  5 |     "a b": {}',
        '    |            ^',
        '3 errors, 0 warnings; 0 services without errors',
        '',
      ].join('\n'),
    );
  });

  test('for programs as JSON', () => {
    const { exitCode, stdout } = checkRoot({ ...hostFiles, [manifestJson]: text }, '--json');
    expect(exitCode).toBe(exitCodes.problems);
    expect(JSON.parse(stdout).problems[0]).toEqual({
      severity: 'error',
      file: manifestJson,
      line: 4,
      column: 14,
      path: '$.services.app.enviroment',
      message: 'unknown member "enviroment"',
      hint: 'did you mean "environment"?',
      service: 'app',
    });
  });
});

describe('templates', () => {
  const checkTemplate = (text: string, more: object = {}) =>
    checkRoot({
      ...hostFiles,
      [manifestJson]: json({ version: 1, services: { app: config(template, more) } }),
      [template]: text,
    });

  test('are checked without secrets', () => {
    expect(checkTemplate('a: "${KEY}" # ok\nb: {{ op://Home/App/other }}\n').exitCode).toBe(exitCodes.ok);
  });

  test.each([
    ['a name that nobody declares', 'key: ${KEZ}\n', ':1:6: "KEZ" is declared neither'],
    ['a near miss', 'key: ${KEZ}\n', '(did you mean "KEY"?)'],
    ['no YAML', 'key: ["${KEY}"\n', 'not valid YAML'],
    ['shell syntax', 'key: ${KEY:-x}\n', ':1:6: '],
  ])('%s is an error with its place', (_, text, message) => {
    const { exitCode, stdout } = checkTemplate(text);
    expect(exitCode).toBe(exitCodes.problems);
    expect(stdout).toContain(`${template}`);
    expect(stdout).toContain(message);
  });

  test('one whose name hides its format is a warning, unless the format is said', () => {
    const check = (more: object) =>
      checkRoot({
        ...hostFiles,
        [manifestJson]: json({ version: 1, services: { app: config(`${template}.tpl`, more) } }),
        [`${template}.tpl`]: 'key: ${KEY}\n',
      });
    expect(check({})).toMatchObject({
      exitCode: exitCodes.ok,
      stdout: expect.stringContaining('add "format": "yaml" to the config'),
    });
    for (const format of ['yaml', 'text']) expect(check({ format }).stdout).not.toContain('warning: ');
  });

  test('one that is missing is an error that says who wants it', () => {
    const { exitCode, stdout } = checkRoot({
      ...hostFiles,
      [manifestJson]: json({ version: 1, services: { app: config('/etc/nowhere.yaml') } }),
    });
    expect(exitCode).toBe(exitCodes.problems);
    expect(stdout).toContain(
      '/etc/nowhere.yaml: the template does not exist (config "app.yaml" of "app" names it)',
    );
  });
});

describe('templates of an entry with errors are checked, too', () => {
  const check = (entry: object, text: string) =>
    checkRoot({
      ...hostFiles,
      [manifestJson]: json({
        version: 1,
        services: { app: { ...entry, configs: { 'app.yaml': { template } } }, 'a b': config(template) },
      }),
      [template]: text,
    }).stdout;

  test('with what is not declared', () => {
    const found = check({ environment: { KEY: 1 } }, 'a: ${KEZ}\nb: ${KEY}\nc: ${KEY:-x}\n');
    expect(found).toContain('KEY: must be a string');
    // for each of the two entries
    expect(found.match(/:1:4: "KEZ" is declared neither .*did you mean "KEY"/g)).toHaveLength(2);
    expect(found.match(/:3:4: after /g)).toHaveLength(2);
    expect(found).not.toContain('"KEY" is declared neither');
  });

  test('but not with that, where it cannot be told what is declared', () => {
    for (const entry of [{ enviroment: { KEY: 'x' } }, { environment: ['KEY'] }]) {
      const found = check(entry, 'a: ${KEY}\nb: ${KEY:-x}\n');
      expect(found.match(/is declared neither/g)).toBeNull();
      expect(found.match(/:2:4: after /g)).toHaveLength(2);
    }
  });
});

test('a provider that cannot be asked costs nothing of what was found', () => {
  const check = (environment: object) => {
    const root = temporaryTree({
      ...hostFiles,
      [manifestJson]: json({ version: 1, token: { file: '/token' }, services: { app: { environment } } }),
    });
    return unitSecrets(['check', '--online', '--root', root], { env: { OP_SERVICE_ACCOUNT_TOKEN: 'x' } });
  };
  const alone = check({ KEY: 'op://Home/App/key' });
  expect(alone).toMatchObject({ exitCode: exitCodes.configuration, stderr: '' });
  expect(alone.stdout).toContain('OP_SERVICE_ACCOUNT_TOKEN: this is not a service account token');
  const both = check({ KEY: 'op://Home/App/key', OTHER: 1 });
  expect(both.exitCode).toBe(exitCodes.problems);
  expect(both.stdout).toContain('OTHER: must be a string');
  expect(both.stdout).toContain('OP_SERVICE_ACCOUNT_TOKEN: this is not a service account token');
});

test('with settings that are wrong nobody is asked, which is told', () => {
  const { exitCode, stdout } = checkRoot(
    { ...hostFiles, [manifestJson]: json({ version: 1, token: {}, services: { app } }) },
    '--online',
  );
  expect(exitCode).toBe(exitCodes.problems);
  expect(stdout).toContain('the provider was not asked about the references (correct the errors first)');
});

test('all files that are not there are told', () => {
  const { exitCode, stderr } = unitSecrets(['check', '/nowhere/a.json', '/nowhere/b.json']);
  expect(exitCode).toBe(exitCodes.noInput);
  expect(stderr).toBe('/nowhere/a.json: does not exist\n/nowhere/b.json: does not exist\n');
});

test('below a root, files of this machine are not looked at', () => {
  const { stdout } = checkRoot({
    '/etc/unit-secrets/1password-token.age': 'x',
    [manifestJson]: json({
      version: 1,
      token: { age: '/x.age', identity: '/etc/passwd' },
      services: { app },
    }),
  });
  expect(stdout).toContain('warning: /etc/passwd: the private key is missing');
});

describe('files of a checkout', () => {
  const checkout = () =>
    temporaryTree({
      'host/manifest.json': json({ version: 1, services: { app: config(template) } }),
      'host/templates/app.yaml': 'key: ${KEY}\n',
      'host/manifest.d/10-web.json': json({ services: { web: app } }),
      'host/manifest.d/20-bad.json': json({ services: { web: app } }),
    });

  test('are read with the templates beside them', () => {
    const { exitCode, stdout } = unitSecrets(['check', join(checkout(), 'host/manifest.json')]);
    expect(exitCode).toBe(exitCodes.ok);
    expect(stdout).toContain('no errors, ');
  });

  test('go together with those of manifest.d beside them', () => {
    const directory = join(checkout(), 'host');
    const files = ['manifest.json', 'manifest.d/10-web.json', 'manifest.d/20-bad.json'];
    for (const args of [files.map((file) => join(directory, file)), [directory]]) {
      const { exitCode, stdout } = unitSecrets(['check', ...args]);
      expect(exitCode).toBe(exitCodes.problems);
      expect(stdout).toContain(`"web" stands in ${directory}/manifest.d/10-web.json, too (keep one of them)`);
    }
  });

  test.each([
    ['nowhere.json', 'does not exist'],
    ['empty', 'has neither manifest.json nor manifest.d'],
  ])('that are not there end with 66: %s', (name, message) => {
    const directory = temporaryTree({ 'empty/': '' });
    expect(unitSecrets(['check', join(directory, name)])).toEqual({
      exitCode: exitCodes.noInput,
      stdout: '',
      stderr: `${join(directory, name)}: ${message}\n`,
    });
  });

  test('a dangling link is there, and an error', () => {
    const directory = temporaryTree({ '/etc/unit-secrets/': '' });
    symlinkSync('nowhere', join(directory, manifestJson));
    const { exitCode, stdout } = unitSecrets(['check', '--root', directory]);
    expect(exitCode).toBe(exitCodes.problems);
    expect(stdout).toContain('is a symbolic link to something that does not exist');
  });
});

test('values beside a problem are not shown', () => {
  const { stdout } = checkRoot({
    ...hostFiles,
    [manifestJson]: '{"version":1,"services":{"app":{"environment":{"A":"hunter2","B-":"x"}}}}',
  });
  expect(stdout).toContain('"B-" is not the name of an environment variable');
  expect(stdout).not.toContain('hunter2');
});

describe('an error that concerns all services keeps them down, which the last line says', () => {
  const entries = '"app": {"environment": {"A": "op://v/i/f"}}, "b.service": {"environment": {"A": 1}}';
  const services = `"services": {${entries}}`;
  const last = (text: string, more: Readonly<Record<string, string>> = {}) =>
    checkRoot({ ...hostFiles, [manifestJson]: text, ...more })
      .stdout.trimEnd()
      .split('\n')
      .at(-1);

  test.each([
    ['no version', `{${services}}`, '2 errors'],
    [
      'unknown members',
      `{"version": 1, "tokne": {}, ${services.replace('"A": 1', '"A": 1}, "x": {')}}`,
      '3 errors',
    ],
    ['an unknown provider', `{"version": 1, "provider": {"type": "x"}, ${services}}`, '2 errors'],
    ['services twice', `{"version": 1, ${services}, "services": {"b": {}}}`, '4 errors'],
    ['no JSON', `{"version": 1, ${services}`, '1 error'],
  ])('%s', (_, text, errors) => {
    expect(last(text)).toBe(`${errors}, 0 warnings; all 2 services are kept down`);
  });

  test('one service, users, and what else there is', () => {
    const one = '"services": {"a": {"environment": {"A": "x"}}}';
    expect(last(`{${one}}`)).toBe('1 error, 0 warnings; the 1 service is kept down');
    const users = '"sshKeys": {"me": {"privateKey": "op://v/i/f"}}';
    expect(last(`{${one}, ${users}}`)).toBe(
      '1 error, 0 warnings; the 1 service is kept down, and so are SSH keys of 1 user',
    );
    expect(last(`{${users}}`)).toBe('1 error, 0 warnings; SSH keys of 1 user are kept down');
    expect(last('')).toBe('1 error, 0 warnings; 0 services without errors');
    const fragment = {
      '/etc/unit-secrets/manifest.d/a.json': '{"services": {"z": {"environment": {"A": "x"}}}}',
    };
    expect(last(`{${one}}`, fragment)).toBe('1 error, 0 warnings; all 2 services are kept down');
    // of a file of manifest.d only what is in it
    expect(
      last(`{"version": 1, ${one}}`, { '/etc/unit-secrets/manifest.d/a.json': '{"services": {"z":' }),
    ).toBe('1 error, 0 warnings; 1 service without errors');
  });

  test('of several manifests', () => {
    const root = temporaryTree({ 'a.json': `{${services}}`, 'b.json': `{"version": 1, ${services}}` });
    const { stdout } = unitSecrets(['check', join(root, 'a.json'), join(root, 'b.json')]);
    expect(stdout).toContain('; 1 service without errors; 2 services are kept down\n');
  });
});

test('an empty manifest.d is a manifest without entries', () => {
  const root = temporaryTree({ '/etc/unit-secrets/manifest.d/': '' });
  const expected = { exitCode: exitCodes.ok, stdout: 'no errors, 0 warnings: 0 services\n', stderr: '' };
  expect(unitSecrets(['check', '--root', root])).toEqual(expected);
  expect(unitSecrets(['check', join(root, 'etc/unit-secrets')])).toEqual(expected);
});

test('what does not exist is told to programs, too', () => {
  const { exitCode, stdout, stderr } = unitSecrets(['check', '--json', '/nowhere/a.json', '']);
  expect({ exitCode, stderr }).toEqual({
    exitCode: exitCodes.noInput,
    stderr: '/nowhere/a.json: does not exist\n"": does not exist\n',
  });
  expect(JSON.parse(stdout)).toEqual({
    problems: [
      { severity: 'error', file: '/nowhere/a.json', message: 'does not exist' },
      { severity: 'error', file: '', message: 'does not exist' },
    ],
  });
});

test('no manifest at all ends with 66', () => {
  const { exitCode, stderr } = checkRoot({ '/etc/': '' });
  expect(exitCode).toBe(exitCodes.noInput);
  expect(stderr).toContain('there is no manifest');
});
