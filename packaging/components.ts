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
  /** The components that it needs itself, as `NAME@VERSION`: there may be two versions of one package. */
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
  const lockedAt = (location: string): Locked => {
    const locked = packages[location];
    if (locked === undefined) throw new Error(`package-lock.json has no ${location}: run npm ci`);
    return locked;
  };
  const idAt = (location: string): string => `${nameOf(location)}@${lockedAt(location).version}`;
  // the same version may lie in two places
  const distinct = new Map(locations.map((location) => [idAt(location), location]));
  return [...distinct.values()]
    .map((location) => {
      const { version, license, integrity, dependencies = {} } = lockedAt(location);
      const needs = Object.keys(dependencies)
        .map((name) => placesOf(name, location).find((place) => packages[place] !== undefined))
        .filter((place) => place !== undefined && locations.includes(place))
        .map((place) => idAt(place ?? ''));
      return {
        name: nameOf(location),
        version,
        license,
        integrity,
        needs,
        licenseText: licenseText(join(repository, location)),
      };
    })
    .sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
}

/** `NAME@VERSION`, which is unique. */
export function idOf({ name, version }: Pick<Component, 'name' | 'version'>): string {
  return `${name}@${version}`;
}

function nameOf(location: string): string {
  return location.replace(/.*node_modules\//, '');
}

/** Where Node looks for a package that one at a place asks for: in it, then beside it, and so on upwards. */
function placesOf(name: string, location: string): readonly string[] {
  const inside = `${location}/node_modules/${name}`;
  const end = location.lastIndexOf('/node_modules/');
  return end < 0 ? [inside, `node_modules/${name}`] : [inside, ...placesOf(name, location.slice(0, end))];
}

function licenseText(directory: string): string | undefined {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const name = names.find((one) => /^licen[cs]e(\.|$)/i.test(one));
  return name === undefined ? undefined : readFileSync(join(directory, name), 'utf8').trim();
}
