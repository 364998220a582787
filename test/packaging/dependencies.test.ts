/** What others' packages bring in: versions, digests, licences, programs that run at installation. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Component, embeddedComponents, idOf } from '../../packaging/components.ts';
import { thirdPartyNotices } from '../../packaging/notices.ts';
import { repository } from './packages.ts';

interface Locked {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly hasInstallScript?: true;
  readonly dev?: true;
  readonly optional?: true;
}

const readJson = <T>(name: string): T => JSON.parse(readFileSync(join(repository, name), 'utf8')) as T;
const wanted =
  readJson<Readonly<Record<string, Readonly<Record<string, string>> | undefined>>>('package.json');
const { packages } = readJson<{ packages: Readonly<Record<string, Locked>> }>('package-lock.json');
const locked = Object.entries(packages).filter(([place]) => place !== '');
const direct = { ...wanted['devDependencies'], ...wanted['optionalDependencies'] };

describe('the packages that are used', () => {
  test('are each of one version, in package.json and in the lock file', () => {
    for (const [name, version] of Object.entries(direct)) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[a-z0-9.]+)?$/);
      expect(packages[`node_modules/${name}`]?.version, name).toBe(version);
    }
    // nothing is needed by those who install the program
    expect(wanted['dependencies']).toBeUndefined();
  });

  test('have digests and no addresses in the lock file', () => {
    expect(locked.length).toBeGreaterThan(100);
    for (const [place, { integrity, resolved }] of locked) {
      expect(integrity, place).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
      expect(resolved, place).toBeUndefined();
    }
  });

  test('run nothing when they are installed, but for one whose script is not run', () => {
    const scripts = locked.filter(([, { hasInstallScript }]) => hasInstallScript).map(([place]) => place);
    expect(scripts).toEqual(['node_modules/esbuild']);
    const setup = readFileSync(join(repository, 'scripts/lib/setup.sh'), 'utf8');
    expect(setup).toContain('--ignore-scripts');
    const calls = setup
      .split('\n')
      .filter((line) => /\bnpm (ci|install|i|add)\b/.test(line) && !/^\s*(#|fail)/.test(line));
    expect(calls.length).toBeGreaterThan(0);
    for (const line of calls) expect(line).toContain('"${options[@]}"');
  });

  test('are under licences that are known here', () => {
    const licences = new Set(locked.map(([, { license = 'none' }]) => license));
    expect([...licences].sort()).toEqual([
      '(0BSD OR CC0-1.0 OR Unlicense)',
      '0BSD',
      'Apache-2.0',
      'BSD-3-Clause',
      'BlueOak-1.0.0',
      'ISC',
      'MIT',
      'MIT OR Apache-2.0',
      'MPL-2.0',
    ]);
  });
});

describe('what is in the executable', () => {
  let components: readonly Component[];
  beforeAll(async () => {
    components = await embeddedComponents('x64');
  });

  test('is under licences that ask for no more than a notice, Bun’s own libraries apart', () => {
    for (const component of components)
      expect(['MIT', 'ISC', 'BSD-3-Clause', 'BlueOak-1.0.0'], idOf(component)).toContain(component.license);
  });

  test('is named in the notices, each with the text of its licence', () => {
    const notices = thirdPartyNotices(components);
    for (const component of components) {
      expect(notices).toContain(`\n${idOf(component)} (${component.license})\n\n`);
      if (component.licenseText !== undefined)
        expect(notices).toContain(component.licenseText.replaceAll('\r', ''));
    }
    for (const library of ['JavaScriptCore', 'boringssl', 'tinycc', 'icu', 'mimalloc'])
      expect(notices).toContain(library);
    expect(notices).toContain(
      'GNU LIBRARY GENERAL PUBLIC LICENSE\n                       Version 2, June 1991',
    );
    const other = { ...components[0], license: 'Odd-1.0', licenseText: undefined } as Component;
    expect(() => thirdPartyNotices([other])).toThrow('there is none of Odd-1.0 here');
  });

  test('has its notices written for the version of Bun that it is', () => {
    const bun = components.find(({ name }) => name.startsWith('@oven/'));
    const written = readFileSync(join(repository, 'packaging/third-party/bun.txt'), 'utf8');
    expect(written).toContain(`Written for Bun ${bun?.version},`);
  });
});

test('docs/dependencies.md says of each package that package.json names what it is for, and where it ends up', async () => {
  const document = readFileSync(join(repository, 'docs/dependencies.md'), 'utf8');
  const rows = new Map(
    [...document.matchAll(/^\| `([^`]+)` +\| ([^|]+?) +\|/gm)].map(([, name = '', place = '']) => [
      name,
      place,
    ]),
  );
  expect([...rows.keys()].sort()).toEqual(Object.keys(direct).sort());
  const embedded = new Set(
    [...(await embeddedComponents('x64')), ...(await embeddedComponents('arm64'))].map(({ name }) => name),
  );
  for (const [name, place] of rows)
    expect({ name, place }).toEqual({ name, place: embedded.has(name) ? 'executable' : 'tool' });
});
