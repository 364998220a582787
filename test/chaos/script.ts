/**
 * What a campaign does, in which order: drawn from a seed alone, whatever becomes of it, so that the same seed gives
 * the same actions again. When each of them takes effect is the machine's affair.
 */
import type { Fault } from '../emulator/faults.ts';
import { randomNumbers } from '../support/random.ts';
import {
  companion,
  type Entry,
  type Manifest,
  type Name,
  names,
  soundManifest,
  withConfig,
} from './services.ts';

/** What actions can do to a machine. */
export interface World {
  /** A command of shell in the machine, with what it means for some services. */
  command(text: string, means?: Meaning): Promise<void>;
  /** Sends a signal to the one of the processes that match, after how many of them `which` (from 0 to 1) tells. */
  signal(pattern: RegExp, which: number, signal: 'KILL' | 'STOP', resumeAfterMs?: number): Promise<void>;
  /** Ends the main process of a service. */
  crash(name: Name): Promise<void>;
  /** New values at the provider. */
  provide(generation: number): Promise<void>;
  fault(fault: Fault): Promise<void>;
  clearFaults(): Promise<void>;
  emulator(state: 'stop' | 'start'): Promise<void>;
  permit(state: 'revoke' | 'restore'): Promise<void>;
  expireSessions(): Promise<void>;
  /** Makes the cool-down after a rate limit pass. */
  endCoolDown(): Promise<void>;
  damageVault(damaged: boolean): Promise<void>;
  /** As after a jump of the wall clock: the lock's times differ from now by so many seconds. */
  ageLock(seconds: number): Promise<void>;
  fill(freeKiB: number): Promise<void>;
  free(): Promise<void>;
  write(manifest: Manifest): Promise<void>;
  daemonReload(how: 'daemon-reload' | 'daemon-reexec', times: number): Promise<void>;
  generate(times: number): Promise<void>;
}

export interface Meaning {
  readonly names: readonly Name[];
  /** What somebody who gives this command wants them to be; `unclear` if that depends on what it finds. */
  readonly wants?: 'up' | 'up if it succeeds' | 'down' | 'unclear';
  /** Does not wait for the jobs. */
  readonly queues?: true;
  /** It may make systemd read the units anew. */
  readonly reloads?: true;
  /** Seconds that it may take. */
  readonly deadline?: number;
}

export interface Action {
  /** For statistics. */
  readonly kind: string;
  /** What it does, as in the log. */
  readonly text: string;
  /** Whether the next step waits for it. */
  readonly awaited: boolean;
  readonly run: (world: World) => Promise<void>;
}

export interface Step {
  readonly number: number;
  /** Done side by side. */
  readonly actions: readonly Action[];
  /** Milliseconds until the next one. */
  readonly pause: number;
}

const kindsOfFault: readonly Fault[] = [
  { kind: 'delay', delayMs: 400 },
  { kind: 'delay', delayMs: 3_000 },
  { kind: 'hang' },
  { kind: 'hang-body' },
  { kind: 'reset' },
  { kind: 'close' },
  { kind: 'cut' },
  { kind: 'html' },
  { kind: 'empty' },
  { kind: 'garbled' },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503, body: 'html' },
  { kind: 'status', status: 504, body: 'empty' },
];
const matches = ['any', 'any', 'login', 'read', 'auth', 'auth-complete', 'keysets', 'overviews', 'batch'];

export class Script {
  readonly #random: () => number;
  #number = 0;
  #generation = 1;
  #edition = 1;
  #absent: 'kappa' | 'lambda' = 'lambda';
  #manifest: Manifest;
  /** What ends again, and in which step. */
  #endings: { readonly at: number; readonly make: (hand: Hand) => Action }[] = [];

  constructor(seed: number) {
    this.#random = randomNumbers(seed);
    this.#manifest = soundManifest(1, this.#absent);
  }

  get manifest(): Manifest {
    return this.#manifest;
  }

