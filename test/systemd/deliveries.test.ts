import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import type { Suite } from '../container/rootfs.ts';
import { listing, readableBy, readingService, statusOf, users } from './looking.ts';
import {
  bootMachine,
  environmentOf,
  type HostKey,
  idleService,
  makeHostKey,
  manifestPath,
  seal,
  stateOf,
  vaultManifest,
  vaultPath,
  waitUntilGone,
} from './machine.ts';

const odd =
  ' \t"double" \'single\' $HOME ${HOME} `id` %n %% \\n \\ #;=\r\n🔑 {{ op://Vault/Item/plain }}\n\n';
const plain = 'n0t-4-r34l-s3cr3t';
const second = 'n0t-4-r34l-s3cr3t-e1ther';
/** systemd takes 1 MiB of names and contents together. */
const longest = 'x'.repeat(1024 * 1024 - 'long'.length);
const vaultOf = (value: string, more: object = {}) => ({
  Vault: { Item: { odd, plain: value, port: '4000', ...more } },
});

const secrets = '/run/unit-secrets/secrets';
const config = '/run/unit-secrets/config';
const templates = '/etc/unit-secrets/templates';
const yamlTemplate = `# kept\nkey: \${KEY} # and this\nport: \${PORT:number}\nmixed: "a {{ op://Vault/Item/plain }} b"\nliteral: '$\${KEY}'\n`;
const textTemplate = 'key=${KEY}|{{ op://Vault/Item/odd }}|{{ "{{" }}$${\n';
const reader = (more: string) => `User=app\n${more}`;

const services = {
  // as credentials: for a user without any group, and for one that systemd makes up
  classic: { credentials: { odd: 'op://Vault/Item/odd', long: 'x: {{ op://Vault/Item/plain }}' } },
  dynamic: {
    environment: { ODD: 'op://Vault/Item/odd' },
    credentials: { odd: 'op://Vault/Item/odd' },
    files: { 'tls.key': { value: 'op://Vault/Item/plain', credential: true } },
    configs: {
      'app.conf': { template: `${templates}/app.conf`, values: { KEY: 'literal' }, credential: true },
    },
  },
  // files for root alone, and an instance of a template
  'filer@one': {
    files: {
      default: 'op://Vault/Item/odd',
      literal: 'no secret at all',
      explicit: { value: 'op://Vault/Item/plain', mode: '0440' },
    },
  },
  // for a group
  shared: {
    environment: { KEY: 'op://Vault/Item/plain' },
    credentials: { plain: 'op://Vault/Item/plain' },
    files: {
      default: 'op://Vault/Item/odd',
      own: { value: 'op://Vault/Item/plain', mode: '0400', credential: true },
      wide: { value: 'op://Vault/Item/plain', mode: '0640' },
    },
    configs: {
      'config.yaml': { template: `${templates}/config.yaml`, values: { PORT: 'op://Vault/Item/port' } },
      'strict.conf': {
        template: `${templates}/app.conf`,
        format: 'text',
        mode: '0600',
        values: { KEY: 'a {{ op://Vault/Item/plain }} b' },
      },
    },
    group: 'shared',
  },
  // in /run/litellm
  litellm: {
    environment: { KEY: 'op://Vault/Item/plain' },
    files: { 'a.key': 'op://Vault/Item/odd' },
    configs: { 'config.yaml': { template: `${templates}/config.yaml`, values: { PORT: '4001' } } },
    group: 'shared',
    runtimeDirectory: 'litellm',
  },
};
const yamlOf = (value: string, port: string) =>
  `# kept\nkey: ${value} # and this\nport: ${port}\nmixed: "a ${value} b"\nliteral: '\${KEY}'\n`;
const textOf = (value: string) => `key=${value}|${odd}|{{\${\n`;

const withoutDigest = (lines: readonly string[]) =>
  lines.map((line) => line.replace(/\.ok-[0-9a-f]{16}$/, '.ok'));
const pathOf = (line: string) => line.slice(line.indexOf('/'));
const fetch = { tries: 1, timeout: '10s', retryEvery: '1h' };

