import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Arch } from '../scripts/lib/bun.ts';
import type { PackageOptions } from './options.ts';
import type { Release } from './release.ts';
import { document, readText, type Tree, writeTree, zshCompletion } from './tree.ts';

const architectures: Readonly<Record<Arch, string>> = { x64: 'amd64', arm64: 'arm64' };
const maintainer = 'The unit-secrets authors <unit-secrets@packages.invalid>';

/** Makes the Debian package; returns its path. */
export function makeDeb({ release, arch, tree, copyright, work, output, fast }: PackageOptions): string {
  const architecture = architectures[arch];
  const version = `${release.version}-1`;
  const root = join(work, 'deb');
  const files: Tree = {
    ...tree,
    ...zshCompletion('/usr/share/zsh/vendor-completions'),
    ...document('copyright', copyright),
    ...document('changelog.gz', readText('CHANGELOG.md')),
    ...document('changelog.Debian.gz', changelog(release, version)),
    '/usr/share/lintian/overrides/unit-secrets': { content: readText('packaging/debian/lintian-overrides') },
  };
  writeTree(root, files, release.time);
  writeTree(
    join(root, 'DEBIAN'),
    {
      '/control': { content: control(release, version, architecture, installedSize(root, files)) },
      '/md5sums': { content: md5sums(root, files) },
      '/postinst': { content: readText('packaging/debian/postinst'), mode: 0o755 },
      '/postrm': { content: readText('packaging/debian/postrm'), mode: 0o755 },
    },
    release.time,
  );
  const path = join(output, `unit-secrets_${version}_${architecture}.deb`);
  // xz and not zstd: the dpkg of Debian 11 has no other
  const compression = fast ? ['-Zgzip', '-z1'] : ['-Zxz', '-z6'];
  execFileSync('dpkg-deb', ['--root-owner-group', ...compression, '--build', root, path], {
    env: { PATH: process.env['PATH'], SOURCE_DATE_EPOCH: String(release.time) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return path;
}

function control({ summary }: Release, version: string, architecture: string, size: number): string {
  const [synopsis = ''] = summary.split(', fetched');
  return `Package: unit-secrets
Version: ${version}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${size}
Depends: libc6 (>= 2.17), systemd (>= 247)
Suggests: age
Section: admin
Priority: optional
Description: ${synopsis[0]?.toLowerCase()}${synopsis.slice(1)}
 You write down in a manifest, in git, which service gets which secrets, by
 reference to 1Password or to a vault file encrypted with age. A systemd
 generator turns that into units that fetch the secrets at boot and keep them
 in RAM, for the service alone, from its start to its stop.
`;
}

function changelog({ version, time }: Release, debianVersion: string): string {
  // deb-changelog(5): as in RFC 5322, with a numeric zone
  const date = new Date(time * 1000).toUTCString().replace('GMT', '+0000');
  return `unit-secrets (${debianVersion}) unstable; urgency=medium

  * Version ${version}: what is new is in changelog.gz.

 -- ${maintainer}  ${date}
`;
}

/** In KiB, as deb-substvars(5) counts. */
function installedSize(root: string, tree: Tree): number {
  return Object.entries(tree)
    .map(([path, entry]) => ('link' in entry ? 1 : Math.ceil(readFileSync(join(root, path)).length / 1024)))
    .reduce((a, b) => a + b, 0);
}

function md5sums(root: string, tree: Tree): string {
  return Object.entries(tree)
    .filter(([, entry]) => !('link' in entry))
    .map(([path]) => path)
    .sort()
    .map(
      (path) =>
        `${createHash('md5')
          .update(readFileSync(join(root, path)))
          .digest('hex')}  ${path.slice(1)}\n`,
    )
    .join('');
}
