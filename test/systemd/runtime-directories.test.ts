import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { statusOf } from './looking.ts';
import { bootMachine, manifestPath, stateOf, vaultManifest, waitUntilGone } from './machine.ts';

const files = { f: { value: 'op://Vault/Item/field' } };
const manifest = (app: string, grouped: string): string =>
  vaultManifest({
    app: { files, runtimeDirectory: app },
    grouped: { files, runtimeDirectory: grouped, group: 'other' },
  });

describe.each(['bullseye', 'bookworm', 'trixie'] as const)('directories below /run on %s', (suite) => {
  let machine: Container;
  const systemctl = async (...args: readonly string[]) =>
    (await machine.exec(['systemctl', ...args], { check: false })).code;
  const edit = async (app: string, grouped: string) => {
    await machine.writeFile(manifestPath, manifest(app, grouped));
    expect(await systemctl('daemon-reload')).toBe(0);
  };
  const ownerOf = async (path: string) =>
    (await machine.exec(['stat', '-c', '%a %U:%G', path])).stdout.trim();

  beforeAll(async () => {
    machine = await bootMachine({
      suite,
      manifest: manifest('first', 'second'),
      vault: { Vault: { Item: { field: 'value' } } },
      services: { app: undefined, grouped: undefined },
      setup: 'groupadd other',
    });
    for (const name of ['app', 'grouped']) expect(await stateOf(machine, name)).toBe('active');
  });
  afterAll(() => machine?.kill());

  test('one of a running service is not given to another', async () => {
    await edit('third', 'first');
    expect(await systemctl('restart', 'grouped')).not.toBe(0);
    expect(await statusOf(machine, 'grouped-secrets')).toContain(
      '/run/first still has secrets of app.service',
    );
    expect(await ownerOf('/run/first')).toBe('700 root:root');
    expect(await ownerOf('/run/first/files/f')).toBe('400 root:root');
  });

  test('which finds all as it was when the manifest is as it was', async () => {
    await edit('first', 'second');
    expect(await systemctl('restart', 'app', 'grouped')).toBe(0);
    expect(await machine.readFile('/run/first/files/f')).toBe('value');
  });

  test('and it is given to the other when that one has been stopped', async () => {
    await edit('third', 'first');
    expect(await systemctl('stop', 'app')).toBe(0);
    await waitUntilGone(machine, '/run/first');
    expect(await systemctl('daemon-reload')).toBe(0);
    expect(await systemctl('start', 'app')).toBe(0);
    expect(await systemctl('restart', 'grouped')).toBe(0);
    expect(await machine.readFile('/run/first/files/f')).toBe('value');
    expect(await ownerOf('/run/first')).toBe('710 root:other');
  });

  test('one that a service had does not stay when it has been stopped and started since', async () => {
    await edit('fourth', 'first');
    expect(await systemctl('restart', 'app')).toBe(0);
    expect(await systemctl('stop', 'app')).toBe(0);
    await waitUntilGone(machine, '/run/third');
    expect(await systemctl('start', 'app')).toBe(0);
    expect(await systemctl('daemon-reload')).toBe(0);
    expect(await systemctl('stop', 'app')).toBe(0);
    await waitUntilGone(machine, '/run/fourth');
    await waitUntilGone(machine, '/run/third');
  });
});
