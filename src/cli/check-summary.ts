import type { Manifest } from '../domain/manifest.ts';
import { parseServiceName } from '../domain/service-name.ts';
import type { Finding } from './check.ts';
import { plural } from './plural.ts';
import { paint } from './terminal.ts';

/** A manifest, and what can be made out in files of it that are not right as a whole. */
export interface Summarized {
  readonly manifest: Manifest;
  readonly visibleNames: readonly string[];
}

interface Count {
  readonly services: number;
  readonly users: number;
}

/** The last line: how much is wrong, and for how much that is right. */
export function summary(checked: readonly Summarized[], findings: readonly Finding[]): string {
  const count = (severity: Finding['severity']): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const [errors, warnings] = [count('error'), count('warning')];
  const up = checked.filter(({ manifest }) => manifest.general.length === 0);
  const down = checked.filter((one) => !up.includes(one)).map(namedIn);
  const right = sum(up.map(({ manifest }) => withoutErrors(manifest, findings)));
  if (errors === 0) return paint('green', `no errors, ${plural(warnings, 'warning')}: ${both(right)}`);
  const keptDown = tellKeptDown(sum(down), up.length > 0);
  const told = [
    ...(up.length > 0 || keptDown === undefined ? [`${both(right)} without errors`] : []),
    ...(keptDown === undefined ? [] : [keptDown]),
  ];
  return paint('red', [`${plural(errors, 'error')}, ${plural(warnings, 'warning')}`, ...told].join('; '));
}

function withoutErrors({ services, sshKeys }: Manifest, findings: readonly Finding[]): Count {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const wrong = new Set(errors.map(({ service }) => service));
  return { services: services.filter(({ name }) => !wrong.has(name.name)).length, users: sshKeys.length };
}

/** All that a manifest is for, right or not. */
function namedIn({ manifest, visibleNames }: Summarized): Count {
  const { services, sshKeys, broken, general } = manifest;
  // a file that could not be read at all has problems without a path; in others a misspelt member may be seen as a name
  const unread = general.some(({ path }) => path === undefined);
  const seen = (unread ? visibleNames : []).flatMap((name) => {
    const parsed = parseServiceName(name);
    return parsed.ok ? [parsed.service] : [];
  });
  const named = [...services, ...broken.filter(({ user }) => user === undefined)].map(({ name }) => name);
  const users = broken.filter(({ user }) => user !== undefined).length + sshKeys.length;
  return { services: new Set([...named, ...seen].map(({ name }) => name)).size, users };
}

function sum(counts: readonly Count[]): Count {
  const total = (what: keyof Count): number => counts.reduce((all, one) => all + one[what], 0);
  return { services: total('services'), users: total('users') };
}

/** @returns undefined if nothing is known that is */
function tellKeptDown({ services, users }: Count, besideOthers: boolean): string | undefined {
  const keys = `SSH keys of ${plural(users, 'user')}`;
  if (services === 0) return users === 0 ? undefined : `${keys} are kept down`;
  const all = services === 1 ? 'the' : 'all';
  const which = besideOthers ? '' : `${all} `;
  const told = `${which}${plural(services, 'service')} ${services === 1 ? 'is' : 'are'} kept down`;
  return users === 0 ? told : `${told}, and so are ${keys}`;
}

function both({ services, users }: Count): string {
  const ofServices = plural(services, 'service');
  return users === 0 ? ofServices : `${ofServices} and SSH keys of ${plural(users, 'user')}`;
}
