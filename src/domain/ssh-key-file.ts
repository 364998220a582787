/** Names in ~/.ssh that ssh and sshd give a meaning of their own (ssh(1) and sshd(8), "FILES"). */
const takenNames = new Set([
  'authorized_keys',
  'authorized_keys2',
  'config',
  'environment',
  'known_hosts',
  'known_hosts.old',
  'known_hosts2',
  'rc',
]);

/** What is wrong with a name for a private key below ~/.ssh, lower case; undefined if nothing is. */
export function keyFileNameError(name: string): string | undefined {
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/.test(name)) {
    return 'a key file is named with letters, digits, ".", "_" and "-", not beginning with "."';
  }
  if (takenNames.has(name)) return `ssh uses ~/.ssh/${name} for something else`;
  if (name.endsWith('.pub')) return 'it names the private key: ".pub" is appended for the public one';
  return undefined;
}
