import { formatNames, formatOfPath } from './config-format.ts';
import { environmentValueProblem } from './environment-file.ts';
import type { Json, JsonMembers } from './json-text.ts';
import {
  type ConfigFile,
  type NamedValue,
  type ProviderSetting,
  type SecretFile,
  type Service,
  widestMode,
} from './manifest.ts';
import { type Collector, textProblem } from './manifest-collector.ts';
import { fileName as fileNamePattern, variableName as variableNamePattern } from './names.ts';
import { type JsonPath, quoteName } from './problem.ts';
import { reservedRuntimeDirectory } from './runtime-directory.ts';
import type { ServiceName } from './service-name.ts';

const deliveries = ['environment', 'credentials', 'files', 'configs'];
const members = [...deliveries, 'group', 'dynamicUser', 'runtimeDirectory'];
const none: readonly never[] = [];
const longestName = 255;
const fileNameHint = 'letters, digits, ".", "_" and "-", not beginning with "."';

/** An entry of `services`; what cannot be read of it is left out, and a problem says so. */
export function readService(
  value: Json | undefined,
  path: JsonPath,
  name: ServiceName,
  provider: ProviderSetting['type'],
  to: Collector,
): Service {
  const entry = to.object(value, path, members, 'such as {"environment": {NAME: REFERENCE}}');
  if (!entry) {
    return {
      name,
      file: to.file,
      environment: none,
      credentials: none,
      files: none,
      configs: none,
      inline: false,
    };
  }
  if (!isGivenAnything(entry)) {
    to.add(path, 'the service is given nothing', `add ${deliveries.map(quoteName).join(', ')} or several`);
  }
  const group = entry['group'] === undefined ? undefined : readGroup(entry['group'], [...path, 'group'], to);
  const directory = entry['runtimeDirectory'];
  const runtimeDirectory =
    directory === undefined ? undefined : readDirectory(directory, [...path, 'runtimeDirectory'], to);
  const { environment, credentials, files, configs } = entry;
  // most entries have one of them, and paths are for those only
  const service: Service = {
    name,
    file: to.file,
    environment:
      environment === undefined
        ? none
        : named(environment, [...path, 'environment'], variableName, environmentValueProblem, to),
    credentials:
      credentials === undefined
        ? none
        : named(credentials, [...path, 'credentials'], credentialId, textProblem, to),
    files:
      files === undefined
        ? none
        : readFiles(files, [...path, 'files'], group === undefined ? 0o400 : 0o440, to),
    configs: configs === undefined ? none : readConfigs(configs, [...path, 'configs'], to),
    ...(group === undefined ? {} : { group }),
    ...(runtimeDirectory === undefined ? {} : { runtimeDirectory }),
    inline: entry['dynamicUser'] !== undefined,
  };
  if (service.inline) readInline(entry, path, service, provider, to);
  checkCredentialIds(service, path, to);
  return service;
}

/** A member that is not known is told already, and was meant to be one of these. */
function isGivenAnything(entry: JsonMembers): boolean {
  for (const delivery of deliveries) if (entry[delivery] !== undefined) return true;
  return Object.keys(entry).some((member) => !members.includes(member));
}

/** How a kind of name must look, what it is called, and what would be right. */
interface NameRule {
  readonly pattern: RegExp;
  readonly what: string;
  readonly hint: string;
}

const variableName: NameRule = {
  pattern: variableNamePattern,
  what: 'the name of an environment variable',
  hint: 'letters, digits and "_", not beginning with a digit',
};
const placeholderName: NameRule = { ...variableName, what: 'a name that a template can use' };
const credentialId: NameRule = {
  pattern: fileNamePattern,
  what: 'the ID of a credential',
  hint: fileNameHint,
};
const fileName: NameRule = { ...credentialId, what: 'the name of a file' };

function checkName(name: string, path: JsonPath, rule: NameRule, to: Collector): void {
  if (rule.pattern.test(name)) return;
  const meant = name.replaceAll('-', '_');
  const better = meant !== name && rule.pattern.test(meant) ? `: ${quoteName(meant)} would be one` : '';
  const hint = name.length > longestName ? `at most ${longestName} characters` : rule.hint + better;
  to.add(path, `${quoteName(name)} is not ${rule.what}`, hint, 'name');
}

/** An object of names and values. */
function named(
  value: Json | undefined,
  path: JsonPath,
  rule: NameRule,
  problemOf: (name: string, text: string) => string | undefined,
  to: Collector,
): NamedValue[] {
  const values: NamedValue[] = [];
  if (value === undefined) return values;
  const entries = to.object(value, path);
  // the name is quoted for the message only: nearly no value has a problem
  const problem = (name: string, part: string) =>
    problemOf(name, part) === undefined ? undefined : problemOf(quotedIfOdd(name), part);
  for (const name of Object.keys(entries ?? {})) {
    const at = [...path, name];
    checkName(name, at, rule, to);
    const text = to.value(entries?.[name], at, name, problem);
    // a template may use one that is wrong: its name is declared
    values.push([name, text ?? '']);
  }
  return values;
}

/** As it is where it is a plain word, as names of variables are. */
function quotedIfOdd(name: string): string {
  return variableName.pattern.test(name) ? name : quoteName(name);
}

