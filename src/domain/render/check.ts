import type { FormatName } from '../config-format.ts';
import { parseTemplate, type TemplateProblem, undeclaredNames } from '../template.ts';
import { positionsIn } from '../text-position.ts';
import { placeProblems } from './render.ts';

/**
 * Everything that can be found wrong in a template without a single secret: syntax, names that are not
 * declared (with the nearest that is), text that is no file of its format, and places where no value can be
 * put safely. A template without problems can still be refused when it is rendered, for a value that its
 * place cannot carry.
 *
 * @param text the template
 * @param format of the manifest's `format`, or else of `formatOfPath`
 * @param declaredNames those of the service's `environment` and of the config's `values`; undefined if they are not
 *   known, none is then looked at
 * @returns problems in the order of their places; none if all is well
 */
export function checkTemplate(
  text: string,
  format: FormatName,
  declaredNames: Iterable<string> | undefined,
): readonly TemplateProblem[] {
  const parsed = parseTemplate(text);
  const undeclared = declaredNames === undefined ? [] : undeclaredNames(parsed.parts, declaredNames);
  // with a placeholder that cannot be read, what its format makes of it means nothing
  const others = parsed.ok ? placeProblems(format, parsed.parts) : parsed.problems;
  return [...undeclared, ...others].sort(
    ({ position: a }, { position: b }) => a.line - b.line || a.column - b.column,
  );
}

/** References that stand in a template without braces around them, and are text; but for those in comments. */
export function bareReferences(text: string): readonly TemplateProblem[] {
  const parsed = parseTemplate(text);
  if (!parsed.ok) return [];
  const positionOf = positionsIn(text);
  return parsed.parts.flatMap((part) => {
    if (part.kind !== 'text') return [];
    return [...part.text.matchAll(/(?<![A-Za-z0-9])op:\/\/[^/\s]/g)].flatMap(({ index }) => {
      const offset = part.offset + index;
      const before = text.slice(text.lastIndexOf('\n', offset) + 1, offset);
      if (/(?:^|\s)(?:#|;|\/\/)/.test(before)) return [];
      return [
        {
          position: positionOf(offset),
          message: 'is taken as plain text, and looks like a secret reference',
          hint: 'in a template it stands in {{ … }}',
        },
      ];
    });
  });
}
