import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Arch } from '../scripts/lib/bun.ts';
import type { PackageOptions } from './options.ts';
import { repository } from './release.ts';
import { document, readText, type Tree, writeTree, zshCompletion } from './tree.ts';

const architectures: Readonly<Record<Arch, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/** Makes the RPM package; returns its path. */
export function makeRpm({ release, arch, tree, copyright, work, output, fast }: PackageOptions): string {
  const architecture = architectures[arch];
  const license = '/usr/share/licenses/unit-secrets/LICENSE';
  const files: Tree = {
    ...tree,
    ...zshCompletion('/usr/share/zsh/site-functions'),
    ...document('CHANGELOG.md', readText('CHANGELOG.md')),
    [license]: { content: copyright },
  };
  const staged = join(work, 'rpm');
  writeTree(staged, files, release.time);
  const list = join(work, 'rpm-files');
  writeFileSync(list, fileList(files, license));
  const top = join(work, 'rpmbuild');
  mkdirSync(top);
  const defines = {
    _topdir: top,
    _rpmdir: join(top, 'RPMS'),
    package_version: release.version,
    staged,
    staged_files: list,
    _binary_payload: fast ? 'w1.gzdio' : 'w6.xzdio',
    _buildhost: 'reproducible',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    source_date_epoch_from_changelog: '0',
  };
  execFileSync(
    'rpmbuild',
    [
      ...['-bb', '--quiet', '--target', `${architecture}-linux`],
      ...Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]),
      join(repository, 'packaging/unit-secrets.spec'),
    ],
    {
      // rpm on Debian looks for a database that is not there, and says so
      env: { PATH: process.env['PATH'], HOME: work, SOURCE_DATE_EPOCH: String(release.time) },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const name = `unit-secrets-${release.version}-1.${architecture}.rpm`;
  copyFileSync(join(top, 'RPMS', architecture, name), join(output, name));
  return join(output, name);
}

/** `%files`: our own directories too, and everything root's. */
function fileList(tree: Tree, license: string): string {
  const mark = (path: string): string =>
    path === license
      ? '%license '
      : path.startsWith('/usr/share/doc/') || path.startsWith('/usr/share/man/')
        ? '%doc '
        : '';
  const directories = new Set<string>();
  for (const path of Object.keys(tree)) {
    const parts = path.split('/');
    const first = parts.indexOf('unit-secrets');
    for (let end = first + 1; first > 0 && end < parts.length; end++)
      directories.add(parts.slice(0, end).join('/'));
  }
  return [
    '%defattr(-,root,root,-)',
    ...[...directories].map((path) => `%dir ${path}`),
    ...Object.keys(tree).map((path) => `${mark(path)}${path}`),
    '',
  ].join('\n');
}
