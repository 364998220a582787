declare const __UNIT_SECRETS_VERSION__: string | undefined;

/** The version in package.json, put in by the build; from source there is none. */
export const version =
  typeof __UNIT_SECRETS_VERSION__ === 'string' ? __UNIT_SECRETS_VERSION__ : '0.0.0-source';