function readFiles(value: Json | undefined, path: JsonPath, mode: number, to: Collector): SecretFile[] {
  const files: SecretFile[] = [];
  if (value === undefined) return files;
  const entries = to.object(value, path);
  for (const name of Object.keys(entries ?? {})) {
    const at = [...path, name];
    checkName(name, at, fileName, to);
    const given = entries?.[name];
    if (typeof given === 'string') {
      const text = to.value(given, at, quoteName(name));
      if (text !== undefined) files.push({ name, value: text, mode, credential: false });
      continue;
    }
    const file = to.object(
      given,
      at,
      ['value', 'mode', 'credential'],
      'or a string: a reference, or text with references in {{ … }}',
    );
    if (!file) continue;
    if (file['value'] === undefined) to.add(at, 'the member "value" is missing', 'add "value": REFERENCE');
    const text =
      file['value'] === undefined ? undefined : to.value(file['value'], [...at, 'value'], quoteName(name));
    files.push({
      name,
      value: text ?? '',
      mode: readMode(file['mode'], [...at, 'mode'], mode, to),
      credential: to.boolean(file['credential'], [...at, 'credential']),
    });
  }
  return files;
}

function readConfigs(value: Json | undefined, path: JsonPath, to: Collector): ConfigFile[] {
  const configs: ConfigFile[] = [];
  if (value === undefined) return configs;
  const entries = to.object(value, path);
  for (const name of Object.keys(entries ?? {})) {
    const at = [...path, name];
    checkName(name, at, fileName, to);
    const config = to.object(
      entries?.[name],
      at,
      ['template', 'format', 'values', 'mode', 'credential'],
      'such as {"template": PATH}',
    );
    if (!config) continue;
    if (config['template'] === undefined)
      to.add(at, 'the member "template" is missing', 'add "template": PATH');
    const template = config['template'] === undefined ? '' : to.path(config['template'], [...at, 'template']);
    const format =
      config['format'] === undefined
        ? formatOfPath(template)
        : to.word(config['format'], [...at, 'format'], formatNames, 'format');
    configs.push({
      name,
      template,
      format: format ?? 'text',
      formatGiven: config['format'] !== undefined,
      values: named(config['values'], [...at, 'values'], placeholderName, textProblem, to),
      mode: readMode(config['mode'], [...at, 'mode'], widestMode, to),
      credential: to.boolean(config['credential'], [...at, 'credential']),
    });
  }
  return configs;
}

function readMode(value: Json | undefined, path: JsonPath, fallback: number, to: Collector): number {
  if (value === undefined) return fallback;
  const text = to.string(value, path, 'in octal digits, such as "0400"');
  if (text === undefined) return fallback;
  if (!/^0?[0-7]{3}$/.test(text)) {
    to.add(path, 'must be a file mode in octal digits, such as "0400"');
    return fallback;
  }
  const mode = Number.parseInt(text, 8);
  if ((mode & ~widestMode) === 0) return mode;
  to.add(path, 'the mode is wider than "0640"', 'nobody but root and the group may read a secret');
  return fallback;
}

function readGroup(value: Json, path: JsonPath, to: Collector): string | undefined {
  const text = to.string(value, path, typeof value === 'number' ? 'its name, not its number' : undefined);
  // the rules of useradd(8), which systemd takes without a warning
  if (text === undefined || /^[A-Za-z_][A-Za-z0-9_-]{0,30}$/.test(text)) return text;
  const hint = 'letters, digits, "_" and "-", beginning with a letter or "_", at most 31 characters';
  to.add(path, `${quoteName(text)} is not the name of a group`, hint);
  return undefined;
}

function readDirectory(value: Json, path: JsonPath, to: Collector): string | undefined {
  const text = to.string(value, path);
  if (text === undefined) return undefined;
  if (!fileName.pattern.test(text)) {
    to.add(path, `${quoteName(text)} is not the name of a directory below /run`, fileName.hint);
    return undefined;
  }
  if (!reservedRuntimeDirectory(text)) return text;
  to.add(path, `/run/${text} is used by the system`, 'take the name of the service');
  return undefined;
}

function readInline(
  entry: JsonMembers,
  path: JsonPath,
  service: Service,
  provider: ProviderSetting['type'],
  to: Collector,
): void {
  to.word(entry['dynamicUser'], [...path, 'dynamicUser'], ['inline'], 'way of fetching');
  for (const name of ['credentials', 'configs', 'group', 'runtimeDirectory']) {
    if (entry[name] === undefined) continue;
    to.add(
      [...path, name],
      `${quoteName(name)} cannot be had with "dynamicUser": "inline"`,
      'leave "dynamicUser" out: without it everything works for services with DynamicUser=, too',
      'name',
    );
  }
  for (const { name, credential } of service.files) {
    if (!credential) continue;
    to.add(
      [...path, 'files', name, 'credential'],
      'a service that fetches its secrets itself cannot be given them as credentials',
      'it finds the file in UNIT_SECRETS_DIRECTORY',
    );
  }
  if (provider !== 'age-vault') return;
  to.add(
    [...path, 'dynamicUser'],
    '"inline" is for 1Password: only root can open an age vault',
    'leave it out: without it everything works for services with DynamicUser=, too',
  );
}

/** A service's credentials share one directory, whatever they are made from. */
function checkCredentialIds(service: Service, path: JsonPath, to: Collector): void {
  if (service.files.length === 0 && service.configs.length === 0) return;
  const owners = new Map(service.credentials.map(([id]) => [id, 'credentials']));
  const claim = (kind: string, { name, credential }: SecretFile | ConfigFile): void => {
    if (!credential) return;
    const owner = owners.get(name);
    if (owner === undefined) owners.set(name, kind);
    else {
      to.add(
        [...path, kind, name],
        `the service already has a credential ${quoteName(name)} from ${quoteName(owner)}`,
        'give one of them another name',
        'name',
      );
    }
  };
  for (const file of service.files) claim('files', file);
  for (const config of service.configs) claim('configs', config);
}
