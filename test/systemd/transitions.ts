/**
 * What the chain of units must do in every transition of a service `app`, as a table: the same for each
 * kind of service and on each systemd.
 *
 * A row begins with `app` and its secrets as `from` says, fetched from a vault whose values are all
 * `value-old`. Then the vault changes, so that a fetch which must not be is seen: to `value-new`, or to
 * one that cannot be opened. Then comes what the row does.
 */

/** How a service gets its secrets: a manifest entry, and how the service itself is written. */
export interface Kind {
  readonly name: string;
  readonly entry: { readonly environment?: Readonly<Record<string, string>> };
  /** Lines of its `[Service]` section. */
  readonly service: string;
  /** What a running one holds: paths in its /proc/PID. */
  readonly held: readonly string[];
  /** Where its secrets are kept meanwhile, for nobody else. */
  readonly directories: readonly string[];
  readonly transitions: readonly Transition[];
}

export interface Transition {
  /** Ends the sentence "A service of this kind …". */
  readonly name: string;
  /** `running` if not given. */
  readonly from?: 'running' | 'stopped';
  /** Whether the vault can be opened; `up` if not given. */
  readonly provider?: 'up' | 'down';
  /** Units and drop-ins for this row, below /run/systemd/system. */
  readonly units?: Readonly<Record<string, string>>;
  /** A shell script with `await CONDITION`, `is UNIT STATE`, `edit`, `provider up`, `main_process`; its exit status counts. */
  readonly does: string;
  /** Its exit status must not be 0. */
  readonly refused?: true;
  /** Also with a `daemon-reload`, and with a `daemon-reexec`, before what it does. */
  readonly alsoReloaded?: true;
  /** What comes of it; of several, one. */
  readonly expected: Outcome | readonly Outcome[];
  /** A shell script that makes the machine as it was, where it is more than `app` that has changed. */
  readonly after?: string;
}

export interface Outcome {
  /** `app` itself. */
  readonly app: 'active' | 'activating' | 'inactive' | 'failed';
  readonly secretsUnit: 'active' | 'inactive' | 'failed';
  readonly mainProcess: 'same' | 'another' | 'none';
  /** The values that it holds. */
  readonly holds: 'old' | 'new' | '';
  /** The values in the directories. */
  readonly files: 'old' | 'new' | 'gone';
  /** Tries to fetch, successful or not. */
  readonly fetches: number;
}

const untouched: Outcome = {
  app: 'active',
  secretsUnit: 'active',
  mainProcess: 'same',
  holds: 'old',
  files: 'old',
  fetches: 0,
};
const restarted: Outcome = { ...untouched, mainProcess: 'another' };
const renewed: Outcome = { ...restarted, holds: 'new', files: 'new', fetches: 1 };
const stopped: Outcome = {
  app: 'inactive',
  secretsUnit: 'inactive',
  mainProcess: 'none',
  holds: '',
  files: 'gone',
  fetches: 0,
};
const failed: Outcome = { ...stopped, app: 'failed' };
const keptDown: Outcome = { ...stopped, secretsUnit: 'failed', fetches: 1 };

const appService = (text: string) => ({ 'app.service.d/row.conf': text });
const secretsService = (text: string) => ({ 'app-secrets.service.d/row.conf': text });
const restartOnFailure = appService('[Service]\nRestart=on-failure\nRestartSec=200ms\n');
const oneshot = {
  ...appService('[Service]\nType=oneshot\nSuccessExitStatus=TERM\n'),
  'app.timer': '[Timer]\nOnActiveSec=10ms\nAccuracySec=1ms\nRemainAfterElapse=no\n',
};
const crash = 'kill -KILL "$(main_process)"';
const run = 'systemctl start app.timer && await is app activating';
const slowFetch = secretsService('[Service]\nExecStartPre=/bin/sleep 0.5\n');
const stopDuringFetch =
  'systemctl start --no-block app && await is app-secrets activating && systemctl stop app';

