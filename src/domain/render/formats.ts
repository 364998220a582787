import type { FormatName } from '../config-format.ts';
import { env } from './env.ts';
import type { Format } from './format.ts';
import { ini } from './ini.ts';
import { json } from './json.ts';
import { toml } from './toml.ts';
import { yaml } from './yaml.ts';

/** The formats whose files are read and compared; `text` is put together without a look at what it says. */
export const formats: Readonly<Record<Exclude<FormatName, 'text'>, Format>> = { json, yaml, toml, ini, env };
