import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Component, idOf } from './components.ts';
import { repository } from './release.ts';

const directory = join(repository, 'packaging/third-party');
const read = (name: string): string => readFileSync(join(directory, name), 'utf8').trim();

/** Licences that stand at the end as a whole, since many need them. */
const whole = ['LGPL-2', 'LGPL-2.1', 'Apache-2.0'];

/**
 * The notices of everything that is in the executable: of each package its own licence as it comes with it, or where
 * none does, the text of the licence that its package.json names; and what Bun is linked with, which is kept by hand.
 *
 * @throws Error for a component without a text, under a licence of which there is none here
 */
export function thirdPartyNotices(components: readonly Component[]): string {
  const parts = [
    'What the executable of unit-secrets contains of others, and under which terms. The licence of unit-secrets itself is in\n' +
      'the copyright file. The packages are on npm, by their names and versions; unit-secrets.cdx.json has their digests.',
    ...components.map((component) => `${idOf(component)} (${component.license})\n\n${textOf(component)}`),
    `What Bun is linked with\n\n${read('bun.txt')}`,
    ...whole.map((name) => `The text of ${name}\n\n${read(`${name}.txt`)}`),
  ];
  return `${parts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`.replaceAll('\r', '');
}

function textOf({ name, license, licenseText }: Component): string {
  if (licenseText !== undefined) return licenseText;
  if (license !== 'MIT')
    throw new Error(`${name} comes without a licence text, and there is none of ${license} here`);
  return `The package has no text of its licence; its package.json names MIT.\n\n${read('MIT.txt')}`;
}
