import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emulatorBinary } from '../build/binary.ts';
import type { Container } from '../container/container.ts';
import { newAccount, tokenOf } from '../emulator/token.ts';
import { bootMachine, environmentOf, makeHostKey, manifestPath, seal, stateOf } from './machine.ts';

const secret = 'n0t-4-r34l-s3cr3t "quoted" $HOME\nand more 🔑';
const emulatorService = `[Unit]
Description=Stands for 1Password's servers
[Service]
ExecStart=/usr/bin/op-emulator --port 8080 --data /etc/op/data.json --account /etc/op/account.json
[Install]
WantedBy=sysinit.target
`;
const vaults = {
  Homelab: { items: { App: { fields: { password: secret }, sections: { db: { 'user name': 'me' } } } } },
};

describe.each(['bookworm', 'trixie'] as const)('secrets from 1Password on %s', (suite) => {
  const key = makeHostKey();
  const account = newAccount();
  const [serviceAccount] = account.serviceAccounts;
  if (serviceAccount === undefined) throw new Error('the emulator made no service account');
  const token = tokenOf(serviceAccount, 'http://127.0.0.1:8080');
  const sealed = seal(`${token}\n`, key);
  const sealedPath = '/etc/unit-secrets/1password-token.age';
  let machine: Container;

  const manifest = (more: object, services: object) =>
    `${JSON.stringify({ version: 1, ...more, services })}\n`;
  const quick = { fetch: { tries: 2, timeout: '20s', retryEvery: '1s' } };
  const app = {
    environment: { PASSWORD: 'op://Homelab/App/password', URL: 'x://{{ op://homelab/app/db/user name }}@h' },
  };
  const systemctl = (command: string) => machine.exec(`systemctl ${command}`, { check: false });
  const status = async (unit: string) => (await systemctl(`status --no-pager --full ${unit}`)).stdout;
  const load = async (text: string) => {
    await machine.writeFile(manifestPath, text);
    await machine.exec('systemctl daemon-reload');
  };
  /** Tells the emulator something. */
  const control = async (method: string, path: string, body: object = {}) => {
    const text = JSON.stringify(body);
    const request = `${method} ${path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
    const command = 'exec 3<>/dev/tcp/127.0.0.1/8080; cat >&3; cat <&3';
    const { stdout } = await machine.exec(['bash', '-c', command], { input: request });
    if (!/^HTTP\S* 200/.test(stdout)) throw new Error(`the emulator says: ${stdout}`);
    return JSON.parse(stdout.slice(stdout.indexOf('\r\n\r\n'))) as unknown;
  };
  const requests = async () => ((await control('GET', '/control/requests')) as readonly unknown[]).length;

  beforeAll(async () => {
    machine = await bootMachine({
      suite,
      key,
      manifest: manifest(quick, { app }),
      services: { app: undefined, other: undefined },
      files: {
        '/etc/op/data.json': JSON.stringify({ vaults }),
        '/etc/op/account.json': { content: JSON.stringify(account), mode: 0o600 },
        '/etc/systemd/system/op-emulator.service': emulatorService,
        [sealedPath]: { content: sealed },
      },
      copies: { '/usr/bin/op-emulator': await emulatorBinary() },
      setup: 'systemctl --quiet enable op-emulator.service',
    });
    await machine.waitFor(['systemctl', 'is-active', 'app.service'], 'app to be up');
  });
  afterAll(() => machine.kill());

  const expectRunning = async () => {
    const environment = await environmentOf(machine, 'app.service');
    expect([environment.get('PASSWORD'), environment.get('URL')]).toEqual([secret, 'x://me@h']);
  };

  test('arrive exactly, with a token that is sealed to the host key', expectRunning);

  test('the opened token is for root alone', async () => {
    const { stdout } = await machine.exec(
      "stat -c '%a %U %n' /run/unit-secrets/token /run/unit-secrets/queue /run/unit-secrets/token/*",
    );
    expect(stdout).toBe(
      '700 root /run/unit-secrets/token\n700 root /run/unit-secrets/queue\n400 root /run/unit-secrets/token/1password-token\n',
    );
    expect(await machine.readFile('/var/lib/unit-secrets/services')).toBe('app.service\n');
  });

  test('are fetched again by a reload, though the credential is gone by then', async () => {
    expect((await systemctl('reload app-secrets')).code).toBe(0);
  });

  test('a new token needs no more than a reload of the token unit', async () => {
    expect((await systemctl('reload unit-secrets-token')).code).toBe(0);
    expect((await systemctl('reload app-secrets')).code).toBe(0);
  });

  test('an unknown item ends at once, by name', async () => {
    await load(manifest(quick, { app, other: { environment: { A: 'op://Homelab/Nothing/password' } } }));
    await systemctl('start other-secrets');
    const text = await status('other-secrets');
    expect(text).toContain('"op://Homelab/Nothing/password": no item of that name or id in the vault');
    expect(text).toContain('status=65/DATAERR');
    expect(text).not.toContain('try 2 of 2');
  });

  test('a service that is down for its secrets comes up when 1Password is back', async () => {
    await systemctl('stop app');
    await systemctl('stop op-emulator');
    expect((await systemctl('start app')).code).not.toBe(0);
    const text = await status('app-secrets');
    expect(text).toContain('1Password could not be reached');
    expect(text).toContain('status=75/TEMPFAIL');
    await systemctl('start op-emulator');
    await machine.waitFor(['systemctl', 'is-active', 'app.service'], 'app to come up by itself');
    await expectRunning();
  });

  test('of a service that was stopped before its secrets came nobody is told that they are tried again', async () => {
    await load(manifest({ fetch: { tries: 1, timeout: '20s', retryEvery: '1h' } }, { app }));
    await systemctl('stop app');
    await systemctl('stop op-emulator');
    expect((await systemctl('start app')).code).not.toBe(0);
    const told = async (command: string) =>
      (await machine.exec(`unit-secrets ${command}`, { check: false })).stdout;
    expect(await told('status app')).toMatch(/trouble .*it is tried again by itself/);
    expect(await told('doctor')).toMatch(/^error +services: app: /m);
    await systemctl('stop app');
    for (const command of ['status', 'status app', 'status --json']) {
      expect(await told(command)).toContain('1Password could not be reached');
      expect(await told(command)).not.toContain('by itself');
    }
    expect(await told('doctor')).toMatch(/^warning services: app is stopped, /m);
    expect(await told('doctor')).not.toMatch(/^error +services: /m);
    await systemctl('start op-emulator');
    await load(manifest(quick, { app }));
    await machine.waitFor(() => control('GET', '/control/faults'), 'the emulator to be back');
    expect((await systemctl('start app')).code).toBe(0);
    await expectRunning();
  });

  test('a restart needs nobody', async () => {
    await systemctl('stop op-emulator');
    expect((await systemctl('restart app')).code).toBe(0);
    await expectRunning();
    await systemctl('start op-emulator');
    await machine.waitFor(() => control('GET', '/control/faults'), 'the emulator to be back');
  });

  test('a passing fault costs a try, not a start', async () => {
    await systemctl('stop app');
    await control('POST', '/control/faults', { kind: 'status', status: 503, times: 1 });
    expect((await systemctl('start app')).code).toBe(0);
    expect(await status('app-secrets')).toMatch(/try 1 of 2: transient: .*\n.*try 2 of 2: fetched 2 secrets/);
  });

  test('while it tries, the status says what is wrong and when the next try is; the journal has it in fields', async () => {
    await load(manifest({ fetch: { tries: 12, timeout: '2min', retryEvery: '1s' } }, { app }));
    await systemctl('stop app');
    await control('POST', '/control/faults', { kind: 'status', status: 503, match: 'auth-start' });
    await systemctl('start --no-block app');
    const statusText = async () => (await systemctl('show --property=StatusText app-secrets')).stdout;
    await machine.waitFor(async () => {
      return /^StatusText=try \d+ of 12: 1Password reports an internal error, next in \d+ s$/m.test(
        await statusText(),
      );
    }, 'the status to tell of the tries');
    await control('DELETE', '/control/faults');
    await machine.waitFor(['systemctl', 'is-active', 'app.service'], 'app to come up');
    expect(await statusText()).toBe('StatusText=fetched\n');
    const { stdout } = await machine.exec(
      'journalctl --no-pager --output=json --unit=app-secrets UNIT_SECRETS_SERVICE=app.service',
    );
    const entries = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    expect(entries).toContainEqual(
      expect.objectContaining({
        PRIORITY: '4',
        UNIT_SECRETS_TRY: '1',
        UNIT_SECRETS_CLASS: 'transient',
        UNIT_SECRETS_DELAY_MS: expect.stringMatching(/^\d+$/),
        MESSAGE: expect.stringMatching(
          /^try 1 of 12: transient: 1Password reports an internal error, next in/,
        ),
      }),
    );
    expect(entries.at(-1)).toMatchObject({
      PRIORITY: '6',
      MESSAGE: expect.stringMatching(/fetched 2 secrets$/),
    });
    // what systemd says of a message that it does not understand
    expect((await machine.exec('journalctl --no-pager --output=cat')).stdout).not.toContain(
      'Failed to parse',
    );
    await load(manifest(quick, { app }));
    await systemctl('stop app');
    expect((await systemctl('start app')).code).toBe(0);
  });

  test('what is not there is not asked for by the retry timer, but by retry, which then starts the service', async () => {
    await systemctl('stop other');
    await load(manifest(quick, { app, other: { environment: { A: 'op://Homelab/Later/password' } } }));
    expect((await systemctl('start other')).code).not.toBe(0);
    const before = await requests();
    await machine.waitFor(async () => {
      const { stdout } = await machine.exec('journalctl --no-pager --output=cat --unit=other-secrets');
      return stdout.split('not asked again').length > 2;
    }, 'the timer to have started it twice');
    expect(await requests()).toBe(before);
    const failing = await machine.exec('unit-secrets retry other', { check: false });
    expect(failing).toMatchObject({
      code: 65,
      stderr: expect.stringContaining(
        '"op://Homelab/Later/password": no item of that name or id in the vault',
      ),
    });
    const again = await requests();
    expect(again).toBeGreaterThan(before);
    const later = { vaults: { Homelab: { items: { Later: { fields: { password: 'at last' } } } } } };
    await control('PATCH', '/control/data', later);
    expect(await machine.exec('unit-secrets retry other', { check: false })).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect((await environmentOf(machine, 'other.service')).get('A')).toBe('at last');
    expect(await machine.exec('unit-secrets retry nobody', { check: false })).toMatchObject({ code: 64 });
  });

  test('retry of a service that runs fetches anew, and says that the service has what it had', async () => {
    const before = await requests();
    const pid = async () => (await systemctl('show --property=MainPID app')).stdout;
    const [running, retried] = [await pid(), await machine.exec('unit-secrets retry app')];
    expect(retried.stdout).toBe(
      'fetched anew; app.service goes on with the secrets that it was started with until "systemctl restart app.service"\n',
    );
    expect(await requests()).toBeGreaterThan(before);
    expect(await pid()).toBe(running);
    await control('POST', '/control/revoke');
    expect(await machine.exec('unit-secrets retry app', { check: false })).toMatchObject({
      code: 77,
      stderr: expect.stringContaining('does not accept the service account token'),
    });
    await control('POST', '/control/restore');
    await expectRunning();
  });

  test('after an unmount, doctor misses the token, and apply brings back all', async () => {
    const tokenPath = '/run/unit-secrets/token/1password-token';
    await machine.exec('umount --lazy /run/unit-secrets');
    expect((await systemctl('restart app')).code).not.toBe(0);
    await machine.exec('unit-secrets apply');
    await machine.exec(`findmnt /run/unit-secrets && test -s ${tokenPath} && systemctl start app`);
    await expectRunning();
    await machine.exec(`rm ${tokenPath}`);
    const doctor = await machine.exec('unit-secrets doctor', { check: false });
    expect(doctor.stdout).toContain(`memory: ${tokenPath} is gone`);
    await machine.exec(`unit-secrets retry app && test -s ${tokenPath}`);
  });

  test('a token that was revoked is said to be', async () => {
    await control('POST', '/control/revoke');
    expect((await systemctl('reload app-secrets')).code).not.toBe(0);
    const { stdout } = await machine.exec('journalctl --no-pager --output=cat --unit=app-secrets --lines=20');
    expect(stdout).toContain('1Password does not accept the service account token');
    expect(stdout).toContain('status=77/NOPERM');
    await control('POST', '/control/restore');
    await expectRunning();
  });

  test('after another token was sealed, retry opens it, as the message says', async () => {
    const [stranger] = newAccount().serviceAccounts;
    if (stranger === undefined) throw new Error('the emulator made no service account');
    await machine.writeFile(sealedPath, seal(tokenOf(stranger, 'http://127.0.0.1:8080'), key));
    await machine.exec('systemctl reload unit-secrets-token && systemctl stop app');
    expect((await systemctl('start app')).code).not.toBe(0);
    expect(await machine.exec('unit-secrets retry app', { check: false })).toMatchObject({
      code: 77,
      stderr: expect.stringContaining('create a new one and seal it; then "unit-secrets retry app"'),
    });
    await machine.writeFile(sealedPath, sealed);
    const retried = await machine.exec('unit-secrets retry app', { check: false });
    expect(retried).toMatchObject({
      code: 0,
      stderr: `${sealedPath} is newer than the token that was opened: systemctl reload unit-secrets-token.service\n`,
    });
    await expectRunning();
    expect((await machine.exec('unit-secrets apply')).stderr).not.toContain('is newer than');
  });

  test('a token that cannot be opened fails the token unit, which says why; the service comes up when it can', async () => {
    await systemctl('stop app');
    await machine.writeFile(sealedPath, seal(token, makeHostKey()));
    await systemctl('restart unit-secrets-token');
    expect(await status('unit-secrets-token')).toContain(sealedPath);
    expect(await stateOf(machine, 'unit-secrets-token.service')).toBe('failed');
    expect((await systemctl('start app')).code).not.toBe(0);
    await machine.writeFile(sealedPath, sealed);
    await machine.waitFor(['systemctl', 'is-active', 'app.service'], 'app to come up by itself');
    await expectRunning();
  });

  test('a token in a plain file works as well, and one that is none is refused', async () => {
    await machine.writeFile('/run/agenix/token', `${token}\n`, 0o400);
    await load(manifest({ ...quick, token: { file: '/run/agenix/token' } }, { app }));
    await systemctl('stop app');
    expect((await systemctl('restart unit-secrets-token')).code).toBe(0);
    expect((await systemctl('start app')).code).toBe(0);
    await expectRunning();
    await machine.writeFile('/run/agenix/token', 'not a token', 0o400);
    expect((await systemctl('restart unit-secrets-token')).code).not.toBe(0);
    expect(await status('unit-secrets-token')).toContain(
      '/run/agenix/token does not hold a service account token',
    );
    await machine.exec('rm /run/agenix/token');
    expect((await systemctl('restart unit-secrets-token')).code).not.toBe(0);
    expect(await status('unit-secrets-token')).toContain('the token file /run/agenix/token is missing');
  });

  test('neither token nor secret is in the journal or in what systemctl shows', async () => {
    const { stdout } = await machine.exec(
      'journalctl --no-pager --all; systemctl show "*"; systemctl cat "app*" "unit-*"',
    );
    expect(stdout).toContain('app-secrets.service');
    expect(stdout).not.toContain('n0t-4-r34l');
    expect(stdout).not.toContain(token.slice(0, 40));
  });
});
