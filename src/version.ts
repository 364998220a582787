declare const __UNIT_SECRETS_VERSION__: string | undefined;
declare const __UNIT_SECRETS_COMMIT__: string | undefined;

/** The version in package.json, put in by the build; from source there is none. */
export const version =
  typeof __UNIT_SECRETS_VERSION__ === 'string' ? __UNIT_SECRETS_VERSION__ : '0.0.0-source';

const commit = typeof __UNIT_SECRETS_COMMIT__ === 'string' ? __UNIT_SECRETS_COMMIT__ : '';

/** What was built: the version, and the git commit if the build knew it (scripts/lib/commit.ts). */
export const buildIdentity = commit === '' ? version : `${version} (commit ${commit})`;
