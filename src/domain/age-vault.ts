import { exitCodes } from './exit-codes.ts';
import { isJsonObject, type Json, kindOfJson, type Locate } from './json-text.ts';
import { parseJsonTree } from './json-tree.ts';
import { parseOpensshKey } from './openssh-key.ts';
import { type JsonPath, type Problem, quoteName } from './problem.ts';
import type { Resolution } from './provider.ts';
import { parseSecretReference, type SecretReference } from './secret-reference.ts';
import { nearest } from './suggest.ts';

type Fields = ReadonlyMap<string, string>;

export interface AgeVaultItem {
  /** Fields that are in no section. */
  readonly fields: Fields;
  readonly sections: ReadonlyMap<string, Fields>;
}

/** Vaults by name, their items by name; all as written. */
export type AgeVault = ReadonlyMap<string, ReadonlyMap<string, AgeVaultItem>>;

export type AgeVaultResult =
  | { readonly ok: true; readonly vault: AgeVault }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Parses the plaintext of an age vault, strict JSON:
 * `{vault: {item: {field: "value", section: {field: "value"}}}}`.
 * Every problem is found, not only the first; problems quote names, never values.
 *
 * @param file the file's name for messages
 */
export function parseAgeVault(text: string, file: string): AgeVaultResult {
  const tree = parseJsonTree(text);
  const problems: Problem[] = tree.errors.map(({ position, message, path }) => ({
    file,
    position,
    ...(path === undefined ? { message: `not valid JSON: ${message}` } : { path, message }),
  }));
  // what is built from broken JSON would be reported twice
  if (problems.some(({ path }) => path === undefined)) return { ok: false, problems };
  const vault = new Reader(file, tree.locate, problems).vaults(tree.value);
  return problems.length === 0 ? { ok: true, vault } : { ok: false, problems };
}

class Reader {
  readonly #file: string;
  readonly #locate: Locate;
  readonly #problems: Problem[];

  constructor(file: string, locate: Locate, problems: Problem[]) {
    this.#file = file;
    this.#locate = locate;
    this.#problems = problems;
  }

  vaults(value: Json | undefined): AgeVault {
    return this.#members(value, [], 'the age vault must be an object of vaults', (vault, vaultPath) =>
      this.#members(vault, vaultPath, 'a vault must be an object of items', (item, path) =>
        this.#item(item, path),
      ),
    );
  }

  #item(value: Json, path: JsonPath): AgeVaultItem {
    const fields = new Map<string, string>();
    const sections = new Map<string, Fields>();
    const members = this.#members(
      value,
      path,
      'an item must be an object of fields and sections',
      (member) => member,
    );
    for (const [name, member] of members) {
      const memberPath = [...path, name];
      if (isJsonObject(member)) {
        sections.set(
          name,
          this.#members(member, memberPath, 'a section must be an object of fields', (field, fieldPath) =>
            this.#text(field, fieldPath, 'a string'),
          ),
        );
      } else fields.set(name, this.#text(member, memberPath, 'a string, or an object for a section'));
    }
    return { fields, sections };
  }

  #members<T>(
    value: Json | undefined,
    path: JsonPath,
    rule: string,
    read: (member: Json, path: JsonPath) => T,
  ): Map<string, T> {
    if (isJsonObject(value)) {
      return new Map(Object.entries(value).map(([name, member]) => [name, read(member, [...path, name])]));
    }
    this.#add(path, `${rule}, this is ${kindOfJson(value)}`);
    return new Map();
  }

  #text(value: Json, path: JsonPath, rule: string): string {
    if (typeof value === 'string') return value;
    const hint =
      typeof value === 'number' || typeof value === 'boolean' ? 'put it in double quotes' : undefined;
    this.#add(path, `must be ${rule}, this is ${kindOfJson(value)}`, hint);
    return '';
  }

  #add(path: JsonPath, message: string, hint?: string): void {
    const position = this.#locate(path, 'value');
    this.#problems.push({
      file: this.#file,
      path,
      message,
      ...(position ? { position } : {}),
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/**
 * Resolves a secret reference by 1Password's rules (docs: "Secret reference syntax"): names are compared
 * without case; without a section the field is looked for in the item itself and in all of its sections;
 * more than one match is an error. There are no ids. All failures are permanent and name no value.
 */
export function resolveInAgeVault(vault: AgeVault, text: string): Resolution {
  const parsed = parseSecretReference(text);
  if (!parsed.ok) return refuse(text, parsed.message);
  const { reference } = parsed;
  if (reference.query === 'attribute=otp' || reference.query === 'attribute=totp') {
    return refuse(text, 'an age vault has no one-time passwords', `leave out "?${reference.query}"`);
  }
  const items = matching(vault, reference.vault);
  const [onlyItems] = items;
  if (!onlyItems)
    return refuse(text, 'no vault of that name in the age vault', suggestion(reference.vault, vault.keys()));
  if (items.length > 1) return refuse(text, 'more than one vault has that name', renameHint);
  const found = matching(onlyItems, reference.item);
  const [item] = found;
  if (!item)
    return refuse(text, 'no item of that name in the vault', suggestion(reference.item, onlyItems.keys()));
  if (found.length > 1) return refuse(text, 'more than one item has that name', renameHint);
  return resolveField(item, reference, text);
}

const renameHint = 'names are compared without case: rename one of them';

function resolveField(item: AgeVaultItem, reference: SecretReference, text: string): Resolution {
  const { section, field, query } = reference;
  const places =
    section === undefined ? [item.fields, ...item.sections.values()] : matching(item.sections, section);
  if (section !== undefined && places.length === 0) {
    return refuse(text, 'no section of that name in the item', suggestion(section, item.sections.keys()));
  }
  const values = places.flatMap((place) => matching(place, field));
  const [value] = values;
  if (value === undefined) {
    const isSection = section === undefined && matching(item.sections, field).length > 0;
    const hint = isSection
      ? 'it is the name of a section: write SECTION/FIELD'
      : suggestion(field, new Set(places.flatMap((place) => [...place.keys()])));
    return refuse(text, `no field of that name in the ${section === undefined ? 'item' : 'section'}`, hint);
  }
  if (values.length > 1) {
    const inSections = section === undefined && item.sections.size > 0;
    return refuse(
      text,
      'more than one field has that name',
      inSections ? 'name the section, or rename one of them' : renameHint,
    );
  }
  if (query === 'ssh-format=openssh' && !isOpensshKey(value)) {
    return refuse(
      text,
      'the field is not a private key in OpenSSH format, and an age vault does not convert',
      'store it as "ssh-keygen -t ed25519" writes it, or leave out "?ssh-format=openssh"',
    );
  }
  return { ok: true, value };
}

/** Any type of key will do, and one with a passphrase: the form is what was asked for. */
function isOpensshKey(value: string): boolean {
  const result = parseOpensshKey(value);
  return result.ok || result.kind === 'encrypted' || result.kind === 'other-type';
}

function matching<T>(members: ReadonlyMap<string, T>, name: string): T[] {
  const wanted = name.toLowerCase();
  return [...members].filter(([known]) => known.toLowerCase() === wanted).map(([, member]) => member);
}

function suggestion(name: string, known: Iterable<string>): string | undefined {
  const near = nearest(name, known);
  return near === undefined ? undefined : `did you mean ${quoteName(near)}?`;
}

function refuse(reference: string, message: string, hint?: string): Resolution {
  return {
    ok: false,
    failure: {
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message: `${JSON.stringify(reference)}: ${message}`,
      ...(hint === undefined ? {} : { hint }),
    },
  };
}
