import { expect, test } from 'vitest';
import { bootEmulated } from './emulated.ts';
import { statusOf } from './looking.ts';
import { environmentOf, manifestPath, stateOf } from './machine.ts';

const manifest = (token: object) =>
  `${JSON.stringify({
    version: 1,
    token,
    fetch: { tries: 1, timeout: '30s', retryEvery: '1h' },
    services: { app: { environment: { KEY: 'op://Homelab/App/value' } } },
  })}\n`;
const sealed = { age: '/etc/unit-secrets/1password-token.age' };
const items = { App: { value: 's3nt1nel' } };
const store = '/etc/credstore.encrypted';

test.each(['bookworm', 'trixie', 'sid'] as const)(
  'a token that systemd keeps encrypted, on %s',
  async (suite) => {
    await using emulated = await bootEmulated({
      suite,
      manifest: manifest({ credential: 'op-token' }),
      items,
      services: { app: undefined },
    });
    const { machine, token } = emulated;
    // not there yet: the token unit says so, the service is down
    expect(await stateOf(machine, 'unit-secrets-token.service')).toBe('failed');
    expect(await stateOf(machine, 'app.service')).toBe('inactive');

    await machine.exec(`mkdir -p ${store} && chmod 700 ${store} && systemd-creds setup`);
    const encrypt = `systemd-creds encrypt --with-key=host --name=op-token - ${store}/op-token`;
    await machine.exec(['sh', '-c', encrypt], { input: `${token}\n` });
    expect((await machine.exec(`grep -c ops_ ${store}/op-token`, { check: false })).stdout).toBe('0\n');
    await machine.exec('systemctl start app');
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe('s3nt1nel');
    await machine.exec('systemctl reload app-secrets');

    // a new one needs no more than a reload
    await machine.exec(['sh', '-c', encrypt], { input: `${token.replace('ops_', 'ops_AA')}\n` });
    await machine.exec('systemctl reload unit-secrets-token');
    const opened = '/run/unit-secrets/token/1password-token';
    expect(await machine.readBytes(opened)).toEqual(Buffer.from(token.replace('ops_', 'ops_AA')));
    await machine.exec(['sh', '-c', encrypt], { input: `${token}\n` });
    await machine.exec('unit-secrets apply');
    expect(await machine.readBytes(opened)).toEqual(Buffer.from(token));

    // one of another name, and one that holds something else
    await machine.exec(['sh', '-c', encrypt.replace('=op-token', '=other')], { input: token });
    await machine.exec('systemctl restart unit-secrets-token', { check: false });
    expect(await stateOf(machine, 'unit-secrets-token.service')).toBe('failed');
    await machine.exec(['sh', '-c', encrypt], { input: 'not a token' });
    await machine.exec('systemctl restart unit-secrets-token', { check: false });
    expect(await statusOf(machine, 'unit-secrets-token')).toContain(
      'the credential "op-token" does not hold a service account token',
    );
  },
);

test('systemd 247 has no encrypted credentials, and is told so; the other ways work', async () => {
  await using emulated = await bootEmulated({
    suite: 'bullseye',
    manifest: manifest({ credential: 'op-token' }),
    items,
    services: { app: undefined },
  });
  const { machine } = emulated;
  expect(await statusOf(machine, 'unit-secrets-token')).toContain(
    'encrypted credentials need systemd 250 or later',
  );
  await machine.writeFile(manifestPath, manifest(sealed));
  await machine.exec(
    'systemctl daemon-reload && systemctl restart unit-secrets-token && systemctl start app',
  );
  expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe('s3nt1nel');
  await machine.exec('systemctl reload app-secrets');
});
