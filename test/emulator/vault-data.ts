/** Turns the readable data into what the service keeps: overviews, details and encrypted files. */
import { b64u, hmacSha256, sha256 } from './bytes.ts';
import type { FieldData, FileData, ItemData, SectionData, VaultData } from './data-file.ts';
import { templateOf } from './data-file.ts';
import { encryptBytes, type SymmetricKey, toJwk } from './envelope.ts';
import { idOf } from './ids.ts';
import { madeUpKey, sshKeyAttributes } from './ssh-key.ts';

export interface Vault {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly key: SymmetricKey;
  readonly items: readonly Item[];
}

export interface Item {
  readonly id: string;
  readonly title: string;
  readonly template: string;
  readonly archived: boolean;
  readonly overview: object;
  readonly details: object;
  /** Ciphertext by document id. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly references: readonly References[];
}

/** The ways to refer to one field. */
export interface References {
  /** `op://Vault/Item/[Section/]field`; resolvable only while the names are plain and unique. */
  readonly names: string;
  /** The same by ids alone. */
  readonly ids: string;
}

/**
 * @param seed what keys are derived from: the same data and seed give the same keys and ids, so a client
 *   that has cached a vault's key goes on working after a restart
 */
export function buildVaults(data: readonly VaultData[], seed: Uint8Array): Vault[] {
  return numbered(data).map(({ entry: vault, ordinal }) => {
    const id = vault.id ?? idOf('vault', vault.name, ...ordinal);
    const names = [vault.name, ...ordinal];
    const items = numbered(vault.items).map(({ entry, ordinal: itemOrdinal }) =>
      buildItem(entry, {
        seed,
        vaultId: id,
        vaultName: vault.name,
        id: entry.id ?? idOf('item', ...names, entry.name, ...itemOrdinal),
      }),
    );
    return {
      id,
      name: vault.name,
      description: vault.description,
      key: { kid: idOf('vault key', id), bytes: hmacSha256(seed, `vault key ${id}`) },
      items,
    };
  });
}

interface Place {
  readonly seed: Uint8Array;
  readonly vaultId: string;
  readonly vaultName: string;
  readonly id: string;
}

interface WireSection {
  readonly name: string;
  readonly title: string;
  readonly fields: readonly object[];
}

function buildItem(item: ItemData, place: Place): Item {
  const files = new Map<string, Buffer>();
  const references: References[] = [];
  const refer = (section: SectionIds | undefined, field: { name: string; id: string }): void => {
    const names = [place.vaultName, item.name, ...(section?.id ? [section.name] : []), field.name];
    const ids = [place.vaultId, place.id, ...(section?.id ? [section.id] : []), field.id];
    references.push({ names: `op://${names.join('/')}`, ids: `op://${ids.join('/')}` });
  };

  const builtIn = item.fields.filter((field) => isBuiltIn(item, field));
  for (const { name } of builtIn) refer(undefined, { name, id: name });
  if (item.notes !== '') refer(undefined, { name: 'notesPlain', id: 'notesPlain' });

  // a document has its file outside of any section, where the SDK finds it by its name alone
  const document = item.category === 'DOCUMENT' ? item.files[0] : undefined;
  const documentAttributes = document && attributesOf(document, place, files);
  if (document && documentAttributes) refer(undefined, { name: document.name, id: document.name });

  const loose: SectionData = {
    name: '',
    id: undefined,
    fields: item.fields.filter((field) => !builtIn.includes(field)),
    files: item.files.filter((file) => file !== document),
  };
  const sections = [
    ...(loose.fields.length + loose.files.length > 0 ? [{ section: loose, id: '' }] : []),
    ...numbered(item.sections).map(({ entry, ordinal }) => ({
      section: entry,
      id: entry.id ?? idOf('section', place.id, entry.name, ...ordinal),
    })),
  ].map(({ section, id }) => {
    const ids = { name: section.name, id };
    return buildSection(section, ids, place, files, (field) => refer(ids, field));
  });

  const login = builtIn.map(({ name, value }) => ({
    id: name,
    name,
    value,
    type: name === 'password' ? 'P' : 'T',
    designation: name,
  }));
  return {
    id: place.id,
    title: item.name,
    template: templateOf(item.category),
    archived: item.archived,
    overview: { title: item.name, ainfo: '', tags: item.tags, url: '', URLs: [] },
    details: {
      notesPlain: item.notes,
      sections,
      ...(item.category === 'LOGIN' ? { fields: login } : {}),
      ...(item.category === 'PASSWORD' && builtIn[0] ? { password: builtIn[0].value } : {}),
      ...(documentAttributes ? { documentAttributes } : {}),
    },
    files,
    references,
  };
}

interface SectionIds {
  readonly name: string;
  /** Empty for the section of the fields outside of any section. */
  readonly id: string;
}

/** Whether a field is one of those that a login or a password has outside of sections. */
function isBuiltIn(item: ItemData, field: FieldData): boolean {
  if (field.type !== 'concealed' && field.type !== 'string') return false;
  if (field.id !== undefined || item.fields.find(({ name }) => name === field.name) !== field) return false;
  if (item.category === 'LOGIN') return field.name === 'username' || field.name === 'password';
  return item.category === 'PASSWORD' && field.name === 'password';
}

function buildSection(
  section: SectionData,
  ids: SectionIds,
  place: Place,
  files: Map<string, Buffer>,
  refer: (field: { name: string; id: string }) => void,
): WireSection {
  const fields = numbered(section.fields).map(({ entry, ordinal }) => {
    const wire = buildField(entry, place, [ids.id, entry.name, ...ordinal]);
    refer({ name: entry.name, id: wire.n });
    return wire;
  });
  const attachments = section.files.map((file) => {
    const attributes = attributesOf(file, place, files);
    refer({ name: file.name, id: attributes.documentId });
    return { n: attributes.documentId, t: file.name, k: 'file', v: attributes, a: {} };
  });
  return { name: ids.id, title: ids.name, fields: [...fields, ...attachments] };
}

interface WireField {
  readonly n: string;
  readonly t: string;
  readonly k: string;
  readonly v: string;
  readonly a: object;
}

function buildField(field: FieldData, place: Place, names: readonly string[]): WireField {
  const id = field.id ?? idOf('field', place.id, ...names);
  const plain = { n: id, t: field.name, v: field.value ?? '', a: {} };
  switch (field.type) {
    case 'totp':
      // the service knows a one-time password by nothing but this prefix
      return { ...plain, n: id.startsWith('TOTP_') ? id : `TOTP_${id}`, k: 'concealed' };
    case 'sshKey': {
      const pem = field.value ?? madeUpKey(sha256(`ssh key ${id}`));
      const a = { guarded: 'yes', sshKeyAttributes: sshKeyAttributes(pem) };
      return { ...plain, v: pem, k: 'sshKey', a };
    }
    case 'url':
      return { ...plain, k: 'URL' };
    default:
      return { ...plain, k: field.type };
  }
}

/** Encrypts a file, adds it to `files` and describes it. */
function attributesOf(file: FileData, place: Place, files: Map<string, Buffer>) {
  const documentId = file.id ?? idOf('file', place.id, file.name, String(files.size));
  // the content is part of the derivation, as a nonce must not serve two contents under one key
  const secret = (purpose: string): Buffer =>
    hmacSha256(place.seed, JSON.stringify([purpose, documentId, sha256(file.content).toString('hex')]));
  const key = { kid: idOf('file key', documentId), bytes: secret('key') };
  const nonce = secret('nonce').subarray(0, 12);
  const encrypted = encryptBytes(key.bytes, nonce, file.content);
  files.set(documentId, encrypted);
  return {
    fileName: file.name,
    documentId,
    unencryptedSize: file.content.length,
    encryptedSize: encrypted.length,
    integrityHash: b64u(sha256(encrypted)),
    nonce: b64u(nonce),
    signingKey: toJwk({ kid: idOf('signing key', documentId), bytes: secret('signing key') }),
    encryptionKey: toJwk(key),
  };
}

/** Tells entries of the same name apart: the second one has the ordinal `['2']`, the first none. */
function numbered<T extends { readonly name: string }>(
  entries: readonly T[],
): { entry: T; ordinal: string[] }[] {
  const counts = new Map<string, number>();
  return entries.map((entry) => {
    const count = (counts.get(entry.name) ?? 0) + 1;
    counts.set(entry.name, count);
    return { entry, ordinal: count > 1 ? [String(count)] : [] };
  });
}
