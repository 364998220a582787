import { durationUnits, oneYear, parseDuration } from './duration.ts';
import type { Json } from './json-text.ts';
import {
  defaultFetch,
  defaultIdentities,
  defaultToken,
  type FetchSettings,
  type ProviderSetting,
  type Token,
} from './manifest.ts';
import type { Collector } from './manifest-collector.ts';
import { type JsonPath, quoteName } from './problem.ts';

/** systemd.exec(5), "LoadCredential=": letters that neither systemd nor a shell takes for something else. */
export const credentialName = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/;

const defaultVault = '/etc/unit-secrets/vault.age';

export const providerTypes = ['1password', 'age-vault'] as const;

/** The member `provider`. */
export function readProvider(value: Json | undefined, to: Collector): ProviderSetting {
  const path = ['provider'];
  const onePassword: ProviderSetting = { type: '1password' };
  if (value === undefined) return onePassword;
  const members = to.object(value, path, undefined, 'such as {"type": "1password"}');
  if (!members) return onePassword;
  if (members['type'] === undefined) {
    to.add(path, 'the member "type" is missing', `one of ${providerTypes.map(quoteName).join(', ')}`);
    return onePassword;
  }
  const type = to.word(members['type'], [...path, 'type'], providerTypes, 'provider');
  if (type !== 'age-vault') {
    if (type !== undefined) to.members(members, path, ['type']);
    return onePassword;
  }
  to.members(members, path, ['type', 'path', 'identity']);
  const before = to.problems.length;
  const vault: ProviderSetting = {
    type,
    path: members['path'] === undefined ? defaultVault : to.path(members['path'], [...path, 'path']),
    identities: readIdentities(members['identity'], [...path, 'identity'], to),
  };
  // all are kept down then; a path that is none must not get into a unit
  return to.problems.length > before ? { type, path: defaultVault, identities: defaultIdentities } : vault;
}

const places = '{"age": PATH}, {"file": PATH} or {"credential": ID}';
const tokenMembers = ['age', 'identity', 'file', 'credential'];

/** The member `token`; the default, if anything is wrong with it: all are kept down then. */
export function readToken(value: Json | undefined, to: Collector): Token {
  const before = to.problems.length;
  const token = readTokenPlace(value, to);
  return to.problems.length > before ? defaultToken : token;
}

function readTokenPlace(value: Json | undefined, to: Collector): Token {
  const path = ['token'];
  if (value === undefined) return defaultToken;
  const members = to.object(value, path, tokenMembers, places);
  if (!members) return defaultToken;
  const [place, ...more] = ['age', 'file', 'credential'].filter((name) => members[name] !== undefined);
  if (more.length > 0) {
    const given = [place, ...more].map((name) => quoteName(name ?? '')).join(' and ');
    to.add(path, `says both ${given}`, 'keep the one where the token is');
  }
  for (const name of more) if (name !== 'credential') to.path(members[name], [...path, name]);
  if (place === undefined) {
    // a member that is not known is told above, and was meant to be one of these
    const misnamed = Object.keys(members).some((member) => !tokenMembers.includes(member));
    if (misnamed) return defaultToken;
    to.add(path, 'must say where the token is', places);
    return defaultToken;
  }
  if (place !== 'age' && members['identity'] !== undefined)
    to.add([...path, 'identity'], '"identity" goes with "age" only', undefined, 'name');
  if (place === 'file') return { kind: 'file', path: to.path(members['file'], [...path, 'file']) };
  if (place === 'credential') {
    const id = to.string(members['credential'], [...path, 'credential']);
    if (id !== undefined && !credentialName.test(id)) {
      to.add(
        [...path, 'credential'],
        // not quoted: it may well be the token itself, pasted into the wrong place
        'must be the ID of a credential',
        'letters, digits, ".", "_" and "-", not beginning with "."',
      );
    }
    return { kind: 'credential', id: id ?? '' };
  }
  return {
    kind: 'age',
    path: to.path(members['age'], [...path, 'age']),
    identities: readIdentities(members['identity'], [...path, 'identity'], to),
  };
}

function readIdentities(value: Json | undefined, path: JsonPath, to: Collector): readonly string[] {
  if (value === undefined) return defaultIdentities;
  if (!Array.isArray(value)) return [to.path(value as Json, path)];
  if (value.length === 0) to.add(path, 'must name at least one identity file');
  return value.map((element: Json, index) => to.path(element, [...path, index]));
}

/** The member `fetch`. */
export function readFetch(value: Json | undefined, to: Collector): FetchSettings {
  const path = ['fetch'];
  if (value === undefined) return defaultFetch;
  const members = to.object(value, path, ['tries', 'timeout', 'retryEvery']);
  if (!members) return defaultFetch;
  let { tries } = defaultFetch;
  const given = members['tries'];
  if (given !== undefined) {
    if (typeof given === 'number' && Number.isInteger(given) && given >= 1 && given <= 100) tries = given;
    else {
      const hint = typeof given === 'string' ? 'without quotes' : undefined;
      to.add([...path, 'tries'], 'must be a whole number from 1 to 100', hint);
    }
  }
  const duration = (name: keyof typeof endless): number =>
    readDuration(members[name], name, defaultFetch[name], to);
  return { tries, timeout: duration('timeout'), retryEvery: duration('retryEvery') };
}

/** Why neither can be "infinity". */
const endless = {
  timeout: 'a fetch that never ends would hold up the boot',
  retryEvery: 'a service whose secrets could not be fetched would stay down',
} as const;

function readDuration(
  value: Json | undefined,
  name: keyof typeof endless,
  fallback: number,
  to: Collector,
): number {
  const path = ['fetch', name];
  if (value === undefined) return fallback;
  const text = to.string(value, path, 'with a unit, such as "4min"');
  if (text === undefined) return fallback;
  const seconds = parseDuration(text);
  // more than a year is a slip, and systemd's own arithmetic ends somewhere
  if (seconds !== undefined && seconds >= 1 && seconds <= oneYear) return seconds;
  if (text.trim() === 'infinity') {
    const hint = `a duration of one second to one year; its units are ${durationUnits}`;
    to.add(path, `must not be "infinity": ${endless[name]}`, hint);
  } else if (seconds === undefined) {
    const hint = `its units are ${durationUnits}`;
    to.add(path, 'must be a duration of one second to one year, such as "4min" or "1h 30min"', hint);
  } else to.add(path, 'must be a duration of one second to one year, such as "4min" or "1h 30min"');
  return fallback;
}
