/** The same for services that fetch their secrets themselves: no unit of root's, and their own `Restart=`. */
import type { Entry, Kind, Outcome, Stage, Transition } from './table.ts';

const untouched: Outcome = {
  app: 'active',
  secrets: undefined,
  mainProcess: 'same',
  holds: 'old',
  files: 'old',
  tries: 0,
};
const renewed: Outcome = { ...untouched, mainProcess: 'another', holds: 'new', files: 'new', tries: 1 };
const stopped: Outcome = {
  app: 'inactive',
  secrets: undefined,
  mainProcess: 'none',
  holds: '',
  files: 'gone',
  tries: 0,
};
const failed: Outcome = { ...stopped, app: 'failed' };
const restartOnFailure = { app: '[Service]\nRestart=on-failure\nRestartSec=200ms' };
const slowRestart = { app: '[Service]\nRestart=on-failure\nRestartSec=5s' };
/** From the first failure on: whether `start` waits for more is systemd's affair. */
const startInVain = 'systemctl start --no-block $app && await is_waiting';

export const transitions: readonly Transition[] = [
  {
    name: 'is started with fresh secrets',
    from: 'stopped',
    alsoReloaded: true,
    does: 'systemctl start $app',
    expected: renewed,
  },
  {
    name: 'fails when its secrets cannot be fetched',
    from: 'stopped',
    provider: 'missing',
    does: 'systemctl start $app',
    refused: true,
    expected: { ...failed, tries: 1 },
  },
  {
    name: 'comes up by its own Restart= when its secrets can be fetched again',
    from: 'stopped',
    provider: 'missing',
    units: slowRestart,
    does: startInVain,
    last: 'provider new',
    expected: { ...renewed, tries: 2 },
  },
  {
    name: 'is not tried again once it was stopped',
    from: 'stopped',
    provider: 'missing',
    units: slowRestart,
    does: `${startInVain} && systemctl stop $app && ! is $app activating`,
    expected: [
      { ...failed, tries: 1 },
      { ...stopped, tries: 1 },
    ],
  },
  {
    name: 'is restarted with fresh secrets',
    does: 'systemctl restart $app',
    expected: renewed,
  },
  {
    name: 'goes down with a restart while the provider is down',
    provider: 'missing',
    does: 'systemctl restart $app',
    refused: true,
    expected: { ...failed, tries: 1 },
  },
  { name: 'has its secrets wiped when it is stopped', does: 'systemctl stop $app', expected: stopped },
  { name: 'that crashes has its secrets wiped', does: 'crash', expected: failed },
  {
    name: 'that crashes is restarted by its Restart= with fresh secrets',
    units: restartOnFailure,
    does: 'crash',
    expected: renewed,
  },
  {
    name: 'is restarted with the secrets that its edited entry asks for',
    first: 'edit more',
    does: 'systemctl restart $app',
    expected: renewed,
  },
  {
    name: 'goes on running while its entry has an error',
    first: 'edit broken',
    expected: untouched,
  },
  {
    name: 'that is just starting has its secrets although its entry gets an error meanwhile',
    from: 'stopped',
    units: { app: '[Service]\nExecStartPre=/bin/sleep 3' },
    does: 'systemctl start --no-block $app && await is $app activating && await test -e /run/unit-secrets/inline/dynamic/files',
    last: 'edit broken; for name in $names; do use $name; await is $app active; done',
    expected: renewed,
  },
  {
    name: 'is not restarted while its entry has an error',
    first: 'edit broken',
    does: 'systemctl restart $app',
    refused: true,
    expected: stopped,
  },
  {
    name: 'has its secrets wiped when it is stopped after its entry was removed',
    first: 'edit none',
    does: 'systemctl stop $app',
    expected: stopped,
  },
  {
    name: 'is restarted with fresh secrets when its entry was removed and is back',
    first: 'edit none; edit original',
    does: 'systemctl restart $app',
    expected: renewed,
  },
  {
    name: 'is not touched by daemon-reload and daemon-reexec',
    first: 'systemctl daemon-reload; systemctl daemon-reexec',
    expected: untouched,
  },
  {
    name: 'has its secrets wiped by isolate rescue.target',
    first: 'systemctl isolate rescue.target',
    expected: stopped,
    after: 'systemctl isolate multi-user.target; await listening',
  },
];

const reference = 'op://Vault/Item/field';
const inline = (more: Entry): Entry => ({ dynamicUser: 'inline', environment: { KEY: reference }, ...more });

export const kinds: readonly Kind[] = [
  {
    name: 'dynamic',
    entry: inline({ files: { 'a.key': `<{{ ${reference} }}>` } }),
    service:
      'DynamicUser=yes\nExecStart=\nExecStart=/bin/sh -c \'HELD="$$(cat $$UNIT_SECRETS_DIRECTORY/files/a.key)" exec sleep infinity\'',
    held: ['environ'],
    directories: ['/run/unit-secrets/inline/dynamic'],
  },
];

/** @param port where the emulator of 1Password listens in the machine */
export const stageOn = (port: number): Stage => ({
  kinds,
  usual: kinds.map(({ name }) => name),
  inline: true,
  edits: {
    more: (entry) => ({ ...entry, environment: { ...(entry['environment'] as object), EDITED: 'yes' } }),
    broken: (entry) => ({ ...entry, environment: { KEY: 'op://' } }),
    none: () => undefined,
  },
  manifest: (services) =>
    `${JSON.stringify({ version: 1, fetch: { tries: 1, timeout: '20s', retryEvery: '1h' }, services })}\n`,
  provider: `
listening() { bash -c ': </dev/tcp/127.0.0.1/${port}' 2>/dev/null; }
is_waiting() { [ "$(systemctl show --property=SubState --value "$app")" = auto-restart ]; }
provider() {
  case $1 in
    missing) systemctl stop op-emulator ;;
    *)
      cmp -s /etc/op/$1.json /etc/op/data.json || { cp /etc/op/$1.json /etc/op/data.json; systemctl stop op-emulator; }
      systemctl start op-emulator && await listening
      ;;
  esac
}
`,
});
