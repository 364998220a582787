import type { Arch } from '../scripts/lib/bun.ts';
import type { Release } from './release.ts';
import type { Tree } from './tree.ts';

/** What a package is made of, and where. */
export interface PackageOptions {
  readonly release: Release;
  readonly arch: Arch;
  readonly tree: Tree;
  readonly copyright: string;
  /** A directory for what is needed meanwhile. */
  readonly work: string;
  /** The directory for the package. */
  readonly output: string;
  /** Compress a little only: seconds instead of minutes, for tests. */
  readonly fast: boolean;
}
