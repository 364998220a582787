/** A name of a file, of a credential or of a directory below /run; the file system's limit is 255. */
export const fileName = /^(?=.{1,255}$)[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** A name of an environment variable, or one that a template can use. */
export const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;
