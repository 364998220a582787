/** What the chain of units must do in every transition of a service: a table, the same on each systemd. */
import { vaultManifest } from './machine.ts';
import type { Entry, Kind, Outcome, Stage, Transition } from './table.ts';

export const untouched: Outcome = {
  app: 'active',
  secrets: 'active',
  mainProcess: 'same',
  holds: 'old',
  files: 'old',
  tries: 0,
};
const restarted: Outcome = { ...untouched, mainProcess: 'another' };
const renewed: Outcome = { ...restarted, holds: 'new', files: 'new', tries: 1 };
const stopped: Outcome = {
  app: 'inactive',
  secrets: 'inactive',
  mainProcess: 'none',
  holds: '',
  files: 'gone',
  tries: 0,
};
const failed: Outcome = { ...stopped, app: 'failed' };
const keptDown: Outcome = { ...stopped, secrets: 'failed', tries: 1 };

const restartOnFailure = { app: '[Service]\nRestart=on-failure\nRestartSec=200ms' };
const oneshot = {
  app: '[Service]\nType=oneshot\nSuccessExitStatus=TERM',
  timer: '[Timer]\nOnActiveSec=10ms\nAccuracySec=1ms\nRemainAfterElapse=no',
};
const run = 'systemctl start $timer && await is $app activating';
const slowFetch = { secrets: '[Service]\nExecStartPre=/bin/sleep 0.5' };
const endlessFetch = { secrets: '[Service]\nExecStartPre=/bin/sleep infinity' };
const soonRetry = { retry: '[Timer]\nOnActiveSec=\nOnActiveSec=1s' };
const skipped = '[Unit]\nConditionPathExists=/nowhere';
const startFetching = 'systemctl start --no-block $app && await is $secrets activating';

/** With an X-config unit. */
const configured = ['directory'];

