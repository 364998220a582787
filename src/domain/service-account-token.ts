/** What a service account token says that is not secret. */
export interface ServiceAccountToken {
  readonly signInAddress: string;
  readonly email: string;
}

export type ServiceAccountTokenResult =
  | { readonly ok: true; readonly token: ServiceAccountToken }
  | { readonly ok: false; readonly message: string; readonly hint?: string };

const texts = ['signInAddress', 'email', 'srpX', 'secretKey', 'deviceUuid'];
const objects = ['userAuth', 'muk'];

/**
 * Checks that a text is a service account token: `ops_` and base64, url-safe or standard, of a JSON object.
 * The SDK checks the same before it asks anybody. Messages quote nothing of it.
 */
export function parseServiceAccountToken(text: string): ServiceAccountTokenResult {
  const damaged = (what: string): ServiceAccountTokenResult => ({
    ok: false,
    message: `the service account token is damaged: ${what}`,
    hint: 'was all of it copied? it is one line of some 850 characters',
  });
  if (!text.startsWith('ops_')) {
    return {
      ok: false,
      message: 'this is not a service account token',
      hint: 'one begins with "ops_" and is shown once, when the service account is made',
    };
  }
  const members = decode(text.slice(4));
  if (!members) return damaged('it is cut off or altered');
  const member = (name: string): unknown => Reflect.get(members, name);
  const missing = [
    ...texts.filter((name) => typeof member(name) !== 'string'),
    ...objects.filter((name) => typeof member(name) !== 'object' || member(name) === null),
  ];
  if (missing.length > 0) return damaged(`it lacks ${missing.join(', ')}`);
  const [signInAddress, email] = [String(member('signInAddress')), String(member('email'))];
  // they are shown
  if (![signInAddress, email].every((shown) => /^[\x21-\x7e]{1,300}$/.test(shown))) {
    return damaged('its address or account is unreadable');
  }
  return { ok: true, token: { signInAddress, email } };
}

function decode(base64: string): object | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(base64)) return undefined;
  try {
    const standard = base64.replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(standard), (character) => character.charCodeAt(0));
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
