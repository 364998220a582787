import { isJsonObject, type Json } from './json-text.ts';
import type { JsonTree } from './json-tree.ts';
import type { Manifest, NamedValue } from './manifest.ts';
import type { JsonPath } from './problem.ts';
import { parseServiceName } from './service-name.ts';
import type { Position } from './text-position.ts';

/** A value of a manifest, as written, and where it was found. */
export interface PlacedValue {
  readonly text: string;
  readonly file: string;
  /** The service that is given it, or that puts the user's keys in place. */
  readonly service: string;
  readonly member: 'services' | 'sshKeys';
  /** The service or the user. */
  readonly entry: string;
  /** Below the entry; of a file that is no object, the last step does not exist. */
  readonly below: JsonPath;
}

/** All values of a manifest that can be read. */
export function placedValues(manifest: Manifest): PlacedValue[] {
  const ofServices = manifest.legible.flatMap(({ name, file, ...given }) => {
    const place = { file, service: name.name, member: 'services', entry: name.name } as const;
    const named = (below: JsonPath, values: readonly NamedValue[]): PlacedValue[] =>
      values.map(([key, text]) => ({ ...place, text, below: [...below, key] }));
    return [
      ...named(['environment'], given.environment),
      ...named(['credentials'], given.credentials),
      ...given.files.map((one) => ({ ...place, text: one.value, below: ['files', one.name, 'value'] })),
      ...given.configs.flatMap((config) => named(['configs', config.name, 'values'], config.values)),
    ];
  });
  const ofUsers = manifest.sshKeys.flatMap((keys) => {
    const place = { file: keys.file, service: keys.name.name, member: 'sshKeys', entry: keys.user } as const;
    return (['privateKey', 'publicKey'] as const).flatMap((key) => {
      const text = keys[key];
      return text === undefined ? [] : [{ ...place, text, below: [key] }];
    });
  });
  return [...ofServices, ...ofUsers];
}

/** Where a value stands in the text that its file has; undefined if that has changed meanwhile. */
export function placeOf(
  { value, locate }: JsonTree,
  { text, member, entry, below }: PlacedValue,
): { readonly path: JsonPath; readonly position?: Position } | undefined {
  const entries = isJsonObject(value) ? value[member] : undefined;
  for (const key of isJsonObject(entries) ? Object.keys(entries) : []) {
    if (key !== entry && !(member === 'services' && isNameOf(key, entry))) continue;
    for (const steps of [below, below.slice(0, -1)]) {
      const path = [member, key, ...steps];
      if (valueAt(value, path) !== text) continue;
      const position = locate(path, 'value');
      return { path, ...(position ? { position } : {}) };
    }
  }
  return undefined;
}

/** Whether a key names a service, with `.service` for instance. */
function isNameOf(key: string, name: string): boolean {
  const parsed = parseServiceName(key);
  return parsed.ok && parsed.service.name === name;
}

function valueAt(value: Json | undefined, path: JsonPath): Json | undefined {
  let found = value;
  for (const step of path) found = isJsonObject(found) ? found[step] : undefined;
  return found;
}
