/** What a person of the machine would look with: files, modes, who may read what. */
import type { Container } from '../container/container.ts';

/** The users of the machines that tests look at; `member` is in `shared`, `stranger` in nothing. */
export const users = `
groupadd shared
useradd --system --no-create-home --groups shared app
useradd --create-home --groups shared member
useradd --create-home stranger
`;

/**
 * A service that keeps what it could read of a directory, in /run/seen-NAME, for the test to compare. Not in
 * `ExecStartPre=`: systemd 247 gives that no credentials.
 */
export function readingService(
  name: string,
  service: string,
  directory = '"$CREDENTIALS_DIRECTORY"',
  unit = '',
): string {
  return `[Unit]
StartLimitIntervalSec=0
${unit}
[Service]
${service}
RuntimeDirectory=seen-${name}
Type=forking
ExecStart=/bin/sh -c 'umask 077; cp -L ${directory}/* /run/seen-${name}/; sleep infinity &'
[Install]
WantedBy=multi-user.target
`;
}

/** All that is below some paths: `MODE USER:GROUP PATH`, in order. */
export async function listing(machine: Container, ...paths: readonly string[]): Promise<string[]> {
  const { stdout } = await machine.exec(['find', ...paths, '-printf', '%04m %u:%g %p\\n'], { check: false });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .sort((a, b) => compare(a.slice(a.indexOf('/')), b.slice(b.indexOf('/'))));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Which of some paths a user can read (a file) or list (a directory). */
export async function readableBy(
  machine: Container,
  user: string,
  paths: readonly string[],
): Promise<string[]> {
  const script =
    'for path; do if [ -d "$path" ]; then ls "$path"; else cat "$path"; fi >/dev/null 2>&1 && echo "$path"; done; :';
  const { stdout } = await machine.exec(['runuser', '-u', user, '--', 'sh', '-c', script, 'sh', ...paths]);
  return stdout.split('\n').filter((line) => line !== '');
}

/** Files that have one of some texts in them, sorted; not on a command line, which others may look at. */
export async function filesWith(
  machine: Container,
  texts: readonly string[],
  { below = ['/'], except = [] }: { readonly below?: readonly string[]; readonly except?: readonly string[] },
): Promise<string[]> {
  await machine.writeFile(needlePath, `${texts.join('\n')}\n`, 0o600);
  const skip = [needlePath, ...except].flatMap((path) => ['-path', path, '-prune', '-o']);
  const { stdout } = await machine.exec([
    ...['sh', '-c', 'find "$@" -print0 | xargs -0 --no-run-if-empty grep -laF -f "$0"; :', needlePath],
    ...[...below, ...skip, '-type', 'f'],
  ]);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}

/** Where it is written down what is looked for. */
export const needlePath = '/run/looked-for';

/** All of `systemctl status`, and how the last command ended. */
export async function statusOf(machine: Container, unit: string): Promise<string> {
  const { stdout } = await machine.exec(['systemctl', 'status', '--no-pager', '--full', '--lines=50', unit], {
    check: false,
  });
  return stdout;
}
