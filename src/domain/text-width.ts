/** Combining marks, format characters such as the joiner of emoji, variation selectors: no column. */
const none = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
/** Unicode's East Asian Width "W" and "F" (UAX #11), by blocks, and what is shown as an emoji: two columns. */
const two =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18d8f}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u;

/** How many columns of a terminal a text takes that has no control characters. */
export function textWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOf(character);
  return width;
}

function widthOf(character: string): number {
  if (none.test(character)) return 0;
  return two.test(character) ? 2 : 1;
}

/** A text and blanks, together as wide as told. */
export function padTo(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

/** A text, cut off with "…" where it is wider than told. */
export function cutTo(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  return `${head(text, Math.max(0, width - 1))}…`;
}

/** As much of the beginning of a text as fits. */
function head(text: string, width: number): string {
  let end = 0;
  let used = 0;
  for (const character of text) {
    used += widthOf(character);
    if (used > width) break;
    end += character.length;
  }
  return text.slice(0, end);
}

/**
 * A text in lines that are not wider than told: broken at blanks, and within a word only where that alone is
 * wider.
 */
export function wrapText(text: string, width: number): string[] {
  // a wide character needs two
  const room = Math.max(2, width);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (textWidth(joined) <= room) {
      line = joined;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
    while (textWidth(line) > room) {
      const part = head(line, room);
      lines.push(part);
      line = line.slice(part.length);
    }
  }
  if (line !== '' || lines.length === 0) lines.push(line);
  return lines;
}