describe.each(['bullseye', 'bookworm', 'trixie', 'sid'] as const)('deliveries on %s', (suite: Suite) => {
  let machine: Container;
  let key: HostKey;
  const systemctl = (...args: readonly string[]) => machine.exec(['systemctl', ...args], { check: false });
  const succeeds = (...args: readonly string[]) => machine.exec(['systemctl', ...args]);
  const load = async (entries: object) => {
    await machine.writeFile(manifestPath, vaultManifest(entries as Record<string, unknown>, { fetch }));
    await succeeds('daemon-reload');
  };
  const changeVault = (value: string, more: object = {}) =>
    machine.writeFile(vaultPath, seal(JSON.stringify(vaultOf(value, more)), key));
  /** The config is rendered by a job of its own, which comes after. */
  const settled = () =>
    machine.waitFor(
      async () => (await machine.exec('systemctl list-jobs --no-legend --no-pager')).stdout === '',
      'all jobs to be done',
    );
  const reload = async (name: string) => {
    const { code } = await systemctl('reload', `${name}-secrets`);
    await settled();
    return code;
  };
  const text = (path: string) => machine.readFile(path);
  const gone = (path: string) => waitUntilGone(machine, path);

  beforeAll(async () => {
    key = makeHostKey();
    machine = await bootMachine({
      suite,
      key,
      manifest: vaultManifest(services, { fetch }),
      vault: vaultOf(plain),
      services: {
        classic: readingService('classic', 'User=app'),
        dynamic: readingService('dynamic', 'DynamicUser=yes'),
        'filer@one': readingService('filer', '', `${secrets}/filer@one/files`),
        shared: readingService('shared', reader('Group=shared'), `${secrets}/shared/files`),
        litellm: readingService('litellm', reader(''), '/run/litellm/config'),
        later: idleService.replace('WantedBy=multi-user.target', ''),
      },
      files: {
        [`${templates}/config.yaml`]: yamlTemplate,
        [`${templates}/app.conf`]: textTemplate,
      },
      setup: users,
    });
  });
  afterAll(() => machine.kill());

  test('all are up after the boot', async () => {
    const { stdout } = await systemctl('--failed', '--no-legend', '--plain', '--no-pager');
    expect(stdout).toBe('');
    for (const name of Object.keys(services)) {
      expect(await stateOf(machine, `${name}.service`), await statusOf(machine, `${name}-secrets`)).toBe(
        'active',
      );
    }
  });

  test('credentials reach a user and a dynamic user, byte for byte', async () => {
    expect(await text('/run/seen-classic/odd')).toBe(odd);
    expect(await text('/run/seen-classic/long')).toBe(`x: ${plain}`);
    expect(await text('/run/seen-dynamic/odd')).toBe(odd);
    expect(await text('/run/seen-dynamic/tls.key')).toBe(plain);
    expect(await text('/run/seen-dynamic/app.conf')).toBe(textOf('literal'));
    expect((await environmentOf(machine, 'dynamic.service')).get('ODD')).toBe(odd);
  });

  test('what has no group is for root alone', async () => {
    const lines = await listing(
      machine,
      `${secrets}/classic`,
      `${secrets}/dynamic`,
      `${secrets}/filer@one`,
      `${config}/dynamic`,
    );
    expect(withoutDigest(lines)).toEqual([
      `0700 root:root ${config}/dynamic`,
      `0600 root:root ${config}/dynamic/.ok`,
      `0640 root:root ${config}/dynamic/app.conf`,
      `0700 root:root ${secrets}/classic`,
      `0600 root:root ${secrets}/classic/.ok`,
      `0700 root:root ${secrets}/classic/credentials`,
      `0400 root:root ${secrets}/classic/credentials/long`,
      `0400 root:root ${secrets}/classic/credentials/odd`,
      `0700 root:root ${secrets}/dynamic`,
      `0600 root:root ${secrets}/dynamic/.ok`,
      `0400 root:root ${secrets}/dynamic/.values.json`,
      `0700 root:root ${secrets}/dynamic/credentials`,
      `0400 root:root ${secrets}/dynamic/credentials/odd`,
      `0600 root:root ${secrets}/dynamic/env`,
      `0700 root:root ${secrets}/dynamic/files`,
      `0400 root:root ${secrets}/dynamic/files/tls.key`,
      `0700 root:root ${secrets}/filer@one`,
      `0600 root:root ${secrets}/filer@one/.ok`,
      `0700 root:root ${secrets}/filer@one/files`,
      `0400 root:root ${secrets}/filer@one/files/default`,
      `0440 root:root ${secrets}/filer@one/files/explicit`,
      `0400 root:root ${secrets}/filer@one/files/literal`,
    ]);
    expect(await text('/run/seen-filer/default')).toBe(odd);
    expect(await text('/run/seen-filer/literal')).toBe('no secret at all');
    expect(await text('/run/seen-filer/explicit')).toBe(plain);
  });

  test('a group can read files and configs, and nothing else', async () => {
    const lines = await listing(machine, `${secrets}/shared`, `${config}/shared`);
    expect(withoutDigest(lines)).toEqual([
      `0750 root:shared ${config}/shared`,
      `0600 root:shared ${config}/shared/.ok`,
      `0640 root:shared ${config}/shared/config.yaml`,
      `0600 root:shared ${config}/shared/strict.conf`,
      `0710 root:shared ${secrets}/shared`,
      `0600 root:shared ${secrets}/shared/.ok`,
      `0400 root:shared ${secrets}/shared/.values.json`,
      `0700 root:shared ${secrets}/shared/credentials`,
      `0400 root:shared ${secrets}/shared/credentials/plain`,
      `0600 root:shared ${secrets}/shared/env`,
      `0750 root:shared ${secrets}/shared/files`,
      `0440 root:shared ${secrets}/shared/files/default`,
      `0400 root:shared ${secrets}/shared/files/own`,
      `0640 root:shared ${secrets}/shared/files/wide`,
    ]);
    // the other directories have nothing but the names of services
    const everything = (await listing(machine, '/run/litellm', secrets, config)).map(pathOf);
    const all = everything.filter((path) => path !== secrets && path !== config);
    expect(await readableBy(machine, 'member', all)).toEqual([
      '/run/litellm/config',
      '/run/litellm/config/config.yaml',
      '/run/litellm/files',
      '/run/litellm/files/a.key',
      `${config}/litellm`,
      `${config}/shared`,
      `${config}/shared/config.yaml`,
      `${secrets}/shared/files`,
      `${secrets}/shared/files/default`,
      `${secrets}/shared/files/wide`,
    ]);
    expect(await readableBy(machine, 'stranger', all)).toEqual([]);
    expect(await text('/run/seen-shared/wide')).toBe(plain);
  });

  test('configs are rendered', async () => {
    expect(await text(`${config}/shared/config.yaml`)).toBe(yamlOf(plain, '4000'));
    expect(await text(`${config}/shared/strict.conf`)).toBe(textOf(`a ${plain} b`));
    expect(await text('/run/seen-litellm/config.yaml')).toBe(yamlOf(plain, '4001'));
  });

  test('a runtime directory of the service name has environment, files and configs', async () => {
    const lines = await listing(machine, '/run/litellm', `${secrets}/litellm`, `${config}/litellm`);
    expect(withoutDigest(lines)).toEqual([
      '0710 root:shared /run/litellm',
      '0750 root:shared /run/litellm/config',
      '0640 root:shared /run/litellm/config/config.yaml',
      '0600 root:shared /run/litellm/env',
      '0750 root:shared /run/litellm/files',
      '0440 root:shared /run/litellm/files/a.key',
      `0750 root:shared ${config}/litellm`,
      `0600 root:shared ${config}/litellm/.ok`,
      `0710 root:shared ${secrets}/litellm`,
      `0600 root:shared ${secrets}/litellm/.ok`,
      `0400 root:shared ${secrets}/litellm/.runtime-directories`,
      `0400 root:shared ${secrets}/litellm/.values.json`,
    ]);
    expect((await environmentOf(machine, 'litellm.service')).get('KEY')).toBe(plain);
  });

  test('reload refreshes all in place and renders anew; what runs is not touched', async () => {
    const before = await environmentOf(machine, 'litellm.service');
    const inodes = (await machine.exec(`stat -c '%i %n' /run/litellm /run/litellm/config`)).stdout;
    await changeVault(second);
    for (const name of ['shared', 'litellm', 'dynamic']) expect(await reload(name)).toBe(0);
    expect(await text(`${config}/shared/config.yaml`)).toBe(yamlOf(second, '4000'));
    expect(await text(`${secrets}/shared/files/wide`)).toBe(second);
    expect(await text('/run/litellm/config/config.yaml')).toBe(yamlOf(second, '4001'));
    expect(await text('/run/litellm/env')).toContain(second);
    expect((await machine.exec(`stat -c '%i %n' /run/litellm /run/litellm/config`)).stdout).toBe(inodes);
    expect(await environmentOf(machine, 'litellm.service')).toEqual(before);
    expect(await readableBy(machine, 'member', ['/run/litellm/files/a.key', '/run/litellm/env'])).toEqual([
      '/run/litellm/files/a.key',
    ]);
    await succeeds('restart', 'dynamic');
    expect(await text('/run/seen-dynamic/tls.key')).toBe(second);
  });

  test('a reload that fails keeps the old values and the old configs', async () => {
    await machine.exec(`mv ${vaultPath} ${vaultPath}.away`);
    expect(await reload('litellm')).not.toBe(0);
    expect(await text('/run/litellm/config/config.yaml')).toBe(yamlOf(second, '4001'));
    expect(await text('/run/litellm/env')).toContain(second);
    await machine.exec(`mv ${vaultPath}.away ${vaultPath}`);
    await succeeds('restart', 'litellm');
  });

  test('a restart of the config unit renders anew, with the secrets that are there', async () => {
    await machine.writeFile(`${templates}/config.yaml`, `${yamlTemplate}more: 1\n`);
    await succeeds('restart', 'litellm-config');
    expect(await text('/run/litellm/config/config.yaml')).toBe(`${yamlOf(second, '4001')}more: 1\n`);
    await machine.waitFor(['systemctl', 'is-active', 'litellm.service'], 'litellm to be up again');
    expect(await text('/run/seen-litellm/config.yaml')).toBe(`${yamlOf(second, '4001')}more: 1\n`);
  });

  test('what came into a template after the fetch is told, with the remedy', async () => {
    await machine.writeFile(`${templates}/config.yaml`, `${yamlTemplate}more: {{ op://Vault/Item/port }}\n`);
    expect((await systemctl('reload', 'litellm-config')).code).not.toBe(0);
    expect(await statusOf(machine, 'litellm-config')).toMatch(
      /config\.yaml: "op:\/\/Vault\/Item\/port" came into the template after its values were fetched.*systemctl reload litellm-secrets\.service/,
    );
    expect(await reload('litellm')).toBe(0);
    expect(await text('/run/litellm/config/config.yaml')).toBe(`${yamlOf(second, '4001')}more: "4000"\n`);
  });

  test.each([
    ['a name that nobody declared', 'a: 1\nkey: ${KYE}\n', /config\.yaml:2:6: .*"KYE".*did you mean "KEY"/],
    ['a template that is not YAML', 'a: [1\nkey: ${KEY}\n', /config\.yaml:\d+:\d+: /],
    ['a placeholder that is none', 'key: ${KEY:-x}\n', /config\.yaml:1:6: .*no defaults/],
    [
      'a value that is no number',
      'key: ${KEY:number}\n',
      /config\.yaml:1:6: the value of KEY is not a decimal number/,
    ],
  ])('%s is an error with its place, and keeps what was there', async (_what, template, message) => {
    await machine.writeFile(`${templates}/config.yaml`, template);
    const before = await text('/run/litellm/config/config.yaml');
    await reload('litellm');
    const told = `${await statusOf(machine, 'litellm-secrets')}${await statusOf(machine, 'litellm-config')}`;
    expect(told).toMatch(message);
    expect(told).not.toContain(second);
    expect(await text('/run/litellm/config/config.yaml')).toBe(before);
    await machine.writeFile(`${templates}/config.yaml`, yamlTemplate);
    expect(await reload('litellm')).toBe(0);
  });

  test('a service whose template is missing is kept down, and told why', async () => {
    await machine.exec(`mv ${templates}/app.conf ${templates}/app.conf.away`);
    await succeeds('stop', 'shared');
    // a start may overtake the wipe, and find the set of before
    await gone(`${secrets}/shared`);
    expect((await systemctl('start', 'shared')).code).not.toBe(0);
    expect(await statusOf(machine, 'shared-secrets')).toContain(
      `${templates}/app.conf: the template does not exist`,
    );
    await machine.exec(`mv ${templates}/app.conf.away ${templates}/app.conf`);
    await succeeds('start', 'shared');
  });

  test('stop wipes the runtime directory too', async () => {
    await succeeds('stop', 'litellm');
    for (const path of ['/run/litellm', `${secrets}/litellm`, `${config}/litellm`]) await gone(path);
    await succeeds('start', 'litellm');
  });

  test('a runtime directory that the manifest renames or drops is wiped with the new one', async () => {
    const places = ['/run/litellm', '/run/llm', `${secrets}/litellm`, `${config}/litellm`];
    const { runtimeDirectory, ...without } = services.litellm;
    await load({ ...services, litellm: { ...without, runtimeDirectory: 'llm' } });
    expect(await reload('litellm')).toBe(0);
    expect(await text('/run/llm/config/config.yaml')).toBe(yamlOf(second, '4001'));
    // what runs may still read the old ones
    expect(await text('/run/litellm/config/config.yaml')).toBe(yamlOf(second, '4001'));
    await succeeds('stop', 'litellm');
    for (const path of places) await gone(path);

    await load(services);
    await succeeds('start', 'litellm');
    await load({ ...services, litellm: without });
    // no reload in between: the directory is known from the record alone
    await succeeds('stop', 'litellm');
    for (const path of places) await gone(path);

    await load(services);
    await succeeds('start', 'litellm');
    expect(await text(`/run/${runtimeDirectory}/config/config.yaml`)).toBe(yamlOf(second, '4001'));
    const { litellm, ...others } = services;
    await load(others);
    // 247 does not look during daemon-reload whether a unit is needed
    if (suite === 'bullseye') await succeeds('stop', 'litellm-config', 'litellm-secrets');
    for (const path of places) await gone(path);
    expect(await stateOf(machine, 'litellm.service')).toBe('active');
    await load({ ...others, litellm });
    await succeeds('restart', 'litellm');
  });

  test('credentials may be as long as systemd takes them, and not longer', async () => {
    await changeVault(second, { longest });
    const entry = (credentials: object) => ({ ...services, later: { credentials } });
    await load(entry({ long: 'op://Vault/Item/longest' }));
    await succeeds('start', 'later');
    expect((await machine.exec(`stat -c %s ${secrets}/later/credentials/long`)).stdout).toBe(
      `${longest.length}\n`,
    );
    await succeeds('stop', 'later');
    await load(entry({ long: 'x{{ op://Vault/Item/longest }}' }));
    expect((await systemctl('start', 'later')).code).not.toBe(0);
    expect(await statusOf(machine, 'later-secrets')).toMatch(/1 MiB.*"long"/);
    await load(services);
    await changeVault(second);
  });

  test('nothing is left when all are stopped', async () => {
    await succeeds('stop', ...Object.keys(services));
    await machine.waitFor(
      async () => (await listing(machine, secrets, config)).length === 2,
      'the directories to be empty',
    );
    expect((await machine.exec('ls /run')).stdout).not.toMatch(/litellm|llm/);
  });
});
