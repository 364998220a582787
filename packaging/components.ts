import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Arch, packageOf } from '../scripts/lib/bun.ts';
import { bundle } from '../scripts/lib/bundle.ts';
import { repository } from './release.ts';

/** Something of somebody else's that is in the executable. */
export interface Component {
  /** The name on npm. */
  readonly name: string;
  readonly version: string;
  /** SPDX. */
  readonly license: string;
  /** Of the package, as npm says it: `sha512-…` in base 64. */
  readonly integrity: string;
  /** The names of the components that it needs itself. */
  readonly needs: readonly string[];
  /** The text of the licence, where the package has one. */
  readonly licenseText: string | undefined;
}

interface Locked {
  readonly version: string;
  readonly license: string;
  readonly integrity: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** What the bundler put into the executable, and Bun, by name; versions are those of package-lock.json. */
export async function embeddedComponents(arch: Arch): Promise<readonly Component[]> {
  const work = mkdtempSync(join(tmpdir(), 'unit-secrets-components-'));
  let locations: readonly string[];
  try {
    locations = [...(await bundle(repository, work)), `node_modules/${packageOf[arch]}`];
  } finally {
    rmSync(work, { recursive: true });
  }
  const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Locked>>;
  };
  const nameOf = (location: string): string => location.replace(/.*node_modules\//, '');
  const names = locations.map(nameOf);
  return locations
    .map((location) => {
      const locked = packages[location];
      if (locked === undefined) throw new Error(`package-lock.json has no ${location}: run npm ci`);
      return {
        name: nameOf(location),
        version: locked.version,
        license: locked.license,
        integrity: locked.integrity,
        needs: Object.keys(locked.dependencies ?? {}).filter((name) => names.includes(name)),
        licenseText: licenseText(join(repository, location)),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function licenseText(directory: string): string | undefined {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const name = names.find((one) => /^licen[cs]e(\.|$)/i.test(one));
  return name === undefined ? undefined : readFileSync(join(directory, name), 'utf8').trim();
}
