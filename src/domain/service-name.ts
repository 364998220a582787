import { quoteName } from './problem.ts';

/** A service as systemd names it: `name` is without `.service`, `base` and `instance` are around its first `@`. */
export interface ServiceName {
  readonly name: string;
  readonly base: string;
  readonly instance?: string;
}

export type ServiceNameResult =
  | { readonly ok: true; readonly service: ServiceName }
  | {
      readonly ok: false;
      readonly message: string;
      /** The unit that is named nevertheless, with its suffix, where it could run without its secrets. */
      readonly unit?: string;
    };

/** 255 bytes of a unit's name, less those of `-secrets.service` (systemd.unit(5), NAME_MAX). */
const longestName = 239;
/** The same, less those of `.service.d`. */
const longestWithDropIn = 245;
/** Most names: nothing to look closer at. */
const simple = /^(?!unit-secrets)[A-Za-z0-9_-]{0,238}[A-Za-z0-9_]$/;
const otherTypes = /\.(automount|device|mount|path|scope|slice|snapshot|socket|swap|target|timer)$/;

/** Parses a key of `services`: a unit name as in systemd.unit(5), `.service` optional, no template without an instance. */
export function parseServiceName(key: string): ServiceNameResult {
  if (simple.test(key)) return { ok: true, service: { name: key, base: key } };
  const name = key.endsWith('.service') ? key.slice(0, -'.service'.length) : key;
  const refuse = (message: string, unit?: string): ServiceNameResult => ({
    ok: false,
    message: `${quoteName(key)} ${message}`,
    ...(unit === undefined ? {} : { unit }),
  });
  if (name === '') return refuse('is not a unit name: it is empty');
  const foreign = /[^A-Za-z0-9:_.\\@-]/u.exec(name);
  if (foreign) {
    return refuse(
      `is not a unit name: it has the character ${quoteName(foreign[0])}; systemd-escape gives the name to write`,
    );
  }
  if (name.startsWith('@') || name.startsWith('.'))
    return refuse(`is not a unit name: it begins with "${name[0]}"`);
  const other = otherTypes.exec(name);
  if (other && key === name) return refuse(`is a ${other[1]} unit; only services get secrets`);
  if (name.startsWith('unit-secrets'))
    return refuse(
      'is a name that unit-secrets keeps for itself',
      name.startsWith('unit-secrets-renew@') ? undefined : `${name}.service`,
    );
  const at = name.indexOf('@');
  // systemd.unit(5): drop-ins of "foo-.service" apply to all units whose names begin with "foo-"
  if ((at < 0 ? name : name.slice(0, at)).endsWith('-'))
    return refuse(
      'ends with "-": its drop-in would apply to every unit whose name begins so, and cannot keep it down',
    );
  if (name.length > longestName) {
    return refuse(
      `is longer than the ${longestName} characters that leave room for "-secrets.service"`,
      name.length > longestWithDropIn ? undefined : `${name}.service`,
    );
  }
  if (at < 0) return { ok: true, service: { name, base: name } };
  const instance = name.slice(at + 1);
  if (instance === '') {
    const example = quoteName(`${name}NAME`);
    return refuse(`is a template; name an instance, such as ${example}`, `${name}.service`);
  }
  return { ok: true, service: { name, base: name.slice(0, at), instance } };
}

/** A unit that goes with a service: `litellm` and `secrets` give `litellm-secrets`, `a@b` gives `a-secrets@b`. */
export function companionName(service: ServiceName, suffix: string): string {
  return `${service.base}-${suffix}${service.instance === undefined ? '' : `@${service.instance}`}`;
}

/** A key that `parseServiceName` reads back as this service: `.service` is left out where that can be. */
export function serviceKey({ name }: ServiceName): string {
  const parsed = parseServiceName(name);
  return parsed.ok && parsed.service.name === name ? name : `${name}.service`;
}

/** A text as the instance of a template, as `systemd-escape` writes it (systemd.unit(5), "STRING ESCAPING"). */
export function escapeInstance(text: string): string {
  const escaped = Array.from(new TextEncoder().encode(text), (byte, index) => {
    const character = String.fromCharCode(byte);
    if (character === '/') return '-';
    const kept = /[A-Za-z0-9:_.]/.test(character) && !(character === '.' && index === 0);
    return kept ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return escaped.join('');
}

/** The name of a service's directories: `:` and `\` mean something else in paths of unit files. */
export function directoryName(name: string): string {
  return name.replaceAll(':', ',').replaceAll('\\', '+');
}

/** The unit whose directory this is, with `.service`. */
export function unitOfDirectory(directory: string): string {
  return `${directory.replaceAll(',', ':').replaceAll('+', '\\')}.service`;
}