export const transitions: readonly Transition[] = [
  {
    name: 'is started with fresh secrets',
    kinds: 'all',
    from: 'stopped',
    alsoReloaded: true,
    does: 'systemctl start $app',
    expected: renewed,
  },
  {
    name: 'stays down when its secrets cannot be fetched',
    kinds: 'all',
    from: 'stopped',
    provider: 'missing',
    does: 'systemctl start $app',
    refused: true,
    expected: keptDown,
  },
  {
    name: 'stays down when its secrets are damaged',
    from: 'stopped',
    provider: 'damaged',
    does: 'systemctl start $app',
    refused: true,
    expected: keptDown,
  },
  {
    name: 'comes up without help when its secrets can be fetched again',
    from: 'stopped',
    provider: 'missing',
    units: { retry: '[Timer]\nOnActiveSec=\nOnActiveSec=3s' },
    does: '! systemctl start $app && await is $retry active',
    last: 'provider new',
    expected: { ...renewed, tries: 2 },
  },
  {
    name: 'is tried again as long as its secrets cannot be fetched, at the interval of the timer and not more often',
    from: 'stopped',
    provider: 'missing',
    units: soonRetry,
    // three fetches take two intervals
    does: [
      'began=$(date +%s)',
      '! systemctl start $app',
      'for turn in 1 2; do was=$(fetch_began); again() { [ "$(fetch_began)" != "$was" ]; }; await again; done',
      '[ $(($(date +%s) - began)) -ge 2 ] && await is $secrets failed && await is $retry active && systemctl stop $app && no_retry',
    ].join(' && '),
    expected: { ...keptDown, tries: 3 },
  },
  {
    name: 'is not tried again once it was stopped',
    from: 'stopped',
    provider: 'missing',
    does: '! systemctl start $app && await is $retry active && systemctl stop $app && no_retry',
    expected: keptDown,
  },
  {
    name: 'is restarted with the same secrets',
    kinds: 'all',
    alsoReloaded: true,
    does: 'systemctl restart $app',
    expected: restarted,
  },
  {
    name: 'is restarted with the same secrets while the provider is down',
    provider: 'missing',
    does: 'systemctl restart $app',
    expected: restarted,
  },
  {
    name: 'is restarted with the same secrets by reload-or-restart',
    does: 'systemctl reload-or-restart $app',
    expected: restarted,
  },
  {
    name: 'has its secrets wiped when it is stopped',
    kinds: 'all',
    alsoReloaded: true,
    does: 'systemctl stop $app',
    expected: stopped,
  },
  {
    name: 'still has its secrets in its ExecStop=',
    units: {
      app: '[Service]\nExecStop=+/bin/sh -c "grep -rq value-old /run/unit-secrets/secrets /run/named && touch /run/seen-%N"',
    },
    first: 'rm -f /run/seen-*; mkdir -p /run/named',
    does: 'systemctl stop $app && test -e "/run/seen-$name"',
    expected: stopped,
  },
  {
    name: 'that is stopped and started at once comes up with a complete set',
    does: 'systemctl stop $app; systemctl start $app',
    // the start can overtake the wipe
    expected: [renewed, restarted],
  },
  {
    name: 'that crashes has its secrets wiped',
    alsoReloaded: true,
    does: 'crash',
    expected: failed,
  },
  {
    name: 'that crashes is not tried again when its secrets alone are fetched for the next start, in vain',
    provider: 'missing',
    does: 'crash; await wiped; ! systemctl start $secrets && no_retry',
    expected: { ...failed, secrets: 'failed', tries: 1 },
  },
  {
    name: 'that exits by itself has its secrets wiped',
    does: 'ends',
    expected: stopped,
  },
  {
    name: 'that crashes is restarted by its Restart= with the same secrets',
    kinds: 'all',
    alsoReloaded: true,
    units: restartOnFailure,
    does: 'crash',
    expected: restarted,
  },
  {
    name: 'that crashes is restarted by its Restart= while the provider is down',
    units: restartOnFailure,
    provider: 'missing',
    does: 'crash',
    expected: restarted,
  },
  {
    name: 'that reaches its start limit has its secrets wiped',
    from: 'stopped',
    units: {
      app: '[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nExecStart=\nExecStart=/bin/false\nRestart=on-failure\nRestartSec=10ms',
    },
    does: 'systemctl start $app',
    expected: { ...failed, tries: 1 },
  },
  {
    name: 'is restarted with fresh secrets by a restart of its secrets unit',
    does: 'systemctl restart $secrets',
    expected: renewed,
  },
  {
    name: 'goes down with a restart of its secrets unit while the provider is down',
    provider: 'missing',
    does: 'systemctl restart $secrets',
    refused: true,
    expected: keptDown,
  },
  {
    name: 'that went down with a restart of its secrets unit comes up when the provider is back',
    provider: 'missing',
    units: { retry: '[Timer]\nOnActiveSec=\nOnActiveSec=3s' },
    does: '! systemctl restart $secrets && await is $retry active',
    last: 'provider new',
    expected: { ...renewed, tries: 2 },
  },
  {
    name: 'is not touched by a reload of its secrets unit, which refreshes the files',
    kinds: 'all',
    alsoReloaded: true,
    does: 'systemctl reload $secrets',
    expected: { ...untouched, files: 'new', tries: 1 },
  },
  {
    name: 'is not touched by a reload of its secrets unit that fails, nor are its files',
    kinds: 'all',
    provider: 'missing',
    alsoReloaded: true,
    does: 'systemctl reload $secrets',
    refused: true,
    expected: { ...untouched, tries: 1 },
  },
  {
    name: 'gets rotated secrets by a reload of its secrets unit and a restart',
    kinds: 'all',
    does: 'systemctl reload $secrets && systemctl try-restart $app',
    expected: renewed,
  },
  {
    name: 'is stopped by a stop of its secrets unit',
    alsoReloaded: true,
    does: 'systemctl stop $secrets',
    expected: stopped,
  },
  {
    name: 'that is down leaves no secrets behind when its secrets unit alone is started',
    from: 'stopped',
    does: 'systemctl start $secrets',
    expected: { ...stopped, tries: 1 },
  },
  {
    name: 'that is down is not started for it when a start of its secrets unit alone fails',
    from: 'stopped',
    provider: 'missing',
    does: '! systemctl start $secrets && no_retry',
    expected: keptDown,
  },
  {
    name: 'stays down when the fetch is killed, and is tried again',
    from: 'stopped',
    units: endlessFetch,
    does: `${startFetching} && systemctl kill --signal=KILL $secrets && await is $retry active`,
    expected: { ...keptDown, tries: 0 },
  },
  {
    name: 'that is stopped during the fetch stays down',
    from: 'stopped',
    units: slowFetch,
    does: `${startFetching} && systemctl stop $app`,
    expected: { ...stopped, tries: 1 },
  },
  {
    name: 'that is stopped during the fetch is not tried again when the fetch fails',
    from: 'stopped',
    provider: 'missing',
    units: slowFetch,
    does: `${startFetching} && systemctl stop $app && await is $secrets failed && no_retry`,
    expected: keptDown,
  },
  {
    name: 'that is stopped during the fetch is not tried again when the fetch is killed',
    from: 'stopped',
    units: endlessFetch,
    does: `${startFetching} && systemctl stop $app && systemctl kill --signal=KILL $secrets && await is $secrets failed && no_retry`,
    expected: { ...keptDown, tries: 0 },
  },
  {
    name: 'is stopped by a restart of its configuration, and started with the same secrets',
    kinds: configured,
    alsoReloaded: true,
    does: 'systemctl restart $config',
    expected: restarted,
  },
  {
    name: 'is stopped by a stop of its configuration',
    kinds: configured,
    does: 'systemctl stop $config',
    expected: stopped,
  },
  {
    name: 'stays down when its configuration cannot be rendered',
    kinds: configured,
    from: 'stopped',
    first: 'cp /root/broken.json /etc/template.json',
    does: 'systemctl start $app',
    refused: true,
    expected: [
      { ...stopped, secrets: 'failed', tries: 0 },
      { ...stopped, tries: 1 },
    ],
    after: 'cp /root/template.json /etc/template.json',
  },
  {
    name: 'is not touched by a reload of its secrets unit that cannot render, nor are its files',
    kinds: configured,
    first: 'cp /root/broken.json /etc/template.json',
    does: 'systemctl reload $secrets',
    refused: true,
    expected: untouched,
    after: 'cp /root/template.json /etc/template.json',
  },
  {
    name: 'stays down when its configuration unit is masked',
    kinds: configured,
    from: 'stopped',
    first: 'systemctl mask --quiet --runtime $all_config',
    does: 'systemctl start $app',
    refused: true,
    expected: stopped,
  },
  {
    name: 'stays down when its configuration unit is skipped',
    kinds: configured,
    from: 'stopped',
    units: { config: skipped },
    does: 'systemctl start $app',
    refused: true,
    expected: { ...stopped, secrets: 'active', files: 'new', tries: 1 },
  },
  {
    name: 'stays down when its secrets unit is masked',
    from: 'stopped',
    first: 'systemctl mask --quiet --runtime $all_secrets',
    does: 'systemctl start $app',
    refused: true,
    expected: stopped,
  },
  {
    name: 'stays down when its secrets unit is missing',
    from: 'stopped',
    first: 'keep_drop_ins_only',
    does: 'systemctl start $app',
    refused: true,
    expected: stopped,
  },
  {
    name: 'stays down when its secrets unit is skipped',
    from: 'stopped',
    units: { secrets: skipped },
    does: 'systemctl start $app',
    refused: true,
    expected: stopped,
  },
  {
    name: 'stays down when it is started without its dependencies',
    from: 'stopped',
    does: 'systemctl start --job-mode=ignore-dependencies $app',
    refused: true,
    expected: stopped,
  },
  {
    name: 'is not touched by an edit of its entry',
    first: 'edit more',
    expected: untouched,
  },
  {
    name: 'is restarted with the secrets that its edited entry asks for',
    kinds: 'all',
    first: 'edit more',
    does: 'systemctl restart $app',
    expected: renewed,
  },
  {
    name: 'is restarted with the same secrets again once they are those of its edited entry',
    provider: 'new',
    first: 'edit more',
    does: 'systemctl restart $app && first=$(main_process) && systemctl restart $app && [ "$(main_process)" != "$first" ]',
    expected: renewed,
  },
  {
    name: 'that crashes is restarted by its Restart= with the secrets that its edited entry asks for',
    units: restartOnFailure,
    first: 'edit more',
    does: 'crash',
    expected: renewed,
  },
  {
    name: 'is not restarted with the secrets of before an edit of its entry while the provider is down',
    provider: 'missing',
    first: 'edit more',
    does: 'systemctl restart $app',
    refused: true,
    expected: { ...stopped, tries: 1 },
  },
  {
    name: 'that could not be restarted after an edit of its entry comes up when the provider is back',
    provider: 'missing',
    units: { retry: '[Timer]\nOnActiveSec=\nOnActiveSec=3s' },
    first: 'edit more',
    does: '! systemctl restart $app && await is $retry active',
    last: 'provider new',
    expected: { ...renewed, tries: 2 },
  },
  {
    name: 'is restarted after an edit of its entry once its secrets unit was reloaded',
    first: 'edit more',
    does: 'systemctl reload $secrets && systemctl restart $app',
    expected: renewed,
  },
  {
    name: 'is not restarted with the secrets of before an edit of its entry even without its dependencies',
    first: 'edit more',
    does: 'systemctl restart --job-mode=ignore-dependencies $app',
    refused: true,
    // the assertion is the service's own, and triggers nothing: its secrets stay
    expected: { ...stopped, secrets: 'active', files: 'old' },
  },
  {
    name: 'is started after an edit of its entry',
    from: 'stopped',
    first: 'edit more',
    does: 'systemctl start $app',
    expected: renewed,
  },
  {
    name: 'is restarted without a configuration when its entry has none any more',
    kinds: configured,
    first: 'edit without-config',
    does: 'systemctl restart $app',
    expected: renewed,
  },
  {
    name: 'is restarted with a configuration when its entry has one now',
    kinds: ['files', 'environment'],
    first: 'edit with-config',
    does: 'systemctl restart $app && is $config active',
    expected: renewed,
  },
  {
    name: 'is restarted with a group that may read when its entry has another one now',
    kinds: configured,
    first: 'edit other-group',
    does: 'systemctl restart $app && [ "$(stat --format=%G /run/unit-secrets/secrets/$name)" = other ]',
    expected: renewed,
  },
  {
    name: 'has what an earlier directory held wiped once its entry names another one',
    kinds: ['directory'],
    first: 'edit other-directory',
    does: 'systemctl restart $app; systemctl stop $app; await test ! -e /run/named-anew',
    expected: { ...stopped, tries: 1 },
  },
  {
    name: 'has its secrets wiped when its entry is removed, and goes on running',
    kinds: 'all',
    first: 'edit none',
    expected: [
      { ...untouched, secrets: 'inactive', files: 'gone' },
      // systemd 247 does not look for what is unneeded when it reloads: there the generator wipes
      { ...untouched, secrets: 'active', files: '' },
    ],
  },
  {
    name: 'is restarted with fresh secrets when its entry was removed and is back',
    first: 'edit none; await are_empty; edit original',
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
    does: 'systemctl start --no-block $app && await is $app activating',
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
    name: 'that crashes while its entry has an error is not restarted by its Restart=, and is wiped',
    units: restartOnFailure,
    first: 'edit broken',
    does: 'crash',
    expected: [stopped, failed],
  },
  {
    name: 'is not started while its entry has an error',
    from: 'stopped',
    first: 'edit broken',
    does: 'systemctl start $app',
    refused: true,
    expected: { ...keptDown, tries: 0 },
  },
  {
    name: 'is restarted with the same secrets when an error of its entry was mended',
    first: 'edit broken; edit original',
    does: 'systemctl restart $app',
    expected: restarted,
  },
  {
    name: 'has its secrets wiped when it is stopped while its entry has an error',
    first: 'edit broken',
    does: 'systemctl stop $app',
    expected: stopped,
  },
  {
    name: 'is not touched by daemon-reload',
    first: 'systemctl daemon-reload',
    expected: untouched,
  },
  {
    name: 'is not touched by daemon-reexec',
    first: 'systemctl daemon-reexec',
    expected: untouched,
  },
  {
    name: 'has its secrets wiped by isolate rescue.target',
    first: 'systemctl isolate rescue.target',
    expected: stopped,
    after: 'systemctl isolate multi-user.target',
  },
  {
    name: 'that a timer runs as a oneshot has its secrets while it runs',
    from: 'stopped',
    units: oneshot,
    does: run,
    expected: { ...renewed, app: 'activating' },
  },
  {
    name: 'that a timer runs as a oneshot has its secrets wiped after each run',
    from: 'stopped',
    units: oneshot,
    does: `${run} && ends && await wiped && ${run} && ends`,
    expected: { ...stopped, tries: 2 },
  },
];

