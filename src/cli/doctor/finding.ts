/** What a check of the host found. */
export interface HostFinding {
  /** A short name of what was looked at. */
  readonly check: string;
  readonly verdict: 'ok' | 'warning' | 'error';
  readonly message: string;
  /** What to do; there for all but `ok`. */
  readonly remedy?: string;
}

export const ok = (check: string, message: string): HostFinding => ({ check, verdict: 'ok', message });

export const warning = (check: string, message: string, remedy: string): HostFinding => ({
  check,
  verdict: 'warning',
  message,
  remedy,
});

export const error = (check: string, message: string, remedy: string): HostFinding => ({
  check,
  verdict: 'error',
  message,
  remedy,
});

/** The error code of the file system, for messages. */
export const codeOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown error';
