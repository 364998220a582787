import { exitCodes } from './exit-codes.ts';
import type { Failure } from './failure.ts';
import { isJsonObject, type Json, kindOfJson, type Locate, parseJsonFast } from './json-text.ts';
import { parseJsonTree } from './json-tree.ts';
import { type JsonPath, type Problem, quoteName } from './problem.ts';
import type { Resolution } from './provider.ts';
import { parseSecretReference, type SecretReference } from './secret-reference.ts';
import { parsePrivateKey } from './ssh-key-pair.ts';
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
  | {
      readonly ok: true;
      readonly vault: AgeVault;
      /** The public keys that the vault is for; undefined where it does not say. */
      readonly recipients?: readonly string[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Where a vault keeps its recipients (docs/decisions/0004-a-vault-names-its-recipients.md); no reference can
 * name a vault like that.
 */
export const recipientsMember = '$recipients';

/**
 * Parses the plaintext of an age vault, strict JSON:
 * `{vault: {item: {field: "value", section: {field: "value"}}}}`, and optionally `"$recipients": [key…]`.
 * Every problem is found, not only the first; problems quote names, never values.
 *
 * @param file the file's name for messages
 */
export function parseAgeVault(text: string, file: string): AgeVaultResult {
  const fast = parseJsonFast(text);
  if (fast) {
    const reader = new Reader(file, () => undefined);
    const result = reader.read(fast.value);
    if (result.ok) return result;
  }
  // something is odd: read it again with positions
  const tree = parseJsonTree(text);
  const problems: Problem[] = tree.errors.map(({ position, message, path }) => ({
    file,
    position,
    ...(path === undefined ? { message: `not valid JSON: ${message}` } : { path, message }),
  }));
  // what is built from broken JSON would be reported twice
  if (problems.some(({ path }) => path === undefined)) return { ok: false, problems };
  return new Reader(file, tree.locate, problems).read(tree.value);
}

class Reader {
  readonly #file: string;
  readonly #locate: Locate;
  readonly #problems: Problem[];

  constructor(file: string, locate: Locate, problems: Problem[] = []) {
    this.#file = file;
    this.#locate = locate;
    this.#problems = problems;
  }

  read(value: Json | undefined): AgeVaultResult {
    let recipients: readonly string[] | undefined;
    const vault = new Map<string, ReadonlyMap<string, AgeVaultItem>>();
    const members = this.#members(value, [], 'the age vault must be an object of vaults', (member) => member);
    for (const [name, member] of members) {
      if (name === recipientsMember) recipients = this.#recipients(member, [name]);
      else vault.set(name, this.#vault(member, [name]));
    }
    if (this.#problems.length > 0) return { ok: false, problems: this.#problems };
    return { ok: true, vault, ...(recipients === undefined ? {} : { recipients }) };
  }

  #recipients(value: Json, path: JsonPath): readonly string[] {
    if (Array.isArray(value)) {
      return value.map((key: Json, index) => this.#text(key, [...path, index], 'a string, a public key'));
    }
    this.#add(path, `must be an array of public keys, this is ${kindOfJson(value)}`);
    return [];
  }

  #vault(value: Json, path: JsonPath): ReadonlyMap<string, AgeVaultItem> {
    return this.#members(value, path, 'a vault must be an object of items', (item, itemPath) =>
      this.#item(item, itemPath),
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

/** A field where it is, all names as written. */
export interface AgeVaultField {
  readonly vault: string;
  readonly item: string;
  readonly section?: string;
  readonly field: string;
  readonly value: string;
}

export type AgeVaultSearch =
  | { readonly ok: true; readonly found: AgeVaultField }
  | {
      readonly ok: false;
      readonly failure: Failure;
      /** Set if it is simply not there; what contains it, as far as that is there, by its names as written. */
      readonly missing?: { readonly vault?: string; readonly item?: string; readonly section?: string };
    };

/**
 * Resolves a secret reference by 1Password's rules (docs: "Secret reference syntax"): names are compared
 * without case; without a section the field is looked for in the item itself and in all of its sections;
 * more than one match is an error. There are no ids. All failures are permanent and name no value.
 */
export function resolveInAgeVault(vault: AgeVault, text: string): Resolution {
  const parsed = parseSecretReference(text);
  if (!parsed.ok) return { ok: false, failure: refusal(text, parsed.message) };
  const { reference } = parsed;
  if (reference.query === 'attribute=otp' || reference.query === 'attribute=totp') {
    const hint = `leave out "?${reference.query}"`;
    return { ok: false, failure: refusal(text, 'an age vault has no one-time passwords', hint) };
  }
  const result = findInAgeVault(vault, reference, text);
  if (!result.ok) return { ok: false, failure: result.failure };
  const { value } = result.found;
  if (reference.query === 'ssh-format=openssh' && !isOpensshKey(value)) {
    return {
      ok: false,
      failure: refusal(
        text,
        'the field is not a private key in OpenSSH format, and an age vault does not convert',
        'store it as "ssh-keygen -t ed25519" writes it, or leave out "?ssh-format=openssh"',
      ),
    };
  }
  return { ok: true, value };
}

const renameHint = 'names are compared without case: rename one of them';

/** Finds the one field that a reference names. */
export function findInAgeVault(vault: AgeVault, reference: SecretReference, text: string): AgeVaultSearch {
  const vaults = matching(vault, reference.vault);
  const [inVault] = vaults;
  if (!inVault) {
    const hint = suggestion(reference.vault, vault.keys());
    return { ok: false, missing: {}, failure: refusal(text, 'no vault of that name in the age vault', hint) };
  }
  if (vaults.length > 1) {
    return { ok: false, failure: refusal(text, 'more than one vault has that name', renameHint) };
  }
  const [vaultName, items] = inVault;
  const found = matching(items, reference.item);
  const [inItem] = found;
  if (!inItem) {
    const hint = suggestion(reference.item, items.keys());
    return {
      ok: false,
      missing: { vault: vaultName },
      failure: refusal(text, 'no item of that name in the vault', hint),
    };
  }
  if (found.length > 1) {
    return { ok: false, failure: refusal(text, 'more than one item has that name', renameHint) };
  }
  const [itemName, item] = inItem;
  return findField(item, { vault: vaultName, item: itemName }, reference, text);
}

function findField(
  item: AgeVaultItem,
  names: { readonly vault: string; readonly item: string },
  { section, field }: SecretReference,
  text: string,
): AgeVaultSearch {
  const sections = section === undefined ? [...item.sections] : matching(item.sections, section);
  if (section !== undefined && sections.length === 0) {
    const hint = suggestion(section, item.sections.keys());
    return { ok: false, missing: names, failure: refusal(text, 'no section of that name in the item', hint) };
  }
  const places: (readonly [section: string | undefined, fields: Fields])[] =
    section === undefined ? [[undefined, item.fields], ...sections] : sections;
  const matches = places.flatMap(([sectionName, fields]) =>
    matching(fields, field).map(([name, value]) => ({ sectionName, name, value })),
  );
  const [match] = matches;
  if (!match) {
    const message = `no field of that name in the ${section === undefined ? 'item' : 'section'}`;
    if (section === undefined && matching(item.sections, field).length > 0) {
      const hint = 'it is the name of a section: write SECTION/FIELD';
      return { ok: false, failure: refusal(text, message, hint) };
    }
    const known = new Set(places.flatMap(([, fields]) => [...fields.keys()]));
    const failure = refusal(text, message, suggestion(field, known));
    const [only] = sections;
    if (section === undefined) return { ok: false, missing: names, failure };
    if (sections.length > 1 || !only) return { ok: false, failure };
    return { ok: false, missing: { ...names, section: only[0] }, failure };
  }
  if (matches.length > 1) {
    const inSections = section === undefined && item.sections.size > 0;
    const hint = inSections ? 'name the section, or rename one of them' : renameHint;
    return { ok: false, failure: refusal(text, 'more than one field has that name', hint) };
  }
  const { sectionName, name, value } = match;
  return {
    ok: true,
    found: { ...names, ...(sectionName === undefined ? {} : { section: sectionName }), field: name, value },
  };
}

/** Any type of key will do, and one with a passphrase: the form is what was asked for. */
function isOpensshKey(value: string): boolean {
  if (!value.trimStart().startsWith('-----BEGIN OPENSSH PRIVATE KEY-----')) return false;
  const result = parsePrivateKey(value);
  return result.ok || result.kind === 'encrypted' || result.kind === 'unsupported';
}

/** The members whose names are the same but for case. */
export function matching<T>(members: ReadonlyMap<string, T>, name: string): (readonly [string, T])[] {
  const wanted = name.toLowerCase();
  return [...members].filter(([known]) => known.toLowerCase() === wanted);
}

function suggestion(name: string, known: Iterable<string>): string | undefined {
  const near = nearest(name, known);
  return near === undefined ? undefined : `did you mean ${quoteName(near)}?`;
}

/** A failure that is about one reference. */
export function refusal(reference: string, message: string, hint?: string): Failure {
  return {
    class: 'permanent',
    exitCode: exitCodes.dataError,
    message: `${JSON.stringify(reference)}: ${message}`,
    ...(hint === undefined ? {} : { hint }),
  };
}
