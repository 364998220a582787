/**
 * Takes words apart as systemd does (systemd.syntax(7), "QUOTING"; systemd.service(5), "COMMAND LINES"), with
 * specifiers, and where they count, `$` undone.
 *
 * @returns what is wrong, where systemd would not take them
 */
export function parseCommandLine(
  text: string,
  { dollars }: { readonly dollars: boolean },
): readonly string[] | string {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (character === '\\') {
      const [sequence = '', code] = /^\\(?:x([0-9a-f]{2})|["'\\abfnrstv])/.exec(text.slice(at, at + 4)) ?? [];
      if (sequence === '') return 'has an escape that is not known';
      word =
        (word ?? '') +
        (code === undefined ? sequence.slice(1) : String.fromCharCode(Number.parseInt(code, 16)));
      at += sequence.length - 1;
    } else if (quote !== '' && character === quote) quote = '';
    else if (quote === '' && (character === '"' || character === "'")) {
      quote = character;
      word ??= '';
    } else if (quote === '' && character === ' ') {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === '%' || (dollars && character === '$')) {
      if (text[at + 1] !== character) return `has a single ${character}`;
      word = (word ?? '') + character;
      at++;
    } else word = (word ?? '') + character;
  }
  if (quote !== '') return 'has a quote that is not closed';
  if (word !== undefined) words.push(word);
  return words.length > 0 ? words : 'has no word';
}
