import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Component } from './components.ts';
import { repository } from './release.ts';

/** Our licence, and those of everything that is in the executable. */
export function copyright(components: readonly Component[]): string {
  const ours = readFileSync(join(repository, 'LICENSE'), 'utf8').trim();
  return [
    'unit-secrets',
    ours,
    'The executable contains the following components. The source of each is on npm, by its name and version.',
    ...components.flatMap((component) => {
      const { name, version, license } = component;
      return [`${name} ${version} (${license})`, component.licenseText ?? withoutText(component)];
    }),
  ]
    .map((part) => `${part}\n`)
    .join('\n')
    .replaceAll('\r', '');
}

function withoutText({ name, license }: Component): string {
  return name.startsWith('@oven/')
    ? 'Bun is under the MIT license. It links JavaScriptCore and other parts of WebKit, which are under the GNU\n' +
        'Lesser General Public License, version 2 (on Debian: /usr/share/common-licenses/LGPL-2), and further\n' +
        'libraries: third-party-notices lists them, with how to link Bun to another version.'
    : `Licensed under ${license}, as its package says, which has no text of it.`;
}
