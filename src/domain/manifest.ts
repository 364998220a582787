import { parseDuration } from './duration.ts';
import { environmentValueProblem } from './environment-file.ts';
import { isJsonObject, type Json, type JsonMembers, kindOfJson, type Locate } from './json-text.ts';
import { type JsonPath, type Problem, quoteName } from './problem.ts';
import { companionName, parseServiceName, type ServiceName } from './service-name.ts';
import { nearest } from './suggest.ts';
import { parseValue } from './value.ts';

/** Where the service account token is. */
export type Token =
  | { readonly kind: 'age'; readonly path: string; readonly identities: readonly string[] }
  | { readonly kind: 'file'; readonly path: string };

export type ProviderSetting =
  | { readonly type: '1password' }
  | { readonly type: 'age-vault'; readonly path: string; readonly identities: readonly string[] };

/** How to fetch; durations in seconds. */
export interface FetchSettings {
  readonly tries: number;
  readonly timeout: number;
  readonly retryEvery: number;
}

export interface Service {
  readonly name: ServiceName;
  /** Name and value as written, in the order of the manifest. */
  readonly environment: readonly (readonly [name: string, value: string])[];
}

export interface Manifest {
  readonly provider: ProviderSetting;
  readonly token: Token;
  readonly fetch: FetchSettings;
  /** Services without problems. */
  readonly services: readonly Service[];
  /** Services with problems, which must be kept down. */
  readonly broken: readonly { readonly name: ServiceName; readonly problems: readonly Problem[] }[];
  /** Problems that no single service pays for: all are kept down. */
  readonly general: readonly Problem[];
  /** All problems, in the order in which they were found. */
  readonly problems: readonly Problem[];
}

const defaultIdentities = ['/etc/ssh/ssh_host_ed25519_key', '/etc/ssh/ssh_host_rsa_key'];
export const defaultToken: Token = {
  kind: 'age',
  path: '/etc/unit-secrets/1password-token.age',
  identities: defaultIdentities,
};
export const defaultFetch: FetchSettings = { tries: 12, timeout: 240, retryEvery: 60 };

/** Members of the contract that this version does not build yet: named, so that the message is not "unknown". */
const serviceMembers = ['environment'];
const laterServiceMembers = ['credentials', 'files', 'configs', 'group', 'dynamicUser', 'runtimeDirectory'];
const topMembers = ['$schema', 'version', 'provider', 'token', 'fetch', 'services'];
const laterTopMembers = ['sshKeys'];

/**
 * Reads a manifest. Every problem is found, not only the first.
 *
 * @param value the parsed JSON
 * @param file the file's name for messages
 * @param locate positions of members; called for problems only
 */
export function readManifest(value: Json | undefined, file: string, locate: Locate): Manifest {
  return new Reader(file, locate).read(value);
}

class Reader {
  readonly #file: string;
  readonly #locate: Locate;
  readonly #problems: Problem[] = [];
  /** The service that pays for a problem found now. */
  #service: string | undefined;

  constructor(file: string, locate: Locate) {
    this.#file = file;
    this.#locate = locate;
  }

  read(value: Json | undefined): Manifest {
    const services: Service[] = [];
    const broken: { name: ServiceName; problems: Problem[] }[] = [];
    let provider: ProviderSetting = { type: '1password' };
    let token = defaultToken;
    let fetch = defaultFetch;
    if (!isJsonObject(value)) {
      this.#add([], `the manifest must be an object, this is ${kindOfJson(value)}`);
    } else {
      this.#members(value, [], topMembers, laterTopMembers);
      if (value['$schema'] !== undefined) this.#string(value['$schema'], ['$schema']);
      if (value['version'] === undefined)
        this.#add([], 'the member "version" is missing', 'add "version": 1');
      else if (value['version'] !== 1) this.#add(['version'], 'the version must be the number 1');
      provider = this.#provider(value['provider']);
      token = this.#token(value['token']);
      fetch = this.#fetch(value['fetch']);
      this.#services(value['services'], services, broken);
    }
    return {
      provider,
      token,
      fetch,
      services,
      broken,
      general: this.#problems.filter((problem) => problem.service === undefined),
      problems: this.#problems,
    };
  }

