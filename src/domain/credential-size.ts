import { quoteName } from './problem.ts';

/** What a service is given as a credential, by ID, and how many bytes it has. */
export interface SizedCredential {
  readonly id: string;
  readonly bytes: number;
}

/** systemd's limit for all credentials of a unit, names and contents together (CREDENTIALS_TOTAL_SIZE_MAX). */
const most = 1024 * 1024;
/** How many are named. */
const shown = 5;

/** Why systemd would not start a service with these credentials; undefined if it would. */
export function credentialSizeProblem(credentials: readonly SizedCredential[]): string | undefined {
  const size = credentials.reduce((sum, { id, bytes }) => sum + id.length + bytes, 0);
  if (size <= most) return undefined;
  const sorted = [...credentials].sort((a, b) => b.bytes - a.bytes);
  const named = sorted.slice(0, shown).map(({ id, bytes }) => `${quoteName(id)} has ${bytes}`);
  const more = sorted.length > shown ? `, and ${sorted.length - shown} more` : '';
  return `all credentials together have ${size} bytes, more than the 1 MiB that systemd takes for one service: ${named.join(', ')}${more}`;
}

/** What to do about it. */
export const credentialSizeHint =
  'shorten them, or give the service files without "credential", which have no such limit';
