import { createTwoFilesPatch } from 'diff';

/**
 * The changes between two texts as a unified diff (diff(1), `-u`), with the file's names in its header;
 * `/dev/null` for a file that is not there. Empty for equal texts.
 */
export function unifiedDiff(path: string, before: string | undefined, after: string | undefined): string {
  if (before === after) return '';
  const patch = createTwoFilesPatch(
    before === undefined ? '/dev/null' : `a/${path}`,
    after === undefined ? '/dev/null' : `b/${path}`,
    before ?? '',
    after ?? '',
    undefined,
    undefined,
    { context: 3 },
  );
  // the rule above the header is for files of many patches
  return patch.replace(/^=+\n/, '');
}
