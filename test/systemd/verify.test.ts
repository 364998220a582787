import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container } from '../container/container.ts';
import { fixtureNames, fixturesDirectory, readTree, type Tree } from '../fixtures/fixtures.ts';

/** Every unit in a tree that systemd would load by itself; drop-ins are checked with their units. */
function unitsOf(tree: Tree): readonly string[] {
  return Object.keys(tree).filter((path) => !path.includes('/'));
}

/** The services that drop-ins are for: `verify` needs them to exist. */
function servicesOf(tree: Tree): readonly string[] {
  return Object.keys(tree)
    .filter((path) => path.endsWith('/50-unit-secrets.conf'))
    .map((path) => path.slice(0, path.lastIndexOf('.d/')));
}

/** On verify's command line what follows a colon is an alias: such units are checked under another name. */
function withoutColon(path: string): string {
  return path.replaceAll(':', '_');
}

describe.each(['bookworm', 'trixie'] as const)('systemd-analyze verify of %s', (suite) => {
  let machine: Container;
  beforeAll(async () => {
    // verify wants the program to exist; it does not run it
    machine = await Container.create({
      suite,
      files: { '/usr/bin/unit-secrets': { content: '#!/bin/sh\n', mode: 0o755 } },
    });
  });
  afterAll(() => machine.kill());

  test.each(fixtureNames())('finds nothing to say about %s', async (name) => {
    const tree = readTree(join(fixturesDirectory, name, 'expected'));
    const services = servicesOf(tree);
    const files = [
      ...Object.entries(tree).filter(([, content]) => !content.startsWith('-> ')),
      ...services.map((service) => [service, '[Service]\nExecStart=/bin/true\n'] as const),
    ];
    const directory = `/tmp/${name}`;
    for (const [path, content] of files) {
      await machine.writeFile(`${directory}/${path}`, content);
      if (path.includes(':')) await machine.writeFile(`${directory}/${withoutColon(path)}`, content);
    }
    const units = [...unitsOf(tree), ...services].map(withoutColon);
    if (units.length === 0) return;
    // its exit status says little: unknown settings and bad values are only warned about
    const { stdout, stderr } = await machine.exec(['systemd-analyze', '--man=no', 'verify', ...units], {
      env: { SYSTEMD_UNIT_PATH: `${directory}:` },
      check: false,
    });
    expect(stdout + stderr).toBe('');
  });
});
