import type { FetchSettings, ProviderSetting, Token } from '../domain/manifest.ts';

/** What the generator has to know of the machine. */
export interface Machine {
  /** Absolute path of the program, called by the units. */
  readonly executable: string;
  /** What keeps secrets from being swapped. */
  readonly memory: 'tmpfs-noswap' | 'ramfs';
  /** Whether units can have user namespaces of their own; not within one, where some hosts forbid it. */
  readonly privateUsers: boolean;
}

/** What all units share. */
export interface UnitContext extends Machine {
  /** The directories below /run that services have besides those below /run/unit-secrets. */
  readonly runtimeDirectories: readonly string[];
  readonly provider: ProviderSetting;
  readonly token: Token;
  readonly fetch: FetchSettings;
}
