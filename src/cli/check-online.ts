import { type JsonTree, parseJsonTree } from '../domain/json-tree.ts';
import type { Manifest } from '../domain/manifest.ts';
import { type PlacedValue, placedValues, placeOf } from '../domain/placed-values.ts';
import { type Problem, quoteName } from '../domain/problem.ts';
import { parseTemplate } from '../domain/template.ts';
import { parseValue, referencesOf } from '../domain/value.ts';
import type { Finding } from './check.ts';
import { openProvider } from './open-provider.ts';

/** A reference, and where it stands. */
interface Wanted {
  readonly reference: string;
  /** Looked for only if there is something to tell of it. */
  readonly place: () => Omit<Problem, 'message'>;
}

/** The files that references stand in. */
export interface Texts {
  /** The text of a file of the manifest; empty for one that cannot be read any more. */
  readonly manifest: (file: string) => string;
  /** A template that the manifest names; an empty text for one that cannot be read, which is told elsewhere. */
  readonly template: (path: string) => { readonly file: string; readonly text: string };
}

/**
 * Asks the provider, once for all, whether each reference of a manifest exists; values are not looked at.
 *
 * @returns a finding for each place in which one stands that does not
 * @throws FailureError if the provider cannot be asked at all
 */
export async function findMissingReferences(
  manifest: Manifest,
  root: string,
  texts: Texts,
): Promise<Finding[]> {
  const wanted = [...inValues(manifest, texts), ...inTemplates(manifest, texts)];
  const references = [...new Set(wanted.map(({ reference }) => reference))];
  if (references.length === 0) return [];
  const provider = await openProvider(manifest, root);
  const resolutions = await provider.resolve(references);
  return wanted.flatMap(({ reference, place }): Finding[] => {
    const resolution = resolutions.get(reference);
    if (!resolution || resolution.ok) return [];
    const { message, hint } = resolution.failure;
    const named = message.includes(reference) ? message : `${quoteName(reference)}: ${message}`;
    return [{ severity: 'error', message: named, ...(hint === undefined ? {} : { hint }), ...place() }];
  });
}

function inValues(manifest: Manifest, texts: Texts): Wanted[] {
  const trees = new Map<string, JsonTree>();
  const treeOf = (file: string): JsonTree => {
    const tree = trees.get(file) ?? parseJsonTree(texts.manifest(file));
    trees.set(file, tree);
    return tree;
  };
  const placed = (value: PlacedValue): Omit<Problem, 'message'> => {
    const { file, service } = value;
    const place = placeOf(treeOf(file), value);
    return { file, service, ...(place ?? { hint: `for ${service}` }) };
  };
  return placedValues(manifest).flatMap((value) => {
    const parsed = parseValue(value.text);
    const references = parsed.ok ? referencesOf([parsed.parts]) : [];
    return references.map((reference) => ({ reference, place: () => placed(value) }));
  });
}

function inTemplates(manifest: Manifest, texts: Texts): Wanted[] {
  return manifest.legible.flatMap(({ name, configs }) => {
    const service = name.name;
    // one template may be that of several configs
    const templates = new Set(configs.map(({ template }) => template));
    return [...templates].flatMap((template) => {
      const { file, text } = texts.template(template);
      return parseTemplate(text).parts.flatMap((part): Wanted[] => {
        if (part.kind !== 'reference') return [];
        const { reference, position } = part;
        return [{ reference, place: () => ({ file, position, hint: `for ${service}`, service }) }];
      });
    });
  });
}
