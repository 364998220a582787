import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { paths } from '../unit/paths.ts';

/** Files that are one manifest. */
export interface ManifestSet {
  readonly main: string | undefined;
  readonly fragments: readonly string[];
}

/**
 * The manifests among some files: what lies in a directory called manifest.d belongs to the manifest.json
 * beside it, if that is named too, or stands alone; a directory stands for what the generator would read if it were
 * /etc/unit-secrets.
 *
 * @throws FailureError with 66 for what does not exist
 */
export function manifestSets(files: readonly string[]): ManifestSet[] {
  const missing = files.filter((file) => !existsSync(file));
  if (missing.length > 0) {
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.noInput,
      message: missing.map((file) => `${shownName(file)}: does not exist`).join('\n'),
    });
  }
  const named = files.flatMap((file) => (statSync(file).isDirectory() ? filesOf(file) : [file]));
  const fragments = named.filter(isFragment);
  const mains = named.filter((file) => !isFragment(file));
  const sets: ManifestSet[] = mains.map((main) => ({
    main,
    fragments: fragments.filter((file) => dirname(dirname(file)) === dirname(main)).sort(),
  }));
  const used = new Set(sets.flatMap((set) => set.fragments));
  const alone = fragments.filter((file) => !used.has(file)).sort();
  // of a manifest.d with nothing in it, one with nothing in it
  const whole = alone.length > 0 || sets.length === 0;
  return whole ? [...sets, { main: undefined, fragments: alone }] : sets;
}

/** There is neither manifest.json nor manifest.d. */
export function noManifest(root: string, hint = 'write one: man unit-secrets.manifest'): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.noInput,
    message: `there is no manifest: neither ${root}${paths.manifest} nor ${root}${paths.manifestDirectory} exists`,
    hint,
  });
}

/** How messages name a file of the command line: an empty name is seen, too. */
export const shownName = (file: string): string => (file === '' ? '""' : file);

const isFragment = (file: string): boolean => basename(dirname(file)) === 'manifest.d';

function filesOf(directory: string): string[] {
  const main = join(directory, 'manifest.json');
  const fragments = join(directory, 'manifest.d');
  const [hasMain, hasFragments] = [existsSync(main), existsSync(fragments)];
  if (hasMain || hasFragments) {
    const names = hasFragments ? readdirSync(fragments) : [];
    return [
      ...(hasMain ? [main] : []),
      ...names
        .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
        .map((name) => join(fragments, name)),
    ];
  }
  throw new FailureError({
    class: 'permanent',
    exitCode: exitCodes.noInput,
    message: `${directory}: has neither manifest.json nor manifest.d`,
  });
}
