import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import {
  bootMachine,
  environmentOf,
  makeHostKey,
  manifestPath,
  seal,
  vaultManifest,
  vaultPath,
} from './machine.ts';

const secrets = { Home: { App: { key: 'first-value', other: 'second-value' }, Web: { key: 'web-value' } } };
const app = { environment: { KEY: 'op://Home/App/key' } };
const web = {
  environment: { KEY: 'op://Home/Web/key' },
  configs: { 'web.yaml': { template: '/etc/unit-secrets/templates/web.yaml' } },
};
const fetch = { fetch: { tries: 1, timeout: '20s', retryEvery: '1h' } };

/** The commands for people, on a machine that is used by one: each test goes on where the last one ended. */
describe('commands for people', () => {
  const key = makeHostKey();
  let machine: Container;
  beforeAll(async () => {
    machine = await bootMachine({
      suite: 'bookworm',
      key,
      manifest: vaultManifest({ app, web }, fetch),
      vault: secrets,
      services: { app: undefined, web: undefined, bare: undefined },
      files: { '/etc/unit-secrets/templates/web.yaml': 'key: ${KEY}\n' },
    });
  });
  afterAll(() => machine?.[Symbol.asyncDispose]());

  const run = async (command: string) => {
    const { code, stdout, stderr } = await machine.exec(`unit-secrets ${command}`, { check: false });
    // no command has ever a reason to show a value
    expect(stdout + stderr).not.toMatch(/(?:first|second|web)-value/);
    return { code, stdout, stderr };
  };
  const edit = (services: Record<string, unknown>) =>
    machine.writeFile(manifestPath, vaultManifest(services, fetch));
  const keyOf = async (service: string) => (await environmentOf(machine, service)).get('KEY');
  const statusOf = async (...args: readonly string[]) => {
    const { stdout } = await run(`status --json ${args.join(' ')}`);
    return (JSON.parse(stdout) as { services: Record<string, { state?: string }>[] }).services;
  };

  test('check says that all is well, and with --online that every reference exists', async () => {
    const expected = { code: 0, stdout: 'no errors, 0 warnings: 2 services\n', stderr: '' };
    expect(await run('check')).toEqual(expected);
    expect(await run('check --online')).toEqual(expected);
  });

  test('check --online tells the references that do not exist, and who wants them', async () => {
    await edit({ app: { environment: { KEY: 'op://Home/App/kez' } }, web });
    expect((await run('check')).code).toBe(0);
    const { code, stdout } = await run('check --online');
    expect(code).toBe(1);
    expect(stdout).toMatch(/:\d+:\d+: \$\.services\.app\.environment\.KEY: "op:\/\/Home\/App\/kez": /);
    expect(stdout).toContain(`${manifestPath}:`);
    await edit({ app, web });
  });

  test('plan has nothing to show', async () => {
    expect((await run('plan')).code).toBe(0);
  });

  test('status has a line for each service', async () => {
    const { code, stdout } = await run('status');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^SERVICE +STATE +SECRETS +CONFIG +SINCE\n/);
    expect(stdout).toMatch(/^app +active +fetched +- +\d+ /m);
    expect(stdout).toMatch(/^web +active +fetched +rendered +\d+ /m);
  });

  test('doctor finds nothing wrong', async () => {
    const { code, stdout } = await run('doctor');
    expect(stdout).not.toMatch(/^error/m);
    expect(code).toBe(0);
    for (const check of [
      'systemd',
      'kernel',
      'generator',
      'manifest',
      'memory',
      'clock',
      'vault',
      'services',
    ])
      expect(stdout).toMatch(new RegExp(`^ok +${check}: `, 'm'));
  });

  test('apply fetches what has changed, and restarts the service that it is for, no other', async () => {
    const pidOf = async (service: string) =>
      (await machine.exec(['systemctl', 'show', '--property=MainPID', '--value', service])).stdout;
    const before = await pidOf('web');
    await edit({ app: { environment: { KEY: 'op://Home/App/other' } }, web });
    expect((await run('plan')).code).toBe(2);
    const { code, stdout } = await run('apply');
    expect(code).toBe(0);
    expect(stdout).toContain('+Environment="KEY=op://Home/App/other"');
    expect(await keyOf('app')).toBe('second-value');
    expect(await pidOf('web')).toBe(before);
    expect(await run('apply')).toMatchObject({ code: 0, stdout: expect.stringContaining('no change') });
  });

  test('apply that could not fetch everything is done by the next one, with or without a retry in between', async () => {
    await edit({ app: { environment: { KEY: 'op://Home/App/later' } }, web });
    expect(await run('apply')).toMatchObject({ code: 65, stderr: expect.stringContaining('run it again') });
    expect((await run('status')).stdout).toMatch(/^app +active .*goes on with what it had/m);
    expect((await run('apply')).code).toBe(65);
    const later = { Home: { ...secrets.Home, App: { ...secrets.Home.App, later: 'later-value' } } };
    await machine.writeFile(vaultPath, seal(JSON.stringify(later), key));
    await machine.exec('systemctl reload app-secrets');
    expect(await keyOf('app')).toBe('second-value');
    expect((await run('apply')).code).toBe(0);
    expect(await keyOf('app')).toBe('later-value');
    expect(await run('apply')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('no change'),
      stderr: '',
    });
  });

  test('apply gives a service that runs already its first secrets', async () => {
    await edit({ app, web, bare: app });
    expect((await run('apply')).code).toBe(0);
    expect(await keyOf('bare')).toBe('first-value');
  });

  test('apply does not take a manifest with problems', async () => {
    await edit({ app: { environment: { KEY: 'op://' } }, web, bare: app });
    const { code, stderr } = await run('apply');
    expect(code).toBe(1);
    expect(stderr).toContain('nothing was changed');
    expect((await run('status')).code).toBe(0);
  });

  test('a broken entry is told by status and doctor', async () => {
    await machine.exec('systemctl daemon-reload');
    const [status] = await statusOf('app');
    expect(status).toMatchObject({
      name: 'app',
      service: { state: 'active' },
      errors: [expect.stringContaining('$.services.app.environment.KEY')],
      trouble: expect.stringMatching(/^kept down: /),
    });
    expect((await run('status')).code).toBe(1);
    expect(await run('doctor')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^error +manifest: .*\n +unit-secrets check /m),
    });
    await edit({ app, web, bare: app });
    expect((await run('apply')).code).toBe(0);
  });

  test('status says why secrets could not be fetched, and retry fetches them when they are there', async () => {
    await machine.exec('systemctl stop app');
    await machine.exec(`mv ${vaultPath} /root/vault.age`);
    expect((await machine.exec('systemctl start app', { check: false })).code).not.toBe(0);
    const { code, stdout } = await run('status app');
    expect(code).toBe(1);
    expect(stdout).toContain('app-secrets.service failed');
    expect(stdout).toContain(`${vaultPath}: does not exist`);
    expect(stdout).toMatch(/started again in \d+ min/);
    expect(await run('doctor')).toMatchObject({ code: 1, stdout: expect.stringMatching(/^error +vault: /m) });
    await machine.exec(`mv /root/vault.age ${vaultPath}`);
    expect((await run('retry app')).code).toBe(0);
    expect(await keyOf('app')).toBe('first-value');
  });

  test.each(['retry', 'apply'])(
    'what was unmounted under active units is told by status and doctor, and brought back by %s',
    async (healing) => {
      await machine.exec('umount --lazy /run/unit-secrets');
      for (const service of ['app', 'web'])
        expect((await machine.exec(`systemctl restart ${service}`, { check: false })).code).not.toBe(0);
      const { code, stdout } = await run('status');
      expect(code).toBe(1);
      expect(stdout).toMatch(/^app .*is gone from .*unit-secrets retry app/m);
      expect(await run('doctor')).toMatchObject({
        code: 1,
        stdout: expect.stringMatching(/^error +memory: .* is gone under units .*\n +unit-secrets apply /m),
      });
      if (healing === 'retry') {
        for (const service of ['app', 'web'])
          expect(await run(`retry ${service}`)).toMatchObject({ code: 0 });
      } else {
        expect(await run('apply')).toMatchObject({ code: 0 });
        await machine.exec('systemctl start app web');
      }
      expect(await keyOf('app')).toBe('first-value');
      expect(await keyOf('web')).toBe('web-value');
      // nothing is written where the memory ought to be
      await machine.exec('findmnt /run/unit-secrets && systemctl restart app web');
      await machine.exec('umount --lazy /run/unit-secrets; ! grep -r value- /run/unit-secrets');
      expect((await run('apply')).code).toBe(0);
      expect((await run('apply')).code).toBe(0);
      expect((await run('status')).code).toBe(0);
      expect((await run('doctor')).stdout).not.toMatch(/^error/m);
    },
  );

  test('retry on a terminal says what it waits for, and takes that back', async () => {
    await machine.exec('systemctl stop app');
    const delay = '/etc/systemd/system/app.service.d/slow.conf';
    await machine.writeFile(delay, '[Service]\nExecStartPre=/bin/sleep 2\n');
    await machine.exec('systemctl daemon-reload');
    const onTerminal = `TERM=xterm script -qec "unit-secrets retry app" /dev/null </dev/null`;
    expect((await machine.exec(onTerminal)).stdout).toMatch(
      // erased, drawn, erased: nothing is left
      /^\r.\[Kwaiting for app\.service \(1 s\)\r.\[K(?:waiting for app\.service \(\d s\)\r.\[K)*$/,
    );
    await machine.exec(`rm ${delay}; systemctl daemon-reload`);
  });

  test.each([
    [
      'a drop-in of the administrator in the place of ours',
      'mkdir -p /etc/systemd/system/app.service.d && echo >/etc/systemd/system/app.service.d/50-unit-secrets.conf',
      /^error +drop-ins: /m,
      'rm -r /etc/systemd/system/app.service.d',
    ],
    [
      'a generator that cannot be executed',
      'rm /usr/lib/systemd/system-generators/unit-secrets-generator && install -m 644 /dev/null /etc/systemd/system-generators/unit-secrets-generator',
      /^error +generator: .*not executable/m,
      'rm /etc/systemd/system-generators/unit-secrets-generator && ln -s /usr/bin/unit-secrets /usr/lib/systemd/system-generators/unit-secrets-generator',
    ],
    [
      'no generator',
      'mv /usr/lib/systemd/system-generators/unit-secrets-generator /root',
      /^error +generator: systemd knows no/m,
      'mv /root/unit-secrets-generator /usr/lib/systemd/system-generators',
    ],
  ])('doctor finds %s', async (_, spoil, message, mend) => {
    await machine.exec(`mkdir -p /etc/systemd/system-generators; ${spoil}`);
    const { code, stdout } = await run('doctor');
    expect(stdout).toMatch(message);
    expect(code).toBe(1);
    await machine.exec(mend);
  });

  test('doctor finds a service that is not there, and a runtime directory that two units have', async () => {
    await machine.writeFile(
      '/etc/systemd/system/dir.service',
      '[Service]\nRuntimeDirectory=shared\nExecStart=/bin/sleep infinity\n',
    );
    await edit({ app, web, bare: app, missing: app, dir: { ...app, runtimeDirectory: 'shared' } });
    await machine.exec('systemctl daemon-reload');
    const { code, stdout } = await run('doctor');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^warning services: missing\.service does not exist$/m);
    expect(stdout).toMatch(/^error +runtime directories: dir\.service has RuntimeDirectory=shared/m);
    await edit({ app, web, bare: app });
    await machine.exec('systemctl daemon-reload');
  });

  test('another user than root sees how services stand, and no more', async () => {
    const { stdout } = await machine.exec("su nobody -s /bin/sh -c 'unit-secrets status'", { check: false });
    expect(stdout).toMatch(/^app +active +fetched/m);
  });

  test.each(['status', 'retry'])('%s of a service that is not known is one too many', async (command) => {
    expect(await run(`${command} wep`)).toEqual({
      code: 64,
      stdout: '',
      stderr: '"wep" has no secrets here (did you mean "web"?)\n',
    });
  });

  test('a token that cannot be opened is told where people look', async () => {
    const { manifest } = { manifest: JSON.stringify({ version: 1, ...fetch, services: { app } }) };
    await machine.exec('systemctl stop app');
    await machine.writeFile(manifestPath, manifest);
    await run('apply');
    expect((await machine.exec('systemctl start app', { check: false })).code).not.toBe(0);
    const reason = '/etc/unit-secrets/1password-token.age: does not exist';
    expect(
      (await machine.exec('systemctl status --no-pager --full app-secrets', { check: false })).stdout,
    ).toContain(reason);
    expect(await run('status')).toMatchObject({ code: 1, stdout: expect.stringContaining(reason) });
    expect(await run('retry app')).toMatchObject({ stderr: expect.stringContaining(reason) });
    expect(await run('doctor')).toMatchObject({ code: 1, stdout: expect.stringContaining(reason) });
    expect((await machine.exec('ls -A /run/unit-secrets/token')).stdout).toBe('trouble\n');
    await edit({ app, web, bare: app });
    await run('apply');
    await machine.exec('systemctl start app');
    expect((await machine.exec('ls -A /run/unit-secrets/token')).stdout).toBe('');
  });

  test('a vault that is sealed anew is read by the next fetch', async () => {
    await machine.writeFile(
      vaultPath,
      seal(JSON.stringify({ Home: { ...secrets.Home, App: { key: 'rotated' } } }), key),
    );
    await machine.exec('systemctl reload app-secrets && systemctl try-restart app');
    expect(await keyOf('app')).toBe('rotated');
  });
});
