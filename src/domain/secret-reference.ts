import { quoteName } from './problem.ts';

/** The parts of `op://vault/item/[section/]field[?query]`; each a name or an id. */
export interface SecretReference {
  readonly vault: string;
  readonly item: string;
  readonly section?: string;
  readonly field: string;
  readonly query?: 'attribute=otp' | 'attribute=totp' | 'ssh-format=openssh';
}

export type SecretReferenceResult =
  | { readonly ok: true; readonly reference: SecretReference }
  | { readonly ok: false; readonly message: string };

const queries = ['attribute=otp', 'attribute=totp', 'ssh-format=openssh'] as const;
const foreign = /[^A-Za-z0-9 ._-]/;
const wellFormed =
  /^op:\/(?:\/ *[A-Za-z0-9._-][A-Za-z0-9 ._-]*){3,4}(?:\?(?:attribute=t?otp|ssh-format=openssh))?$/;

/** Whether `parseSecretReference` takes it, without telling why not: the generator checks thousands. */
export function isSecretReference(text: string): boolean {
  return wellFormed.test(text);
}

/**
 * Parses a 1Password secret reference (developer.1password.com, "Secret reference syntax").
 * There are no escapes: what has another character in its name can be had by its id only.
 */
export function parseSecretReference(text: string): SecretReferenceResult {
  if (!text.startsWith('op://')) return { ok: false, message: 'a secret reference begins with "op://"' };
  const mark = text.indexOf('?');
  const parts = text.slice(5, mark < 0 ? undefined : mark).split('/');
  if (parts.length < 3 || parts.length > 4) {
    const why =
      parts.length === 2
        ? ': the field is missing'
        : parts.length > 4
          ? ': what has "/" in its name has an id'
          : '';
    return {
      ok: false,
      message: `a secret reference has three or four parts, op://vault/item/[section/]field, this one has ${parts.length}${why}`,
    };
  }
  const names = parts.length === 3 ? ['vault', 'item', 'field'] : ['vault', 'item', 'section', 'field'];
  const problems = parts.flatMap((part, index): string[] => {
    if (part.trim() === '') return [`the ${names[index]} part of the reference is empty`];
    const bad = foreign.exec(part);
    if (!bad) return [];
    const character = quoteName(String.fromCodePoint(part.codePointAt(bad.index) ?? 0));
    return [
      `the ${names[index]} part of the reference has the character ${character}, which references cannot carry; use the id instead of the name`,
    ];
  });
  const query = mark < 0 ? undefined : queries.find((known) => known === text.slice(mark + 1));
  if (mark >= 0 && query === undefined)
    problems.push(`the query of the reference is none of ${queries.join(', ')}`);
  if (problems.length > 0) return { ok: false, message: problems.join('; and ') };
  const [vault, item, third, fourth] = parts as [string, string, string, string?];
  return {
    ok: true,
    reference: {
      vault,
      item,
      ...(fourth === undefined ? { field: third } : { section: third, field: fourth }),
      ...(query === undefined ? {} : { query }),
    },
  };
}
