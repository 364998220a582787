import { env } from './env.ts';
import type { Format } from './format.ts';
import { ini } from './ini.ts';
import { json } from './json.ts';
import { toml } from './toml.ts';
import { yaml } from './yaml.ts';

/** The formats of rendered files; `text` is put together without a look at what it says. */
export const formatNames = ['json', 'yaml', 'toml', 'ini', 'env', 'text'] as const;

export type FormatName = (typeof formatNames)[number];

export const formats: Readonly<Record<Exclude<FormatName, 'text'>, Format>> = { json, yaml, toml, ini, env };

/** The format that a template's name tells: that of its extension, `text` if that is no format's. */
export function formatOfPath(path: string): FormatName {
  const [, extension = ''] = /\.([A-Za-z]+)$/.exec(path) ?? [];
  const name = extension === 'yml' ? 'yaml' : extension;
  return formatNames.find((one) => one === name) ?? 'text';
}
