import {
  type AgeVault,
  type AgeVaultItem,
  findInAgeVault,
  matching,
  recipientsMember,
  refusal,
} from './age-vault.ts';
import type { Failure } from './failure.ts';
import { parseSecretReference, type SecretReference } from './secret-reference.ts';

export type AgeVaultEdit =
  | {
      readonly ok: true;
      readonly vault: AgeVault;
      readonly what: 'added' | 'replaced' | 'removed' | 'unchanged';
    }
  | { readonly ok: false; readonly failure: Failure };

/**
 * Sets the field that a reference names, as `resolveInAgeVault` would find it; where there is none, it is
 * added with what contains it, under the names of the reference.
 */
export function setInAgeVault(vault: AgeVault, text: string, value: string): AgeVaultEdit {
  const parsed = parsePlainReference(text);
  if (!parsed.ok) return parsed;
  const { reference } = parsed;
  const result = findInAgeVault(vault, reference, text);
  if (result.ok) {
    const what = result.found.value === value ? 'unchanged' : 'replaced';
    return { ok: true, what, vault: withField(vault, result.found, value) };
  }
  if (!result.missing) return result;
  const place = { ...reference, ...result.missing };
  const item = vault.get(place.vault)?.get(place.item);
  // in the file a field and a section cannot have the same name
  const { section } = place;
  if (item && section !== undefined && matching(item.fields, section).length > 0) {
    return { ok: false, failure: refusal(text, 'the item has a field with the name of that section') };
  }
  return { ok: true, what: 'added', vault: withField(vault, place, value) };
}

/** Removes the field that a reference names, and what contained nothing else. */
export function removeFromAgeVault(vault: AgeVault, text: string): AgeVaultEdit {
  const parsed = parsePlainReference(text);
  if (!parsed.ok) return parsed;
  const result = findInAgeVault(vault, parsed.reference, text);
  if (!result.ok) return { ok: false, failure: result.failure };
  return { ok: true, what: 'removed', vault: withField(vault, result.found, undefined) };
}

function parsePlainReference(
  text: string,
):
  | { readonly ok: true; readonly reference: SecretReference }
  | { readonly ok: false; readonly failure: Failure } {
  const parsed = parseSecretReference(text);
  if (!parsed.ok) return { ok: false, failure: refusal(text, parsed.message) };
  if (parsed.reference.query === undefined) return parsed;
  return {
    ok: false,
    failure: refusal(text, 'what is changed is a field', `leave out "?${parsed.reference.query}"`),
  };
}

type Place = Pick<SecretReference, 'vault' | 'item' | 'section' | 'field'>;

/** @param value undefined to remove the field */
function withField(vault: AgeVault, { vault: name, item, section, field }: Place, value?: string): AgeVault {
  const items = vault.get(name) ?? new Map<string, AgeVaultItem>();
  const { fields, sections } = items.get(item) ?? { fields: new Map(), sections: new Map() };
  const changed =
    section === undefined
      ? { fields: withMember(fields, field, value), sections }
      : {
          fields,
          sections: withContent(
            sections,
            section,
            withMember(sections.get(section) ?? new Map(), field, value),
          ),
        };
  const empty = changed.fields.size === 0 && changed.sections.size === 0;
  return withContent(vault, name, withMember(items, item, empty ? undefined : changed));
}

function withMember<T>(members: ReadonlyMap<string, T>, name: string, member: T | undefined): Map<string, T> {
  const copy = new Map(members);
  if (member === undefined) copy.delete(name);
  else copy.set(name, member);
  return copy;
}

function withContent<T extends { readonly size: number }>(
  members: ReadonlyMap<string, T>,
  name: string,
  content: T,
): Map<string, T> {
  return withMember(members, name, content.size === 0 ? undefined : content);
}

/** The references of all fields, in the order of the vault; a name that references cannot carry stands as it is. */
export function referencesInAgeVault(vault: AgeVault): readonly string[] {
  return [...vault].flatMap(([vaultName, items]) =>
    [...items].flatMap(([itemName, { fields, sections }]) => [
      ...[...fields.keys()].map((field) => `op://${vaultName}/${itemName}/${field}`),
      ...[...sections].flatMap(([section, sectionFields]) =>
        [...sectionFields.keys()].map((field) => `op://${vaultName}/${itemName}/${section}/${field}`),
      ),
    ]),
  );
}

/** The plaintext of an age vault, as `parseAgeVault` reads it. */
export function serialiseAgeVault(vault: AgeVault, recipients: readonly string[]): string {
  const vaults = [...vault].map(([name, items]) => [
    name,
    Object.fromEntries(
      [...items].map(([itemName, { fields, sections }]) => [
        itemName,
        Object.fromEntries([
          ...fields,
          ...[...sections].map(([section, members]) => [section, Object.fromEntries(members)] as const),
        ]),
      ]),
    ),
  ]);
  return `${JSON.stringify(Object.fromEntries([[recipientsMember, recipients], ...vaults]), undefined, 2)}\n`;
}