  #add(path: JsonPath, message: string, hint?: string, what: 'name' | 'value' = 'value'): void {
    const position = this.#locate(path, what);
    this.#problems.push({
      file: this.#file,
      path,
      message,
      ...(position ? { position } : {}),
      ...(hint === undefined ? {} : { hint }),
      ...(this.#service === undefined ? {} : { service: this.#service }),
    });
  }

  #members(
    value: JsonMembers,
    path: JsonPath,
    known: readonly string[],
    later: readonly string[] = [],
  ): void {
    for (const name of Object.keys(value)) {
      if (known.includes(name)) continue;
      if (later.includes(name)) {
        this.#add(
          [...path, name],
          `${quoteName(name)} is not supported by this version yet`,
          'remove it',
          'name',
        );
        continue;
      }
      const near = nearest(name, known);
      this.#add(
        [...path, name],
        `unknown member ${quoteName(name)}`,
        near === undefined
          ? `known are ${known.map(quoteName).join(', ')}`
          : `did you mean ${quoteName(near)}?`,
        'name',
      );
    }
  }

  #string(value: Json | undefined, path: JsonPath): string | undefined {
    if (typeof value === 'string') return value;
    this.#add(path, `must be a string, this is ${kindOfJson(value)}`);
    return undefined;
  }

  #path(value: Json | undefined, path: JsonPath): string {
    const text = this.#string(value, path);
    if (text === undefined) return '';
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    if (!text.startsWith('/') || /[\0-\x1f\x7f]/.test(text) || text.split('/').includes('..')) {
      this.#add(path, 'must be an absolute path without ".." and control characters');
    }
    return text;
  }

  #identities(value: Json | undefined, path: JsonPath): readonly string[] {
    if (value === undefined) return defaultIdentities;
    if (!Array.isArray(value)) return [this.#path(value as Json, path)];
    if (value.length === 0) this.#add(path, 'must name at least one identity file');
    return value.map((element: Json, index) => this.#path(element, [...path, index]));
  }

  #provider(value: Json | undefined): ProviderSetting {
    const path = ['provider'];
    if (value === undefined) return { type: '1password' };
    if (!isJsonObject(value)) {
      this.#add(path, `must be an object, this is ${kindOfJson(value)}`);
      return { type: '1password' };
    }
    const types = ['1password', 'age-vault'];
    if (value['type'] === 'age-vault') {
      this.#members(value, path, ['type', 'path', 'identity']);
      return {
        type: 'age-vault',
        path:
          value['path'] === undefined
            ? '/etc/unit-secrets/vault.age'
            : this.#path(value['path'], [...path, 'path']),
        identities: this.#identities(value['identity'], [...path, 'identity']),
      };
    }
    if (value['type'] === undefined)
      this.#add(path, 'the member "type" is missing', `one of ${types.map(quoteName).join(', ')}`);
    else if (value['type'] !== '1password') {
      const type = this.#string(value['type'], [...path, 'type']);
      if (type !== undefined) {
        const near = nearest(type, types);
        this.#add(
          [...path, 'type'],
          `unknown provider ${quoteName(type)}`,
          near === undefined
            ? `known are ${types.map(quoteName).join(', ')}`
            : `did you mean ${quoteName(near)}?`,
        );
      }
    } else this.#members(value, path, ['type']);
    return { type: '1password' };
  }

  #token(value: Json | undefined): Token {
    const path = ['token'];
    if (value === undefined) return defaultToken;
    if (!isJsonObject(value)) {
      this.#add(path, `must be an object, this is ${kindOfJson(value)}`);
      return defaultToken;
    }
    this.#members(value, path, ['age', 'identity', 'file'], ['credential']);
    const hasAge = value['age'] !== undefined;
    const hasFile = value['file'] !== undefined;
    if (hasAge && hasFile) this.#add(path, 'says both "age" and "file"', 'keep the one where the token is');
    if (!hasAge && !hasFile && value['credential'] === undefined) {
      this.#add(path, 'must say where the token is', '{"age": PATH} or {"file": PATH}');
    }
    if (hasFile) {
      if (value['identity'] !== undefined)
        this.#add([...path, 'identity'], '"identity" goes with "age" only', undefined, 'name');
      return { kind: 'file', path: this.#path(value['file'], [...path, 'file']) };
    }
    if (!hasAge) return defaultToken;
    return {
      kind: 'age',
      path: this.#path(value['age'], [...path, 'age']),
      identities: this.#identities(value['identity'], [...path, 'identity']),
    };
  }

  #fetch(value: Json | undefined): FetchSettings {
    const path = ['fetch'];
    if (value === undefined) return defaultFetch;
    if (!isJsonObject(value)) {
      this.#add(path, `must be an object, this is ${kindOfJson(value)}`);
      return defaultFetch;
    }
    this.#members(value, path, ['tries', 'timeout', 'retryEvery']);
    let tries = defaultFetch.tries;
    const given = value['tries'];
    if (given !== undefined) {
      if (typeof given === 'number' && Number.isInteger(given) && given >= 1 && given <= 100) tries = given;
      else this.#add([...path, 'tries'], 'must be a whole number from 1 to 100');
    }
    return {
      tries,
      timeout: this.#duration(value['timeout'], [...path, 'timeout'], defaultFetch.timeout),
      retryEvery: this.#duration(value['retryEvery'], [...path, 'retryEvery'], defaultFetch.retryEvery),
    };
  }

  #duration(value: Json | undefined, path: JsonPath, fallback: number): number {
    if (value === undefined) return fallback;
    const text = this.#string(value, path);
    if (text === undefined) return fallback;
    const seconds = parseDuration(text);
    // more than a year is a slip, and systemd's own arithmetic ends somewhere
    if (seconds !== undefined && seconds >= 1 && seconds <= 31_449_600) return seconds;
    this.#add(path, 'must be a duration of one second to 52 weeks, such as "4min" or "1h 30min"');
    return fallback;
  }

  #services(
    value: Json | undefined,
    services: Service[],
    broken: { name: ServiceName; problems: Problem[] }[],
  ): void {
    if (value === undefined) return;
    if (!isJsonObject(value)) {
      this.#add(['services'], `must be an object, this is ${kindOfJson(value)}`);
      return;
    }
    const seen = new Map<string, string>();
    const read: { key: string; name: ServiceName; service: Service; first: number; last: number }[] = [];
    for (const key of Object.keys(value)) {
      const path = ['services', key];
      const first = this.#problems.length;
      const parsed = parseServiceName(key);
      this.#service = parsed.ok ? parsed.service.name : key;
      if (!parsed.ok) {
        this.#add(path, parsed.message, undefined, 'name');
        continue;
      }
      const other = seen.get(parsed.service.name);
      if (other !== undefined)
        this.#add(path, `${quoteName(key)} is the same service as ${quoteName(other)}`, undefined, 'name');
      seen.set(parsed.service.name, key);
      const service = this.#serviceEntry(value[key], path, parsed.service);
      read.push({ key, name: parsed.service, service, first, last: this.#problems.length });
    }
    // shorter names first: one that is refused has no units whose names could be taken
    const generated = new Map<string, string>();
    for (const { key, name } of [...read].sort((a, b) => a.name.name.length - b.name.name.length)) {
      if (generated.has(name.name)) continue;
      for (const suffix of ['secrets', 'config']) generated.set(companionName(name, suffix), key);
    }
    for (const { key, name, service, first, last } of read) {
      this.#service = name.name;
      const problems = this.#problems.slice(first, last);
      const owner = generated.get(name.name);
      if (owner !== undefined) {
        this.#add(
          ['services', key],
          `${quoteName(key)} is the name of a unit generated for ${quoteName(owner)}`,
          undefined,
          'name',
        );
        continue;
      }
      const earlier = broken.find((entry) => entry.name.name === name.name);
      if (earlier) earlier.problems.push(...problems);
      else if (problems.length > 0) {
        broken.push({ name, problems });
        const index = services.findIndex((entry) => entry.name.name === name.name);
        if (index >= 0) services.splice(index, 1);
      } else services.push(service);
    }
    this.#service = undefined;
  }

  #serviceEntry(value: Json | undefined, path: JsonPath, name: ServiceName): Service {
    const environment: [string, string][] = [];
    if (!isJsonObject(value)) {
      this.#add(path, `must be an object, this is ${kindOfJson(value)}`);
      return { name, environment };
    }
    this.#members(value, path, serviceMembers, laterServiceMembers);
    const variables = value['environment'];
    if (variables === undefined) {
      if (Object.keys(value).length === 0)
        this.#add(path, 'the service is given nothing', 'add "environment"');
      return { name, environment };
    }
    const environmentPath = [...path, 'environment'];
    if (!isJsonObject(variables)) {
      this.#add(environmentPath, `must be an object, this is ${kindOfJson(variables)}`);
      return { name, environment };
    }
    for (const variable of Object.keys(variables)) {
      const variablePath = [...environmentPath, variable];
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) {
        this.#add(
          variablePath,
          `${quoteName(variable)} is not the name of an environment variable`,
          'letters, digits and "_", not beginning with a digit',
          'name',
        );
      }
      const text = this.#string(variables[variable], variablePath);
      if (text === undefined) continue;
      const parsed = parseValue(text);
      if (!parsed.ok) {
        this.#add(variablePath, parsed.message);
        continue;
      }
      for (const part of parsed.parts) {
        const trouble = part.kind === 'text' ? environmentValueProblem(variable, part.text) : undefined;
        if (trouble !== undefined) this.#add(variablePath, trouble);
      }
      environment.push([variable, text]);
    }
    return { name, environment };
  }
}
