import { expect, test } from 'vitest';
import { statusOf } from './looking.ts';
import {
  bootMachine,
  environmentOf,
  makeHostKey,
  seal,
  stateOf,
  vaultManifest,
  vaultPath,
} from './machine.ts';

const checkout = '/home/admin/homelab';
const etc = '/etc/unit-secrets';
const reference = 'op://Vault/Item/field';

// as adduser makes homes: no one but the owner gets in, and root in a sandbox is no one
test.each(['bullseye', 'bookworm', 'trixie', 'sid'] as const)(
  'a git checkout in a home, linked, on %s',
  async (suite) => {
    const key = makeHostKey();
    await using machine = await bootMachine({
      suite,
      key,
      services: { app: undefined, first: undefined, second: undefined },
      files: {
        [`${checkout}/manifest.json`]: vaultManifest({
          app: {
            environment: { KEY: reference },
            configs: { 'app.conf': { template: `${etc}/templates/app.conf` } },
          },
        }),
        [`${checkout}/manifest.d/10-first.json`]: JSON.stringify({
          version: 1,
          services: { first: { environment: { KEY: reference } } },
        }),
        [`${checkout}/manifest.d/20-second.json`]: JSON.stringify({
          version: 1,
          services: { second: { environment: { KEY: 'literal' } }, first: { environment: { KEY: 'again' } } },
        }),
        [`${checkout}/templates/app.conf`]: '${KEY}\n',
        [`${checkout}/vault.age`]: {
          content: seal(JSON.stringify({ Vault: { Item: { field: 's3nt1nel' } } }), key),
        },
      },
      setup: `useradd admin && chown -R admin:admin /home/admin && chmod 700 /home/admin
mkdir -p ${etc}
for name in manifest.json manifest.d templates vault.age; do ln -s ${checkout}/$name ${etc}/$name; done`,
    });
    expect(await stateOf(machine, 'app.service'), await statusOf(machine, 'app-secrets')).toBe('active');
    expect((await environmentOf(machine, 'app.service')).get('KEY')).toBe('s3nt1nel');
    expect(await machine.readFile('/run/unit-secrets/config/app/app.conf')).toBe('s3nt1nel\n');
    expect((await environmentOf(machine, 'second.service')).get('KEY')).toBe('literal');

    // given twice: kept down, and the error has the file that repeats it
    expect(await stateOf(machine, 'first.service')).not.toBe('active');
    expect(await statusOf(machine, 'first-secrets')).toMatch(/manifest\.d\/20-second\.json:1:\d+: .*first/);

    // what git pull does: a new file in the place of the old one
    await machine.exec(
      `cd ${checkout} && printf '{"version":1,"services":{}}' >new && mv new manifest.d/20-second.json && printf 'new: \${KEY}\\n' >new && mv new templates/app.conf`,
    );
    await machine.exec('systemctl daemon-reload && systemctl start first && systemctl reload app-secrets');
    expect((await environmentOf(machine, 'first.service')).get('KEY')).toBe('s3nt1nel');
    await machine.waitFor(
      async () => (await machine.readFile('/run/unit-secrets/config/app/app.conf')) === 'new: s3nt1nel\n',
      'the new template to be rendered',
    );
    expect(await machine.readFile(vaultPath)).toContain('age-encryption.org');
  },
);
