/**
 * The exit codes of every command, from sysexits(3) where one fits.
 * systemd prints their names in `systemctl status` (systemd.exec(5), "PROCESS EXIT CODES").
 */
export const exitCodes = {
  ok: 0,
  /** Problems were found (`check`, the generator). */
  problems: 1,
  /** `plan`: something would change. */
  changes: 2,
  usage: 64,
  /** Bad data or a reference that does not resolve. */
  dataError: 65,
  /** An input file is missing. */
  noInput: 66,
  /** The provider refuses service. */
  unavailable: 69,
  /** A bug in this program. */
  software: 70,
  cannotCreate: 73,
  ioError: 74,
  /** Try again later. */
  temporaryFailure: 75,
  /** The token is not permitted. */
  noPermission: 77,
  configuration: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
