import { formatPublicKey, type PublicKey, parsePublicKey } from './ssh-key-pair.ts';

/** A public key that files can be encrypted for, as far as its text tells. */
export type RecipientKey =
  | { readonly kind: 'ssh'; readonly text: string; readonly publicKey: PublicKey }
  | { readonly kind: 'native'; readonly text: string };

export type RecipientKeyResult =
  | { readonly ok: true; readonly key: RecipientKey }
  | {
      readonly ok: false;
      /** To follow the place and a colon; nothing of a text that may be secret is in it. */
      readonly message: string;
      readonly hint?: string;
      /** A key that ssh knows and age has no use for: files of keys may hold some. */
      readonly otherSshType: boolean;
    };

const types = ['ssh-ed25519', 'ssh-rsa'];

/** Whether a text is meant as a key, and not as the name of a file with keys. */
export function looksLikeRecipient(text: string): boolean {
  return /^(?:age1|AGE-|(?:ssh|ecdsa|sk)-\S+\s)/.test(text.trim());
}

/**
 * Parses a recipient: a native one (`age1…`) or an SSH public key, which may have options in front as in
 * authorized_keys (sshd(8)).
 */
export function parseRecipientKey(line: string): RecipientKeyResult {
  const text = line.trim();
  if (/^AGE-|PRIVATE KEY-----/.test(text)) {
    return refuse('this is a private key', 'a recipient is the public half: "age1…" or "ssh-…"');
  }
  if (/^age1[0-9a-z]+$/.test(text)) {
    // age1NAME1… belong to plugins, age1pq1… and age1tag1… to newer types
    if (text.indexOf('1', 4) < 0) return { ok: true, key: { kind: 'native', text } };
    return refuse('recipients of this kind are not supported', 'take "age1…" of age-keygen, or an SSH key');
  }
  const parsed = parsePublicKey(withoutOptions(text));
  if (!parsed.ok) {
    return {
      ...refuse(`the key ${parsed.message}`, parsed.hint),
      otherSshType: parsed.kind === 'unsupported',
    };
  }
  if (!types.includes(parsed.key.type)) {
    const message = `${parsed.key.type} keys cannot be recipients`;
    return { ...refuse(message, `types that can are ${types.join(' and ')}`), otherSshType: true };
  }
  return { ok: true, key: { kind: 'ssh', text: formatPublicKey(parsed.key), publicKey: parsed.key } };
}

/** Options end at the first blank outside of quotes (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"). */
function withoutOptions(line: string): string {
  if (/^(?:ssh|ecdsa|sk)-\S+\s/.test(line)) return line;
  const options = /^(?:[^\s"]|"(?:[^"\\]|\\.)*")+\s+/.exec(line);
  return options ? line.slice(options[0].length) : line;
}

function refuse(message: string, hint?: string): RecipientKeyResult & { readonly ok: false } {
  return { ok: false, message, otherSshType: false, ...(hint === undefined ? {} : { hint }) };
}
