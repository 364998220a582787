import type { Service } from '../domain/manifest.ts';
import type { UnitContext } from './context.ts';
import type { Setting } from './unit-file.ts';
import { xSetting } from './x-secrets.ts';

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

/**
 * `[X-Secrets]`: all that fetch mode has to know, so that what runs is what `systemctl cat` shows. The
 * marker's name is a digest of this text, hence nothing in it may vary without need.
 *
 * - `Environment="NAME=VALUE"`, `Credential="ID=VALUE"`, `File="MODE NAME=VALUE"`
 * - `Config="MODE FORMAT NAME=TEMPLATE"`, and for what only its template can use `ConfigValue="CONFIG NAME=VALUE"`
 * - `FileCredential="NAME"`, `ConfigCredential="NAME"` for those that are credentials, too
 */
export function xSecretsSettings(service: Service, context: UnitContext): Setting[] {
  const { provider, fetch } = context;
  const settings = [xSetting('Service', `${service.name.name}.service`), xSetting('Provider', provider.type)];
  if (provider.type === 'age-vault') {
    settings.push(xSetting('Vault', provider.path));
    for (const path of provider.identities) settings.push(xSetting('Identity', path));
  }
  settings.push(xSetting('Tries', String(fetch.tries)), xSetting('Timeout', String(fetch.timeout)));
  if (service.group !== undefined) settings.push(xSetting('Group', service.group));
  if (service.runtimeDirectory !== undefined)
    settings.push(xSetting('RuntimeDirectory', service.runtimeDirectory));
  return addValues(settings, service);
}

/** The end of the section: what differs between services that are alike. */
export function addValues(settings: Setting[], service: Service): Setting[] {
  for (const [name, value] of service.environment) settings.push(xSetting('Environment', `${name}=${value}`));
  for (const [id, value] of service.credentials) settings.push(xSetting('Credential', `${id}=${value}`));
  for (const { name, value, mode, credential } of service.files) {
    settings.push(xSetting('File', `${octal(mode)} ${name}=${value}`));
    if (credential) settings.push(xSetting('FileCredential', name));
  }
  for (const { name, template, format, mode, values, credential } of service.configs) {
    settings.push(xSetting('Config', `${octal(mode)} ${format} ${name}=${template}`));
    for (const [variable, value] of values)
      settings.push(xSetting('ConfigValue', `${name} ${variable}=${value}`));
    if (credential) settings.push(xSetting('ConfigCredential', name));
  }
  return settings;
}
