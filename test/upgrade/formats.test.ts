/**
 * After an upgrade of the package the units that are loaded are those of the generator before, until the
 * `daemon-reload` that follows; and what is in memory was fetched by them. For each version that was released there is
 * a directory here, which is never changed: a manifest, the units that the generator made of it, what the fetcher of that
 * version understood of them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readManifest } from '../../src/domain/manifest-reader.ts';
import { readXSecrets } from '../../src/effects/ini.ts';
import { shortHash } from '../../src/effects/short-hash.ts';
import { readPlan } from '../../src/fetch/read-plan.ts';
import { planUnits } from '../../src/unit/plan-units.ts';
import { xSecretsText } from '../../src/unit/x-secrets.ts';
import { manifestPath, nothingLeft } from '../support/manifests.ts';

const versions = readdirSync(import.meta.dirname).filter((name) => /^\d/.test(name));
const tokenUnit = 'unit-secrets-token.service';

describe.each(versions)('what version %s left', (version) => {
  const directory = join(import.meta.dirname, version);
  const units = new Map(
    readdirSync(join(directory, 'units'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(directory.length + '/units/'.length), readFileSync(path, 'utf8')]),
  );

  test('is understood as it was then', () => {
    const plans = Object.fromEntries(
      [...units]
        .filter(([name]) => name !== tokenUnit)
        .map(([name, text]) => [name, readPlan(readXSecrets(text) ?? new Map())]),
    );
    expect(JSON.parse(JSON.stringify(plans))).toEqual(
      JSON.parse(readFileSync(join(directory, 'plans.json'), 'utf8')),
    );
    expect(Object.keys(plans).length).toBeGreaterThan(3);
  });

  test('is what the manifest asks for now: services need not be fetched for anew', () => {
    const value = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'));
    const manifest = readManifest({ file: manifestPath, value, locate: () => undefined }, []);
    const machine = {
      executable: '/usr/bin/unit-secrets',
      memory: 'tmpfs-noswap',
      privateUsers: true,
    } as const;
    const { files } = planUnits({ ...nothingLeft, manifest }, machine, shortHash);
    const now = new Map(files.map(({ path, content }) => [path, xSecretsText(content)]));
    // the marker that X asserts is a digest of this text
    for (const [name, text] of units) expect(now.get(name), name).toBe(xSecretsText(text));
  });
});

test('the version that is built has its directory', () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
  expect(versions).toContain(version);
});
