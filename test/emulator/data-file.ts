/**
 * The readable form of what the vaults hold, see README.md. Everything that has a name may be written in
 * two ways: as an object whose keys are the names, or as an array of objects with a `name`, which alone
 * can have two of the same name.
 */
import { isId } from './ids.ts';

export const fieldTypes = ['concealed', 'string', 'totp', 'sshKey', 'url', 'email', 'phone', 'menu'] as const;
export type FieldType = (typeof fieldTypes)[number];

/** Template numbers by the category names of the 1Password CLI. */
const templates = {
  LOGIN: '001',
  CREDIT_CARD: '002',
  SECURE_NOTE: '003',
  IDENTITY: '004',
  PASSWORD: '005',
  DOCUMENT: '006',
  SOFTWARE_LICENSE: '100',
  BANK_ACCOUNT: '101',
  DATABASE: '102',
  DRIVER_LICENSE: '103',
  OUTDOOR_LICENSE: '104',
  MEMBERSHIP: '105',
  PASSPORT: '106',
  REWARD_PROGRAM: '107',
  SOCIAL_SECURITY_NUMBER: '108',
  WIRELESS_ROUTER: '109',
  SERVER: '110',
  EMAIL_ACCOUNT: '111',
  API_CREDENTIAL: '112',
  MEDICAL_RECORD: '113',
  SSH_KEY: '114',
  CRYPTO_WALLET: '115',
  PERSON: '910',
} as const;
export type Category = keyof typeof templates;

export function templateOf(category: Category): string {
  return templates[category];
}

interface Named {
  readonly name: string;
  readonly id: string | undefined;
}

export interface FieldData extends Named {
  readonly type: FieldType;
  /** Missing only for a key that is to be made up. */
  readonly value: string | undefined;
}

export interface FileData extends Named {
  readonly content: Buffer;
}

export interface SectionData extends Named {
  readonly fields: readonly FieldData[];
  readonly files: readonly FileData[];
}

export interface ItemData extends Named {
  readonly category: Category;
  readonly archived: boolean;
  readonly tags: readonly string[];
  readonly notes: string;
  readonly fields: readonly FieldData[];
  readonly files: readonly FileData[];
  readonly sections: readonly SectionData[];
}

export interface VaultData extends Named {
  readonly description: string;
  readonly items: readonly ItemData[];
}

export class DataError extends Error {
  override readonly name = 'DataError';
}

/** @throws DataError that names the place */
export function parseData(data: unknown): VaultData[] {
  const root = members(data, 'data', ['vaults']);
  return named(root['vaults'], 'vaults').map(parseVault);
}

function parseVault({ name, value, path }: Entry): VaultData {
  const vault = members(value, path, ['name', 'id', 'description', 'items']);
  return {
    name,
    id: id(vault, path),
    description: text(vault, 'description', path) ?? '',
    items: named(vault['items'], `${path}.items`).map(parseItem),
  };
}

function parseItem({ name, value, path }: Entry): ItemData {
  const allowed = ['name', 'id', 'category', 'archived', 'tags', 'notes', 'fields', 'files', 'sections'];
  const item = members(value, path, allowed);
  const category = text(item, 'category', path) ?? 'LOGIN';
  if (!Object.hasOwn(templates, category))
    throw new DataError(`${path}.category: unknown category ${category}`);
  const archived = item['archived'] ?? false;
  if (typeof archived !== 'boolean') throw new DataError(`${path}.archived: not true or false`);
  const tags = item['tags'] ?? [];
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string')) {
    throw new DataError(`${path}.tags: not an array of texts`);
  }
  return {
    name,
    id: id(item, path),
    category: category as Category,
    archived,
    tags,
    notes: text(item, 'notes', path) ?? '',
    fields: named(item['fields'], `${path}.fields`).map(parseField),
    files: named(item['files'], `${path}.files`).map(parseFile),
    sections: named(item['sections'], `${path}.sections`).map((entry) =>
      parseSection(entry, !Array.isArray(item['sections'])),
    ),
  };
}

/** @param bare the value is nothing but the fields */
function parseSection({ name, value, path }: Entry, bare: boolean): SectionData {
  if (bare) return { name, id: undefined, fields: named(value, path).map(parseField), files: [] };
  const section = members(value, path, ['name', 'id', 'fields', 'files']);
  return {
    name,
    id: id(section, path),
    fields: named(section['fields'], `${path}.fields`).map(parseField),
    files: named(section['files'], `${path}.files`).map(parseFile),
  };
}

function parseField({ name, value, path }: Entry): FieldData {
  if (typeof value === 'string') return { name, id: undefined, type: 'concealed', value };
  const field = members(value, path, ['name', 'id', 'type', 'value']);
  const type = text(field, 'type', path) ?? 'concealed';
  if (!(fieldTypes as readonly string[]).includes(type))
    throw new DataError(`${path}.type: unknown type ${type}`);
  const content = text(field, 'value', path);
  if (content === undefined && type !== 'sshKey') throw new DataError(`${path}: has no value`);
  // a field's id is any text, such as `credential`
  return { name, id: text(field, 'id', path), type: type as FieldType, value: content };
}

function parseFile({ name, value, path }: Entry): FileData {
  if (typeof value === 'string') return { name, id: undefined, content: Buffer.from(value) };
  const file = members(value, path, ['name', 'id', 'text', 'base64']);
  const plain = text(file, 'text', path);
  const base64 = text(file, 'base64', path);
  if ((plain === undefined) === (base64 === undefined)) throw new DataError(`${path}: needs text or base64`);
  const content = plain === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(plain);
  return { name, id: id(file, path), content };
}

interface Entry {
  readonly name: string;
  readonly value: unknown;
  readonly path: string;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function named(value: unknown, path: string): Entry[] {
  if (value === undefined) return [];
  if (isRecord(value)) {
    return Object.entries(value).map(([name, entry]) => ({ name, value: entry, path: `${path}.${name}` }));
  }
  if (!Array.isArray(value)) throw new DataError(`${path}: not an object or an array`);
  return value.map((entry: unknown, index) => {
    const name = isRecord(entry) ? entry['name'] : undefined;
    if (typeof name !== 'string') throw new DataError(`${path}[${index}]: has no name`);
    return { name, value: entry, path: `${path}[${index}]` };
  });
}

function members(value: unknown, path: string, allowed: readonly string[]): Record<string, unknown> {
  if (!isRecord(value)) throw new DataError(`${path}: not an object`);
  const unknown = Object.keys(value).find((key) => !allowed.includes(key));
  if (unknown !== undefined) throw new DataError(`${path}: unknown member ${unknown}`);
  return value;
}

function text(record: Record<string, unknown>, key: string, path: string): string | undefined {
  const value = record[key];
  if (value !== undefined && typeof value !== 'string') throw new DataError(`${path}.${key}: not a text`);
  return value;
}

function id(record: Record<string, unknown>, path: string): string | undefined {
  const value = text(record, 'id', path);
  if (value !== undefined && !isId(value)) throw new DataError(`${path}.id: not an id of 26 characters`);
  return value;
}

/** RFC 7396: members of the patch replace those of the target, objects merge, null removes. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const merged = new Map(isRecord(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}