  next(): Step {
    this.#number++;
    const due = this.#endings.filter(({ at }) => at <= this.#number);
    this.#endings = this.#endings.filter(({ at }) => at > this.#number);
    const count = this.#oneOf([1, 1, 1, 2, 3]);
    const drawn = Array.from({ length: count }, () => this.#draw());
    return {
      number: this.#number,
      actions: [...due.map(({ make }) => make(this.#hand)), ...drawn],
      pause: this.#oneOf([0, 0, 50, 150, 400, 800]),
    };
  }

  /** Ends all that is wrong, whatever it is, and makes the manifest sound. */
  calm(): readonly Action[] {
    this.#endings = [];
    this.#edition++;
    this.#generation++;
    const generation = this.#generation;
    this.#manifest = soundManifest(this.#edition, this.#absent);
    const manifest = this.#manifest;
    return [
      act('calm', 'all faults end', async (world) => {
        await world.free();
        await world.emulator('start');
        await world.clearFaults();
        await world.permit('restore');
        await world.endCoolDown();
        await world.provide(generation);
        await world.damageVault(false);
        await world.write(manifest);
        await world.daemonReload('daemon-reload', 1);
        await world.command(reopenToken);
      }),
    ];
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #oneOf<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)] as T;
  }

  #some(): readonly Name[] {
    const some = names.filter(() => this.#random() < 0.5);
    return some.length > 0 ? some : names;
  }

  /** Something that goes on for some steps. */
  #lasting(least: number, most: number, make: (hand: Hand) => Action): void {
    this.#endings.push({ at: this.#number + least + this.#below(most - least + 1), make });
  }

  #draw(): Action {
    const total = drawing.reduce((sum, [weight]) => sum + weight, 0);
    let at = this.#random() * total;
    for (const [weight, make] of drawing) {
      at -= weight;
      if (at < 0) return make(this.#hand);
    }
    throw new Error('the weights do not add up');
  }

  readonly #hand: Hand = {
    below: (limit) => this.#below(limit),
    oneOf: (choices) => this.#oneOf(choices),
    random: () => this.#random(),
    name: () => this.#oneOf(names),
    some: () => this.#some(),
    lasting: (least, most, make) => this.#lasting(least, most, make),
    nextGeneration: () => ++this.#generation,
    edit: (change) => {
      this.#manifest = change(this.#manifest, () => ++this.#edition);
      return this.#manifest;
    },
    rename: () => {
      this.#absent = this.#absent === 'kappa' ? 'lambda' : 'kappa';
      return this.#absent;
    },
  };
}

interface Hand {
  readonly below: (limit: number) => number;
  readonly oneOf: <T>(choices: readonly T[]) => T;
  readonly random: () => number;
  readonly name: () => Name;
  readonly some: () => readonly Name[];
  readonly lasting: (least: number, most: number, make: (hand: Hand) => Action) => void;
  readonly nextGeneration: () => number;
  readonly edit: (change: (manifest: Manifest, nextEdition: () => number) => Manifest) => Manifest;
  readonly rename: () => 'kappa' | 'lambda';
}

/** Where there was none to open, as with an age vault, only this opens one; `apply` does it, too. */
const reopenToken = 'systemctl reload-or-restart unit-secrets-token.service';

function act(kind: string, text: string, run: (world: World) => Promise<void>, awaited = true): Action {
  return { kind, text, awaited, run };
}

/** A `systemctl` for some units: sometimes its jobs are only queued, sometimes nobody waits for it. */
function systemctl(
  { oneOf }: Hand,
  verb: string,
  units: readonly string[],
  means: Meaning,
  kind = verb,
): Action {
  const how = oneOf(['wait', 'leave', 'leave', 'leave', 'queue', 'queue']);
  const text = `systemctl ${how === 'queue' ? '--no-block ' : ''}${verb} ${units.join(' ')}`;
  const meaning: Meaning = how === 'queue' ? { ...means, queues: true } : means;
  return act(kind, text, (world) => world.command(text, meaning), how !== 'leave');
}

const forSecrets = (verb: string, wants?: Meaning['wants']) => (hand: Hand) => {
  const name = hand.oneOf(names.filter((one) => one !== 'eta'));
  const means: Meaning = wants === undefined ? { names: [name] } : { names: [name], wants };
  return systemctl(hand, verb, [companion(name, 'secrets')], means, `${verb} of X-secrets`);
};

function edited(hand: Hand, kind: string, what: string, manifest: Manifest): Action {
  const reload = hand.random() < 0.7;
  return act(kind, `${what}${reload ? ', daemon-reload' : ''}`, async (world) => {
    await world.write(manifest);
    if (reload) await world.daemonReload('daemon-reload', 1);
  });
}

/** What can be done, and how often in proportion. */
const drawing: readonly (readonly [weight: number, make: (hand: Hand) => Action])[] = [
  [14, (hand) => forOne(hand, 'start', 'up')],
  [6, (hand) => forOne(hand, 'stop', 'down')],
  [10, (hand) => forOne(hand, 'restart', 'up')],
  [2, (hand) => forOne(hand, 'try-restart', undefined)],
  [2, (hand) => systemctl(hand, 'reload', ['zeta'], { names: ['zeta'] }, 'reload of X')],
  [
    8,
    (hand) => {
      const some = hand.some().join(' ');
      const text = `systemctl stop ${some}; systemctl start ${some}`;
      const about = names.filter((name) => some.split(' ').includes(name));
      const run = (world: World) => world.command(text, { names: about, wants: 'up' });
      return act('stop and start of several', text, run, false);
    },
  ],
  [3, (hand) => forSome(hand, 'start', 'up')],
  [2, (hand) => forSome(hand, 'restart', 'up')],
  [1, (hand) => forSome(hand, 'stop', 'down')],
  [8, forSecrets('reload')],
  [2, forSecrets('restart')],
  [1, forSecrets('start')],
  [1, forSecrets('stop', 'unclear')],
  [
    2,
    (hand) => {
      const name = hand.oneOf(withConfig);
      const verb = hand.oneOf(['start', 'reload', 'restart', 'stop']);
      const means: Meaning = verb === 'stop' ? { names: [name], wants: 'unclear' } : { names: [name] };
      return systemctl(hand, verb, [companion(name, 'config')], means, 'X-config');
    },
  ],
  [
    1,
    (hand) => {
      const verb = hand.oneOf(['reload', 'restart', 'stop', 'start']);
      return systemctl(hand, verb, ['unit-secrets-token.service'], { names: [] }, 'token unit');
    },
  ],

  [7, ({ name }) => crash(name())],
  [7, (hand) => kill(hand, 'kill a fetcher', / fetch /)],
  [5, (hand) => kill(hand, 'kill the SDK', / resolve-child$/)],
  [1, (hand) => kill(hand, 'kill a render', / render /)],
  [
    2,
    (hand) => {
      const which = hand.random();
      // shorter than what makes the others take its lock
      const forMs = 500 + hand.below(6_000);
      return act(
        'freeze a fetcher',
        `freeze fetcher ${which.toFixed(2)} for ${forMs} ms`,
        (world) => world.signal(/ fetch /, which, 'STOP', forMs),
        false,
      );
    },
  ],

  [
    12,
    ({ nextGeneration }) => {
      const generation = nextGeneration();
      return act('new values', `values of generation ${generation}`, (world) => world.provide(generation));
    },
  ],
  [
    9,
    (hand) => {
      const kind = hand.oneOf(kindsOfFault);
      const times = hand.oneOf([1, 2, 5, undefined, undefined]);
      const fault: Fault = {
        ...kind,
        match: hand.oneOf(matches),
        skip: hand.oneOf([0, 0, 0, 1, 3]),
        ...(times === undefined ? {} : { times }),
      };
      hand.lasting(2, 12, () => act('faults end', 'no faults', (world) => world.clearFaults()));
      return act(`fault: ${kind.kind}${kind.status ?? ''}`, `fault ${JSON.stringify(fault)}`, (world) =>
        world.fault(fault),
      );
    },
  ],
  [
    0.5,
    (hand) => {
      const fault: Fault = { kind: 'status', status: 429, headers: { 'retry-after': '60' }, times: 1 };
      hand.lasting(8, 20, () =>
        act('cool-down ends', 'the time of the rate limit passes', (world) => world.endCoolDown()),
      );
      return act('fault: status429', 'rate limit', (world) => world.fault(fault));
    },
  ],
  [
    2,
    (hand) => {
      hand.lasting(1, 8, () => act('emulator back', 'provider back', (world) => world.emulator('start')));
      return act('emulator gone', 'provider gone', (world) => world.emulator('stop'));
    },
  ],
  [
    1,
    (hand) => {
      hand.lasting(2, 6, () =>
        act('token restored', 'token valid again', (world) => world.permit('restore')),
      );
      return act('token revoked', 'token revoked', (world) => world.permit('revoke'));
    },
  ],
  [2, () => act('sessions expire', 'sessions expire', (world) => world.expireSessions())],
  [
    1,
    (hand) => {
      hand.lasting(2, 6, () => act('vault mended', 'age vault mended', (world) => world.damageVault(false)));
      return act('vault damaged', 'age vault damaged', (world) => world.damageVault(true));
    },
  ],

  [
    3,
    (hand) => {
      const seconds = hand.oneOf([-86_400, -3_600, -30, 30, 3_600, 86_400, 1e9]);
      return act('lock aged', `the lock's times are ${seconds} s off`, (world) => world.ageLock(seconds));
    },
  ],
  [
    2,
    (hand) => {
      const left = hand.oneOf([0, 0, 4, 12, 40]);
      hand.lasting(1, 6, () => act('memory free', 'memory for secrets freed', (world) => world.free()));
      return act('memory full', `memory for secrets full but ${left} KiB`, (world) => world.fill(left));
    },
  ],

  [3, () => act('daemon-reload', 'daemon-reload', (world) => world.daemonReload('daemon-reload', 1))],
  [
    2,
    (hand) => {
      const times = 2 + hand.below(4);
      return act('daemon-reload storm', `${times} daemon-reloads at once`, (world) =>
        world.daemonReload('daemon-reload', times),
      );
    },
  ],
  [1, () => act('daemon-reexec', 'daemon-reexec', (world) => world.daemonReload('daemon-reexec', 1))],
  [
    2,
    (hand) => {
      const times = 2 + hand.below(4);
      return act('generators', `${times} generators at once`, (world) => world.generate(times), false);
    },
  ],

  [
    8,
    (hand) => {
      const name = hand.name();
      const kind = hand.oneOf(['other', 'other', 'other', 'absent', 'broken'] as const);
      let entry: Entry = 'absent';
      const manifest = hand.edit((before, nextEdition) => {
        // of the pair, one is away
        entry =
          kind === 'other'
            ? before.entries[name] === 'absent' && isOfPair(name)
              ? 'absent'
              : nextEdition()
            : kind;
        return { ...before, entries: { ...before.entries, [name]: entry } };
      });
      return edited(hand, `edit: ${kind}`, `entry of ${name}: ${entry}`, manifest);
    },
  ],
  [
    1,
    (hand) => {
      const absent = hand.rename();
      const manifest = hand.edit((before, nextEdition) => {
        const present = absent === 'kappa' ? 'lambda' : 'kappa';
        return { ...before, entries: { ...before.entries, [absent]: 'absent', [present]: nextEdition() } };
      });
      return edited(hand, 'edit: rename', `${absent} is renamed`, manifest);
    },
  ],
  [
    1,
    (hand) => {
      const cut = { file: hand.oneOf(['main', 'more'] as const), at: hand.random() };
      const manifest = hand.edit((before) => ({ ...before, cut }));
      hand.lasting(1, 6, mend);
      return edited(
        hand,
        'edit: half a file',
        `manifest file "${cut.file}" cut at ${cut.at.toFixed(2)}`,
        manifest,
      );
    },
  ],
  [2, mend],
  [
    1,
    (hand) => {
      const manifest = hand.edit((before) => ({
        ...before,
        provider: before.provider === '1password' ? 'age-vault' : '1password',
      }));
      return act('edit: provider', `provider: ${manifest.provider}, daemon-reload`, async (world) => {
        await world.write(manifest);
        await world.daemonReload('daemon-reload', 1);
        await world.command(reopenToken);
      });
    },
  ],

  [
    2,
    () =>
      act(
        'apply',
        'unit-secrets apply',
        (world) => world.command('unit-secrets apply', { names: [], reloads: true, deadline: 400 }),
        false,
      ),
  ],
  [
    2,
    ({ name }) => {
      const one = name();
      const text = `unit-secrets retry ${one}`;
      return act(
        'retry',
        text,
        (world) => world.command(text, { names: [one], wants: 'up if it succeeds' }),
        false,
      );
    },
  ],
  [
    3,
    ({ oneOf }) => {
      const text = `unit-secrets ${oneOf(['status', 'status --json', 'plan', 'check', 'status alpha eta'])}`;
      return act('status', text, (world) => world.command(text, { names: [] }), false);
    },
  ],
  [
    1,
    ({ name }) => {
      const one = name();
      const texts = [`unit-secrets retry ${one}`, 'unit-secrets status', 'unit-secrets apply'];
      return act(
        'commands at once',
        texts.join(' & '),
        async (world) => {
          await Promise.all([
            world.command(texts[0] ?? '', { names: [one], wants: 'up if it succeeds', deadline: 400 }),
            world.command(texts[1] ?? '', { names: [] }),
            world.command(texts[2] ?? '', { names: [], reloads: true, deadline: 400 }),
          ]);
        },
        false,
      );
    },
  ],
];

const isOfPair = (name: Name): boolean => name === 'kappa' || name === 'lambda';

function forOne(hand: Hand, verb: string, wants: Meaning['wants']): Action {
  const name = hand.name();
  return systemctl(hand, verb, [name], wants === undefined ? { names: [name] } : { names: [name], wants });
}

function forSome(hand: Hand, verb: string, wants: Meaning['wants']): Action {
  const some = hand.some();
  const means: Meaning = wants === undefined ? { names: some } : { names: some, wants };
  return systemctl(hand, verb, some, means, `${verb} of several`);
}

const crash = (name: Name): Action => act('kill a service', `kill -9 ${name}`, (world) => world.crash(name));

function kill(hand: Hand, kind: string, pattern: RegExp): Action {
  const which = hand.random();
  return act(kind, `${kind} (${which.toFixed(2)})`, (world) => world.signal(pattern, which, 'KILL'));
}

function mend(hand: Hand): Action {
  const manifest = hand.edit(({ entries, provider }, nextEdition) => ({
    provider,
    entries: Object.fromEntries(
      names.map((name) => {
        const entry = entries[name];
        const stays = typeof entry === 'number' || (entry === 'absent' && isOfPair(name));
        return [name, stays ? entry : nextEdition()];
      }),
    ) as Record<Name, Entry>,
  }));
  return act('edit: mend', 'manifest mended, daemon-reload', async (world) => {
    await world.write(manifest);
    await world.daemonReload('daemon-reload', 1);
  });
}
