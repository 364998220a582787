import type { Json } from './json-text.ts';
import type { SshKeys } from './manifest.ts';
import type { Collector } from './manifest-collector.ts';
import { type JsonPath, quoteName } from './problem.ts';
import { escapeInstance, parseServiceName, type ServiceName } from './service-name.ts';
import { keyFileNameError } from './ssh-key-file.ts';

/** As systemd takes user names, without what it warns of (systemd's docs, "User/Group Name Syntax"). */
const userName = /^(?!\d+$)[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** The template of the units that put keys in place. */
export const sshKeySetup = 'ssh-key-setup';

/** The unit that puts a user's keys in place, or what is wrong with the user's name. */
export function sshKeyUnit(
  user: string,
): { readonly ok: true; readonly name: ServiceName } | { readonly ok: false; readonly message: string } {
  if (!userName.test(user)) {
    const allowed = 'letters, digits, ".", "_" and "-", not only digits';
    return { ok: false, message: `${quoteName(user)} is not the name of a user: ${allowed}` };
  }
  const parsed = parseServiceName(`${sshKeySetup}@${escapeInstance(user)}.service`);
  if (parsed.ok) return { ok: true, name: parsed.service };
  return { ok: false, message: `${quoteName(user)} is too long for the name of a unit` };
}

/** An entry of `sshKeys`. */
export function readSshKeys(
  value: Json | undefined,
  path: JsonPath,
  user: string,
  name: ServiceName,
  to: Collector,
): SshKeys {
  const nothing: SshKeys = { user, name, file: to.file, authorize: false };
  const known = ['privateKey', 'publicKey', 'authorize', 'file'];
  const members = to.object(value, path, known, 'such as {"privateKey": REFERENCE}');
  if (!members) return nothing;
  const key = (member: 'privateKey' | 'publicKey'): { [K in typeof member]?: string } => {
    if (members[member] === undefined) return {};
    const text = to.value(members[member], [...path, member], quoteName(member));
    return text === undefined ? {} : { [member]: text };
  };
  const authorize = to.boolean(members['authorize'], [...path, 'authorize']);
  // a member that is not known is told above, and was meant to be one of these
  const misnamed = Object.keys(members).some((member) => !known.includes(member));
  if (!misnamed && members['privateKey'] === undefined) {
    if (members['publicKey'] === undefined)
      to.add(path, 'no key is given', 'add "privateKey", or "publicKey" with "authorize": true');
    else if (!authorize) {
      to.add(
        path,
        'a public key alone does nothing unless it is authorized',
        'add "privateKey" or "authorize": true',
      );
    }
    if (members['file'] !== undefined)
      to.add([...path, 'file'], '"file" names the private key, and none is given', undefined, 'name');
  }
  const keyFile = members['file'] === undefined ? undefined : to.string(members['file'], [...path, 'file']);
  const trouble = keyFile === undefined ? undefined : keyFileNameError(keyFile);
  if (trouble !== undefined) to.add([...path, 'file'], trouble);
  return {
    ...nothing,
    ...key('privateKey'),
    ...key('publicKey'),
    authorize,
    ...(keyFile === undefined ? {} : { keyFile }),
  };
}
