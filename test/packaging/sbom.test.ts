import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Component, embeddedComponents } from '../../packaging/components.ts';
import { copyright } from '../../packaging/copyright.ts';
import { sbom } from '../../packaging/sbom.ts';
import { binary } from '../build/binary.ts';
import { repository } from './packages.ts';

interface Bom {
  readonly components: readonly {
    readonly purl: string;
    readonly version: string;
    readonly 'bom-ref': string;
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}

const release = { version: '1.2.3', summary: 'Something', time: 1_700_000_000 };
let components: readonly Component[];
let text: string;
let bom: Bom;
beforeAll(async () => {
  components = await embeddedComponents('x64');
  text = sbom(release, components, 'a'.repeat(64));
  bom = JSON.parse(text) as Bom;
});

describe('the bill of materials', () => {
  test('is CycloneDX 1.6', () => {
    const schemas = join(repository, 'node_modules/@cyclonedx/cyclonedx-library/res/schema');
    const read = (name: string): object =>
      JSON.parse(readFileSync(join(schemas, `${name}.SNAPSHOT.schema.json`), 'utf8')) as object;
    // formats: addresses of several kinds, of which we have none
    const ajv = new Ajv({ strict: false, validateFormats: false });
    for (const name of ['spdx', 'jsf-0.82', 'cryptography-defs'])
      ajv.addSchema(read(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
    const validate = ajv.compile(read('bom-1.6'));
    expect(validate(bom), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...bom, components: [{}] })).toBe(false);
  });

  test('names Bun, the SDK and whatever else is in the executable, and nothing that is not', async () => {
    const names = components.map(({ name }) => name);
    for (const name of ['@oven/bun-linux-x64', '@1password/sdk', '@1password/sdk-core', 'commander', 'ini'])
      expect(names).toContain(name);
    for (const name of ['vitest', 'typescript', 'esbuild', 'fast-check']) expect(names).not.toContain(name);
    expect(bom.components.map(({ purl }) => purl)).toContain('pkg:npm/%401password/sdk@0.5.0');
    expect(bom.components).toHaveLength(components.length);
    // a sign of life of a package that is there by a detour
    expect(readFileSync(await binary()).includes('gfs4')).toBe(true);
    expect(names).toContain('graceful-fs');
  });

  test('has versions of package-lock.json', () => {
    const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
      packages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>>;
    };
    for (const { name, version, integrity } of components) {
      const there = Object.entries(packages).filter(([place]) => place.endsWith(`node_modules/${name}`));
      expect(there.map(([, locked]) => [locked.version, locked.integrity])).toContainEqual([
        version,
        integrity,
      ]);
    }
  });

  test('tells two versions of one package apart', () => {
    // age-encryption has its own
    const curves = components.filter(({ name }) => name === '@noble/curves').map(({ version }) => version);
    expect(new Set(curves).size).toBe(curves.length);
    const age = components.find(({ name }) => name === 'age-encryption');
    const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
      packages: Readonly<Record<string, { readonly version: string }>>;
    };
    const nested = packages['node_modules/age-encryption/node_modules/@noble/curves'];
    expect(age?.needs).toContain(
      `@noble/curves@${(nested ?? packages['node_modules/@noble/curves'])?.version}`,
    );
  });

  test('says what needs what, and all of it from the program', () => {
    const refs = new Set([...bom.components.map((component) => component['bom-ref']), 'unit-secrets@1.2.3']);
    for (const { ref, dependsOn = [] } of bom.dependencies)
      for (const one of [ref, ...dependsOn]) expect(refs).toContain(one);
    const program = bom.dependencies.find(({ ref }) => ref === 'unit-secrets@1.2.3');
    expect(program?.dependsOn).toHaveLength(components.length);
    const sdk = bom.dependencies.find(({ ref }) => ref.includes('/sdk@'));
    expect(sdk?.dependsOn).toEqual([expect.stringContaining('/sdk-core@')]);
  });

  test('is the same each time', async () => {
    expect(sbom(release, await embeddedComponents('x64'), 'a'.repeat(64))).toBe(text);
  });
});

test('the copyright has a licence for each component', () => {
  const rights = copyright(components);
  for (const { name, version, licenseText } of components) {
    expect(rights).toContain(`\n${name} ${version} (`);
    if (licenseText !== undefined) expect(rights).toContain(licenseText.replaceAll('\r', ''));
  }
  // who gives none is known, so that another one is not overlooked
  const without = components.filter(({ licenseText }) => licenseText === undefined).map(({ name }) => name);
  expect(without.sort()).toEqual(['@1password/sdk', '@1password/sdk-core', '@oven/bun-linux-x64']);
});