/** For services whose secrets a unit of root's fetches. */
const chained: readonly Transition[] = [
  {
    name: 'is started with fresh secrets',
    from: 'stopped',
    alsoReloaded: true,
    does: 'systemctl start app',
    expected: renewed,
  },
  {
    name: 'stays down when its secrets cannot be fetched',
    from: 'stopped',
    provider: 'down',
    does: 'systemctl start app',
    refused: true,
    expected: keptDown,
  },
  {
    name: 'comes up without help when its secrets can be fetched again',
    from: 'stopped',
    provider: 'down',
    units: { 'app-retry.timer.d/row.conf': '[Timer]\nOnActiveSec=\nOnActiveSec=2s\n' },
    does: '! systemctl start app && provider up',
    expected: { ...renewed, fetches: 2 },
  },
  {
    name: 'is not tried again once it was stopped',
    from: 'stopped',
    provider: 'down',
    does: '! systemctl start app && await is app-retry.timer active && systemctl stop app && is app-retry.timer inactive',
    expected: keptDown,
  },
  {
    name: 'is restarted with the same secrets',
    alsoReloaded: true,
    does: 'systemctl restart app',
    expected: restarted,
  },
  {
    name: 'is restarted with the same secrets while the provider is down',
    provider: 'down',
    does: 'systemctl restart app',
    expected: restarted,
  },
  {
    name: 'is restarted with the same secrets by reload-or-restart',
    does: 'systemctl reload-or-restart app',
    expected: restarted,
  },
  {
    name: 'has its secrets wiped when it is stopped',
    alsoReloaded: true,
    does: 'systemctl stop app',
    expected: stopped,
  },
  {
    name: 'still has its secrets in its ExecStop=',
    units: appService(
      '[Service]\nExecStop=+/bin/sh -c "grep -rq value-old /run/unit-secrets/*/app && touch /run/seen"\n',
    ),
    does: 'rm -f /run/seen; systemctl stop app && test -e /run/seen',
    expected: stopped,
  },
  {
    name: 'that is stopped and started at once comes up with a complete set',
    does: 'systemctl stop app; systemctl start app',
    // the start can overtake the wipe
    expected: [renewed, restarted],
  },
  {
    name: 'that crashes has its secrets wiped',
    alsoReloaded: true,
    does: crash,
    expected: failed,
  },
  {
    name: 'that exits by itself has its secrets wiped',
    does: 'kill -TERM "$(main_process)"',
    expected: stopped,
  },
  {
    name: 'that crashes is restarted by its Restart= with the same secrets',
    alsoReloaded: true,
    units: restartOnFailure,
    does: crash,
    expected: restarted,
  },
  {
    name: 'that crashes is restarted by its Restart= while the provider is down',
    units: restartOnFailure,
    provider: 'down',
    does: crash,
    expected: restarted,
  },
  {
    name: 'that reaches its start limit has its secrets wiped',
    from: 'stopped',
    units: appService(
      '[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nExecStart=\nExecStart=/bin/false\nRestart=on-failure\nRestartSec=10ms\n',
    ),
    does: 'systemctl start app',
    expected: { ...failed, fetches: 1 },
  },
  {
    name: 'is restarted with fresh secrets by a restart of app-secrets',
    does: 'systemctl restart app-secrets',
    expected: renewed,
  },
  {
    name: 'goes down with a restart of app-secrets while the provider is down',
    provider: 'down',
    does: 'systemctl restart app-secrets',
    refused: true,
    expected: keptDown,
  },
  {
    name: 'is not touched by a reload of app-secrets, which refreshes the files',
    alsoReloaded: true,
    does: 'systemctl reload app-secrets',
    expected: { ...untouched, files: 'new', fetches: 1 },
  },
  {
    name: 'is not touched by a reload of app-secrets that fails, nor are its files',
    provider: 'down',
    alsoReloaded: true,
    does: 'systemctl reload app-secrets',
    refused: true,
    expected: { ...untouched, fetches: 1 },
  },
  {
    name: 'gets rotated secrets by a reload of app-secrets and a restart',
    does: 'systemctl reload app-secrets && systemctl try-restart app',
    expected: renewed,
  },
  {
    name: 'is stopped by a stop of app-secrets',
    alsoReloaded: true,
    does: 'systemctl stop app-secrets',
    expected: stopped,
  },
  {
    name: 'that is down leaves no secrets behind when app-secrets alone is started',
    from: 'stopped',
    does: 'systemctl start app-secrets',
    expected: { ...stopped, fetches: 1 },
  },
  {
    name: 'that is down is not started for it when a start of app-secrets alone fails',
    from: 'stopped',
    provider: 'down',
    does: '! systemctl start app-secrets && ! systemctl list-jobs | grep app-retry && is app-retry.timer inactive',
    expected: keptDown,
  },
  {
    name: 'stays down when the fetch is killed',
    from: 'stopped',
    units: secretsService('[Service]\nExecStartPre=/bin/sleep infinity\n'),
    does: 'systemctl start --no-block app && await is app-secrets activating && systemctl kill --signal=KILL app-secrets',
    expected: { ...keptDown, fetches: 0 },
  },
  {
    name: 'that is stopped during the fetch stays down',
    from: 'stopped',
    units: slowFetch,
    does: stopDuringFetch,
    expected: { ...stopped, fetches: 1 },
  },
  {
    name: 'that is stopped during the fetch is not tried again when the fetch fails',
    from: 'stopped',
    provider: 'down',
    units: slowFetch,
    does: `${stopDuringFetch} && await is app-secrets failed && ! systemctl list-jobs | grep app-retry && is app-retry.timer inactive`,
    expected: keptDown,
  },
  {
    name: 'stays down when app-secrets is masked',
    from: 'stopped',
    does: 'systemctl mask --quiet --runtime app-secrets; systemctl start app',
    refused: true,
    expected: stopped,
  },
  {
    name: 'stays down when app-secrets is missing',
    from: 'stopped',
    does: 'keep_drop_in_only; systemctl start app',
    refused: true,
    expected: stopped,
  },
  {
    name: 'stays down when app-secrets is skipped',
    from: 'stopped',
    units: secretsService('[Unit]\nConditionPathExists=/nowhere\n'),
    does: 'systemctl start app',
    refused: true,
    expected: stopped,
  },
  {
    name: 'stays down when it is started without its dependencies',
    from: 'stopped',
    does: 'systemctl start --job-mode=ignore-dependencies app',
    refused: true,
    expected: stopped,
  },
  {
    name: 'is not touched by an edit of its entry',
    does: 'edit',
    expected: untouched,
  },
  {
    name: 'is not restarted with the secrets of before an edit of its entry',
    does: 'edit; systemctl restart app',
    refused: true,
    // the assertion is the service's own, so its secrets stay, to be reloaded
    expected: { ...stopped, secretsUnit: 'active', files: 'old' },
  },
  {
    name: 'is restarted after an edit of its entry once app-secrets was reloaded',
    does: 'edit; systemctl reload app-secrets && systemctl restart app',
    expected: renewed,
  },
  {
    name: 'is started after an edit of its entry',
    from: 'stopped',
    does: 'edit; systemctl start app',
    expected: renewed,
  },
  {
    name: 'is not touched by daemon-reload',
    does: 'systemctl daemon-reload',
    expected: untouched,
  },
  {
    name: 'is not touched by daemon-reexec',
    does: 'systemctl daemon-reexec',
    expected: untouched,
  },
  {
    name: 'has its secrets wiped by isolate rescue.target',
    does: 'systemctl isolate rescue.target',
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
    does: [
      run,
      'kill -TERM "$(main_process)"',
      'await test ! -e /run/unit-secrets/secrets/app',
      run,
      'kill -TERM "$(main_process)"',
    ].join(' && '),
    expected: { ...stopped, fetches: 2 },
  },
];

const environment = { KEY: 'op://Vault/Item/field', PART: '<{{ op://Vault/Item/field }}>' };
const held = ['environ'];
const directories = ['/run/unit-secrets/secrets/app'];

/** To cover another kind of service, describe it here; where its transitions differ, with a table of its own. */
export const kinds: readonly Kind[] = [
  {
    name: 'a service with a user of its own and an environment',
    entry: { environment },
    service: 'User=app',
    held,
    directories,
    transitions: chained,
  },
  {
    name: 'a service with a dynamic user and an environment',
    entry: { environment },
    service: 'DynamicUser=yes',
    held,
    directories,
    transitions: chained,
  },
];
