/** A recipient stanza's first line; its body, the wrapped file key, is of no interest here. */
export interface AgeStanza {
  readonly type: string;
  readonly args: readonly string[];
}

export type AgeHeaderResult =
  | { readonly ok: true; readonly stanzas: readonly AgeStanza[] }
  | {
      readonly ok: false;
      /** What is wrong, to follow the file's name and a colon. */
      readonly message: string;
      readonly hint?: string;
    };

const version = 'age-encryption.org/v1';
const lineFeed = 10;
const firstPrintable = 32;
const lastPrintable = 126;
const fullBodyLine = 64;
const base64 = /^[A-Za-z0-9+/]*$/;

/**
 * Parses the header of a binary age file (age-encryption.org/v1, C2SP age.md, "Header") as far as its
 * recipients go. The MAC is not checked: that takes the file key.
 */
export function parseAgeHeader(file: Uint8Array): AgeHeaderResult {
  if (file.length === 0) return { ok: false, message: 'the file is empty' };
  const lines = headerLines(file);
  const first = lines.next();
  if (first.done || first.value !== version) return notAnAgeFile(file);
  const stanzas: AgeStanza[] = [];
  let inBody = false;
  for (const line of lines) {
    if (inBody) {
      if (line.length > fullBodyLine || !base64.test(line)) return damaged();
      inBody = line.length === fullBodyLine;
    } else if (line.startsWith('-> ')) {
      const [type = '', ...args] = line.slice(3).split(' ');
      if (type === '' || args.includes('')) return damaged();
      stanzas.push({ type, args });
      inBody = true;
    } else {
      const sound = stanzas.length > 0 && isPassphraseAlone(stanzas) && /^--- [A-Za-z0-9+/]{43}$/.test(line);
      return sound ? { ok: true, stanzas } : damaged();
    }
  }
  return damaged();
}

/** A passphrase must be the only recipient (age.md, "The scrypt recipient type"): it authenticates the file. */
function isPassphraseAlone(stanzas: readonly AgeStanza[]): boolean {
  return stanzas.length === 1 || stanzas.every(({ type }) => type !== 'scrypt');
}

/** The lines that end in a line feed and are printable ASCII, up to the first that is not. */
function* headerLines(file: Uint8Array): Generator<string, undefined> {
  for (let start = 0; ; ) {
    const end = file.indexOf(lineFeed, start);
    if (end < 0) return;
    const line = file.subarray(start, end);
    if (!line.every((byte) => byte >= firstPrintable && byte <= lastPrintable)) return;
    yield new TextDecoder().decode(line);
    start = end + 1;
  }
}

function damaged(): AgeHeaderResult {
  return {
    ok: false,
    message: 'the file is damaged: its header was altered or cut off',
    hint: 'restore it, from git for instance',
  };
}

function notAnAgeFile(file: Uint8Array): AgeHeaderResult {
  const start = new TextDecoder().decode(file.subarray(0, version.length + 2));
  if (start === `${version}\r\n`) {
    return {
      ok: false,
      message: 'the file is damaged: its line ends were converted to CRLF',
      hint: 'restore it, and write "*.age binary" into .gitattributes',
    };
  }
  if (start.length <= version.length && version.startsWith(start)) return damaged();
  if (/^age-encryption\.org\/v\d/.test(start)) {
    return {
      ok: false,
      message: 'this is an age file of a version that is not known here',
      hint: `known is "${version}"`,
    };
  }
  return {
    ok: false,
    message: 'this is not an age file',
    hint: `it begins with "${version}" or "-----BEGIN AGE ENCRYPTED FILE-----"`,
  };
}

const longestType = 40;
const mostRecipients = 16;
/** Types whose first argument tells recipients apart; of the others it is fresh for each file. */
const tagged = ['ssh-ed25519', 'ssh-rsa', 'piv-p256'];

/** Lists for whom a file is: `ssh-ed25519 (tag Xyz12A), X25519`. */
export function describeRecipients(stanzas: readonly AgeStanza[]): string {
  const texts = stanzas.filter(({ type }) => !type.endsWith('-grease')).map(describeRecipient);
  if (texts.length === 0) return 'nobody that is known here';
  const more = texts.length - mostRecipients;
  return texts.slice(0, mostRecipients).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function describeRecipient({ type, args: [tag] }: AgeStanza): string {
  if (type === 'scrypt') return 'a passphrase';
  const name = type.slice(0, longestType);
  return tag !== undefined && tagged.includes(type) ? `${name} (tag ${tag.slice(0, longestType)})` : name;
}