const reference = 'op://Vault/Item/field';
const environment = { KEY: reference, PART: '<{{ op://Vault/Item/field }}>' };
const template = '/etc/template.json';

/** Reads files as it starts, as most programs do, and has what was in them in its environment. */
const reads = (...paths: readonly string[]) =>
  `ExecStart=\nExecStart=/bin/sh -c 'HELD="$$(cat ${paths.join(' ')})" exec sleep infinity'`;

/** To cover another kind of service, describe it here. */
export const kinds: readonly Kind[] = [
  {
    name: 'environment',
    entry: { environment },
    service: 'User=app',
    held: ['environ'],
    directories: ['/run/unit-secrets/secrets/environment'],
  },
  {
    // with a dynamic user, in all ways that it can have secrets
    name: 'dynamic',
    entry: {
      environment,
      credentials: { password: reference },
      files: { 'a.key': { value: reference, credential: true } },
    },
    service: 'DynamicUser=yes',
    held: ['environ', 'root/run/credentials/dynamic.service'],
    directories: ['/run/unit-secrets/secrets/dynamic'],
  },
  {
    name: 'credentials@1',
    entry: { credentials: { password: reference } },
    service: 'User=app',
    held: ['root/run/credentials/credentials@1.service'],
    directories: ['/run/unit-secrets/secrets/credentials@1'],
  },
  {
    name: 'files',
    entry: { files: { 'a.key': reference, 'b.key': { value: `<{{ ${reference} }}>`, mode: '0400' } } },
    service: reads('/run/unit-secrets/secrets/files/files/*'),
    held: ['environ'],
    directories: ['/run/unit-secrets/secrets/files'],
  },
  {
    name: 'config',
    entry: { environment, configs: { 'app.json': { template } }, group: 'app' },
    service: `User=app\n${reads('/run/unit-secrets/config/config/app.json')}`,
    held: ['environ'],
    directories: ['/run/unit-secrets/secrets/config', '/run/unit-secrets/config/config'],
  },
  {
    name: 'directory',
    entry: {
      environment,
      configs: { 'app.json': { template } },
      files: { 'a.key': reference },
      group: 'app',
      runtimeDirectory: 'named',
    },
    service: `User=app\n${reads('/run/named*/config/app.json', '/run/named*/files/a.key')}`,
    held: ['environ'],
    directories: ['/run/named', '/run/unit-secrets/secrets/directory', '/run/unit-secrets/config/directory'],
  },
];

