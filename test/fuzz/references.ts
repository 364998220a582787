/**
 * Secret references, and values and templates with references in them: what is taken is what the rules of
 * 1Password say, what is put in is put in once, and nothing throws. In this process, as pure functions.
 */
import { isSecretReference, parseSecretReference } from '../../src/domain/secret-reference.ts';
import { parseTemplate } from '../../src/domain/template.ts';
import { composeValue, parseValue, referencesOf } from '../../src/domain/value.ts';
import { oddText, Random, trouble } from './random.ts';
import { Findings, type FuzzOptions, hasTime, type Report } from './report.ts';

export function fuzzReferences(options: FuzzOptions): Report {
  const { seed, count } = options;
  const findings = new Findings('references');
  for (let index = 0; index < count && hasTime(options); index++) {
    const random = new Random('reference', seed, index);
    const where = `references --seed ${seed}, case ${index}`;
    try {
      const reference = referenceLike(random);
      const problem = referenceProblem(reference, findings) ?? valueProblem(random, reference, findings);
      if (problem !== undefined) findings.add(where, `${JSON.stringify(reference)}: ${problem}`);
    } catch (error) {
      findings.add(where, `throws ${String(error)}`);
    }
  }
  return findings.report();
}

/** A reference, or nearly one. */
function referenceLike(random: Random): string {
  const part = (): string =>
    random.chance(0.9)
      ? random.list(1, 6, () => random.pick([...'abZ09._- '])).join('')
      : random.pick(['', ' ', oddText(random), 'x'.repeat(5000), random.pick(trouble)]);
  const scheme = random.chance(0.95)
    ? 'op://'
    : random.pick(['op:/', 'OP://', ' op://', 'op:///', '', 'op%3a//']);
  const query = random.pick([
    '',
    '',
    '?attribute=otp',
    '?attribute=totp',
    '?ssh-format=openssh',
    `?${oddText(random)}`,
  ]);
  let text =
    scheme + random.list(random.chance(0.9) ? 3 : 1, random.chance(0.9) ? 4 : 6, part).join('/') + query;
  if (random.chance(0.2)) {
    const at = random.below(text.length + 1);
    text = text.slice(0, at) + random.pick(trouble) + text.slice(at + random.below(2));
  }
  return text;
}

/** The rules once more, part by part and not by a pattern for all. */
function isReference(text: string): boolean {
  const [path = '', ...queries] = text.split('?');
  if (!path.startsWith('op://') || queries.length > 1) return false;
  const known = ['attribute=otp', 'attribute=totp', 'ssh-format=openssh'];
  if (queries[0] !== undefined && !known.includes(queries[0])) return false;
  const parts = path.slice('op://'.length).split('/');
  const allowed = new Set('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ._-');
  return (
    [3, 4].includes(parts.length) &&
    parts.every((part) => part.trim() !== '' && [...part].every((character) => allowed.has(character)))
  );
}

function referenceProblem(text: string, findings: Findings): string | undefined {
  const expected = isReference(text);
  findings.count(expected ? 'references' : 'near references');
  const parsed = parseSecretReference(text);
  if (parsed.ok !== expected || isSecretReference(text) !== expected)
    return expected ? 'is refused' : 'is taken for a reference';
  if (!parsed.ok)
    return isOneLine(parsed.message) ? undefined : `its message has more than a line: ${parsed.message}`;
  const { vault, item, section, field, query } = parsed.reference;
  const again = `op://${[vault, item, ...(section === undefined ? [] : [section]), field].join('/')}${query === undefined ? '' : `?${query}`}`;
  return again === text ? undefined : `is read as ${again}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const isOneLine = (text: string): boolean => !/[\0-\x1f\x7f-\x9f\u2028\u2029]/.test(text);

/** A reference within text, as a value and as a template. */
function valueProblem(random: Random, reference: string, findings: Findings): string | undefined {
  const text = random.pick([
    `{{ ${reference} }}`,
    `${oddText(random)}{{${reference}}}${oddText(random)}`,
    `{{ "{{" }}${reference}{{ ${reference} }}`,
    oddText(random),
    reference,
  ]);
  const parsed = parseValue(text);
  if (!parsed.ok) {
    findings.count('values refused');
    const bad = parsed.messages.find((message) => !isOneLine(message));
    return bad === undefined ? undefined : `message of a value: ${bad}`;
  }
  findings.count('values');
  const references = referencesOf([parsed.parts]);
  if (!references.every(isReference)) return `value with ${JSON.stringify(references)}`;
  // a secret that looks like a reference, a placeholder or an escape stays what it is
  const secret = random.pick(['{{ op://v/i/f }}', '{{ "{{" }}', '${A}', '$&', "$'", oddText(random)]);
  const composed = composeValue(parsed.parts, new Map(references.map((one) => [one, secret])));
  const expected = parsed.parts.map((part) => (part.kind === 'text' ? part.text : secret)).join('');
  if (composed !== expected) return 'is not composed in one pass';
  const template = parseTemplate(text);
  if (!template.ok)
    return template.problems.every(({ message }) => isOneLine(message)) ? undefined : 'message of a template';
  const covered = template.parts.reduce((sum, { length }) => sum + length, 0);
  return covered === text.length ? undefined : 'the parts of the template leave gaps';
}
