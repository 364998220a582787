import type { FormatName } from '../config-format.ts';
import { parseTemplate, type TemplateProblem, undeclaredNames } from '../template.ts';
import { placeProblems } from './render.ts';

/**
 * Everything that can be found wrong in a template without a single secret: syntax, names that are not
 * declared (with the nearest that is), text that is no file of its format, and places where no value can be
 * put safely. A template without problems can still be refused when it is rendered, for a value that its
 * place cannot carry.
 *
 * @param text the template
 * @param format of the manifest's `format`, or else of `formatOfPath`
 * @param declaredNames those of the service's `environment` and of the config's `values`
 * @returns problems in the order of their places; none if all is well
 */
export function checkTemplate(
  text: string,
  format: FormatName,
  declaredNames: Iterable<string>,
): readonly TemplateProblem[] {
  const parsed = parseTemplate(text);
  if (!parsed.ok) return parsed.problems;
  return [...undeclaredNames(parsed.parts, declaredNames), ...placeProblems(format, parsed.parts)].sort(
    ({ position: a }, { position: b }) => a.line - b.line || a.column - b.column,
  );
}
