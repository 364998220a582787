import { expect } from 'vitest';
import { Container, type ContainerOptions } from '../container/container.ts';
import {
  environmentOf,
  hostKeyPath,
  idleService,
  makeHostKey,
  manifestPath,
  seal,
  vaultManifest,
  vaultPath,
} from '../systemd/machine.ts';

/** A machine without unit-secrets, but with all that it needs, on which app.service runs. */
export function machineWithApp(options: ContainerOptions): Promise<Container> {
  const key = makeHostKey();
  return Container.boot({
    ...options,
    files: {
      [hostKeyPath]: { content: key.privateKey, mode: 0o600 },
      [manifestPath]: vaultManifest({ app: { environment: { KEY: 'op://Vault/App/key' } } }),
      [vaultPath]: { content: seal(JSON.stringify({ Vault: { App: { key: 'first' } } }), key) },
      '/etc/systemd/system/app.service': idleService,
    },
    setup: 'systemctl --quiet enable app.service',
  });
}

/** The secret that app.service runs with. */
export async function secretOf(machine: Container): Promise<string | undefined> {
  return (await environmentOf(machine, 'app.service')).get('KEY');
}

/** Which run of app.service this is. */
export async function stateOfApp(machine: Container): Promise<string> {
  const properties = '--property=MainPID,InvocationID,ActiveState,NRestarts';
  return (await machine.exec(['systemctl', 'show', properties, 'app.service'])).stdout;
}

export async function expectAppRunsOn(machine: Container, state: string): Promise<void> {
  expect(state).toContain('ActiveState=active');
  expect(await stateOfApp(machine)).toBe(state);
}
