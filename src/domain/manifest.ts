import type { FormatName } from './config-format.ts';
import type { Problem } from './problem.ts';
import type { ServiceName } from './service-name.ts';

/** Where the service account token is. */
export type Token =
  | { readonly kind: 'age'; readonly path: string; readonly identities: readonly string[] }
  | { readonly kind: 'file'; readonly path: string }
  /** A system credential, encrypted with systemd-creds(1), by its ID. */
  | { readonly kind: 'credential'; readonly id: string };

export type ProviderSetting =
  | { readonly type: '1password' }
  | { readonly type: 'age-vault'; readonly path: string; readonly identities: readonly string[] };

/** How to fetch; durations in seconds. */
export interface FetchSettings {
  readonly tries: number;
  readonly timeout: number;
  readonly retryEvery: number;
}

/** A name and its value as written. */
export type NamedValue = readonly [name: string, value: string];

/** No file is wider than this: rw for root, r for the group. */
export const widestMode = 0o640;

/** A file with a secret; `mode` as in chmod(2). */
export interface SecretFile {
  readonly name: string;
  readonly value: string;
  readonly mode: number;
  /** Whether the service is given it as a credential, too. */
  readonly credential: boolean;
}

/** A configuration file that is rendered from a template. */
export interface ConfigFile {
  readonly name: string;
  readonly template: string;
  readonly format: FormatName;
  /** Whether the manifest says it, and not the template's extension. */
  readonly formatGiven: boolean;
  /** For placeholders only, beside the environment. */
  readonly values: readonly NamedValue[];
  readonly mode: number;
  readonly credential: boolean;
}

/** What a service is given; all in the order of the manifest. */
export interface Service {
  readonly name: ServiceName;
  /** The file that has its entry. */
  readonly file: string;
  readonly environment: readonly NamedValue[];
  readonly credentials: readonly NamedValue[];
  readonly files: readonly SecretFile[];
  readonly configs: readonly ConfigFile[];
  readonly group?: string;
  readonly runtimeDirectory?: string;
  /** Whether the service fetches its secrets itself, in its own context. */
  readonly inline: boolean;
}

/** The SSH keys of a user: values as written. */
export interface SshKeys {
  readonly user: string;
  /** `ssh-key-setup@U`. */
  readonly name: ServiceName;
  readonly file: string;
  readonly privateKey?: string;
  readonly publicKey?: string;
  readonly authorize: boolean;
  /** The private key's name below ~/.ssh; its type tells if this does not. */
  readonly keyFile?: string;
}

/** An entry that cannot be used: what it was for must be kept down. */
export interface BrokenEntry {
  readonly name: ServiceName;
  readonly file: string;
  readonly problems: readonly Problem[];
  /** Absent for an entry of `services`. */
  readonly user?: string;
}

/** A unit that the manifest names by a key which is not right: it must not start without its secrets. */
export interface RefusedUnit {
  /** With its suffix; of a template, that of all instances without an entry. */
  readonly unit: string;
  readonly file: string;
}

/** All files of the manifest, as one. */
export interface Manifest {
  readonly provider: ProviderSetting;
  readonly token: Token;
  readonly fetch: FetchSettings;
  /** Entries without problems. */
  readonly services: readonly Service[];
  readonly sshKeys: readonly SshKeys[];
  readonly broken: readonly BrokenEntry[];
  readonly refused: readonly RefusedUnit[];
  /** Named by entries that are refused since their units may be generated for others. */
  readonly displaced: readonly RefusedUnit[];
  /** Problems that no single entry pays for: all are kept down. */
  readonly general: readonly Problem[];
  /**
   * Problems of one of several files, which may have held entries that cannot be read: what may have been
   * in it is kept down, what stands in others is not.
   */
  readonly partial: readonly Problem[];
  /** All problems, in the order in which they were found. */
  readonly problems: readonly Problem[];
  /** What is allowed, and was perhaps not meant. */
  readonly doubts: readonly Problem[];
  /**
   * All entries of `services`, as far as they can be read: those with problems too, which are good for nothing but
   * to look what else is wrong with them.
   */
  readonly legible: readonly Service[];
}

export const defaultIdentities = ['/etc/ssh/ssh_host_ed25519_key', '/etc/ssh/ssh_host_rsa_key'];
export const defaultToken: Token = {
  kind: 'age',
  path: '/etc/unit-secrets/1password-token.age',
  identities: defaultIdentities,
};
export const defaultFetch: FetchSettings = { tries: 12, timeout: 240, retryEvery: 60 };
