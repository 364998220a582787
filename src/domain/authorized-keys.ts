/** The key that the managed block of an authorized_keys file holds. */
export interface ManagedKey {
  /** `TYPE BASE64 COMMENT`, without a newline. */
  readonly line: string;
  /** Noted in the block, so that the line is known again whatever happens to the markers. */
  readonly fingerprint: string;
}

export interface EditedKeys {
  readonly text: string;
  /** A marker was missing or doubled, or the block held lines that we did not write; those were kept. */
  readonly damaged: boolean;
}

const beginMarker = /^# BEGIN unit-secrets(?:[ \t]+(\S+).*|[ \t]*)\r?\n?$/;
const endMarker = /^# END unit-secrets[ \t]*\r?\n?$/;
const note = '(replaced at every boot: keep keys of your own outside of this block)';

/**
 * Puts a key into the block of an authorized_keys file that this program manages, or takes the block away.
 *
 * The block stays where it was, or is appended. Removed are markers and, behind a begin marker, the one line
 * with the key that the marker names: nothing else can be known to be ours, so everything else is kept as
 * it is (a newline is added to a last line that had none, if the block comes after it).
 *
 * @param text the file; what is not ASCII is carried through, so it may be decoded as latin1 to keep every byte
 * @param key what the block is to hold; undefined for no block
 * @param fingerprint gives the fingerprint of a public key in base64
 */
export function editAuthorizedKeys(
  text: string,
  key: ManagedKey | undefined,
  fingerprint: (base64: string) => string,
): EditedKeys {
  const kept: string[] = [];
  let place: number | undefined;
  let blocks = 0;
  let damaged = false;
  /** The block we are in: whose line is to come, and whether it came. */
  let open: { readonly fingerprint: string | undefined; found: boolean } | undefined;
  for (const line of text.match(/[^\n]*\n|[^\n]+/g) ?? []) {
    const begins = beginMarker.exec(line);
    if (begins) {
      place ??= kept.length;
      blocks += 1;
      damaged ||= open !== undefined;
      open = { fingerprint: begins[1], found: false };
    } else if (endMarker.test(line)) {
      place ??= kept.length;
      damaged ||= open?.found !== true;
      open = undefined;
    } else if (open && !open.found && holdsKey(line, open.fingerprint, fingerprint)) {
      open.found = true;
    } else {
      damaged ||= open !== undefined;
      kept.push(line);
    }
  }
  damaged ||= open !== undefined || blocks > 1;
  return { text: key ? withBlock(kept, place ?? kept.length, key) : kept.join(''), damaged };
}

/** Whether a line is about the key with this fingerprint: options may have been put in front of it. */
function holdsKey(
  line: string,
  wanted: string | undefined,
  fingerprint: (base64: string) => string,
): boolean {
  return line.split(/\s+/).some((word) => word.startsWith('AAAA') && fingerprint(word) === wanted);
}

function withBlock(kept: readonly string[], place: number, key: ManagedKey): string {
  const before = kept.slice(0, place).join('');
  const newline = before === '' || before.endsWith('\n') ? '' : '\n';
  const block = `# BEGIN unit-secrets ${key.fingerprint} ${note}\n${key.line}\n# END unit-secrets\n`;
  return before + newline + block + kept.slice(place).join('');
}