/** A template, and one that uses a name that nothing declares. */
export const templates = {
  good: '{"key": "{{ op://Vault/Item/field }}"}\n',
  broken: '{"key": "${NOWHERE}"}\n',
};

const environmentOf = (entry: Entry) => entry['environment'] as object | undefined;
const onlyWith = (member: string, entry: Entry, edited: Entry): Entry =>
  entry[member] === undefined ? entry : edited;

export const stage: Stage = {
  kinds,
  usual: ['environment', 'directory'],
  edits: {
    more: (entry) => ({ ...entry, environment: { ...environmentOf(entry), EDITED: 'yes' } }),
    'without-config': ({ configs: _, ...entry }) => entry,
    'with-config': (entry) => ({ ...entry, configs: { 'app.json': { template } } }),
    'other-group': (entry) => onlyWith('group', entry, { ...entry, group: 'other' }),
    'other-directory': (entry) =>
      onlyWith('runtimeDirectory', entry, { ...entry, runtimeDirectory: 'named-anew' }),
    broken: (entry) => ({ ...entry, environment: { KEY: 'op://' } }),
    none: () => undefined,
  },
  manifest: (services) => vaultManifest(services, { fetch: { tries: 1, timeout: '5s', retryEvery: '1h' } }),
  provider: `
vault=/etc/unit-secrets/vault.age
provider() {
  case $1 in
    missing) rm -f $vault ;;
    *) cp /root/vaults/$1 $vault.part && mv $vault.part $vault ;;
  esac
}
`,
};
