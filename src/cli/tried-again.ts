/** What the last word of a fetch promises, which holds as long as its timer waits. */
export const triedAgain = 'it is tried again by itself';

/** The same, with the command for whoever does not want to wait. */
export const triedAgainOrAtOnce = (command: string): string => `${triedAgain}, at once with "${command}"`;

/** A text with such a last word, as it is to be told where no timer waits: the service was stopped meanwhile. */
export function withoutPromise(text: string): string {
  return text
    .replaceAll(`${triedAgain}, at once with `, 'to try it again: ')
    .replaceAll(`; ${triedAgain}`, '')
    .replaceAll(` (${triedAgain})`, '')
    .replaceAll(triedAgain, '');
}
