import { type Answer, answerOf } from '../domain/answer.ts';
import { type Failure, FailureError } from '../domain/failure.ts';
import type { Resolution, Session } from '../domain/provider.ts';

/** One try of one service, as the one who fetches for all sees it. */
export interface WaitingRequest {
  readonly id: string;
  readonly references: readonly string[];
  /** When the service gives up, in milliseconds of `now()`. */
  readonly until: number;
}

/** What fetching for all needs of the world. */
export interface ServeWorld {
  /** The requests that wait, those of dead processes left out. */
  readonly pending: () => readonly WaitingRequest[];
  readonly answer: (id: string, answer: Answer) => void;
  /** Whether somebody has been started who has not asked for anything yet. */
  readonly isOnTheWay: () => boolean;
  readonly waitsToBeTaken: (id: string) => boolean;
  /** Takes an answer back. */
  readonly withdraw: (id: string) => void;
  /** Opens a session, which signs in while more requests come. */
  readonly open: () => Session;
  /** Whether the lock is still ours; */
  readonly sound: () => boolean;
  /** settles when it is not any more. */
  readonly lost: Promise<undefined>;
  /** Why nobody may ask now. */
  readonly coolDown: () => Failure | undefined;
  /** It limits the rate. */
  readonly rateLimited: () => void;
  /** 1Password has answered. */
  readonly answered: () => void;
  /** Before a round that lasts so long at most, in milliseconds. */
  readonly round: (requests: number, within: number) => void;
  /** Whether our own time is over: then somebody else may go on. */
  readonly isLate: () => boolean;
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
  readonly random: () => number;
}

/** The longest that one round may take, in milliseconds: the SDK itself waits for ever. */
export const longestTry = 30_000;
/** Requests are waited for until none has come for so long, in milliseconds, */
const quiet = 200;
/** but no longer than this before the first batch, */
const longestGathering = 1_000;
/**
 * and than this altogether once our own answer is there: those who start together but late cost one batch more, not one
 * for each second, and a sign-in less.
 */
const longestForOthers = 5_000;
/** What is left of a request's time when it is gathered for no longer. */
const enoughTime = 5_000;
/** How long an answer may wait to be taken. */
const longestHandOver = 2_000;
const step = 20;

/**
 * Fetches for everyone who waits, with one session, until nobody does or is on the way, and, where others were served,
 * nobody has come for 200 ms. Of what was asked only what a service itself asked for is answered to it; a value that several want is
 * fetched once.
 *
 * @param own the id of our own request, whose answer is returned; undefined if the lock was lost before
 */
export async function serve(own: string, outside: ServeWorld): Promise<Answer | undefined> {
  /** What was answered is not asked for again, even if it could not be removed. */
  const done = new Set<string>();
  const world: ServeWorld = {
    ...outside,
    pending: () => outside.pending().filter(({ id }) => !done.has(id)),
  };
  let ownAnswer: Answer | undefined;
  let session: Session | undefined;
  const handed: string[] = [];
  let ownAnswerAt: number | undefined;
  /** Our own service waits meanwhile. */
  const patienceLeft = (): number => (ownAnswerAt ?? world.now()) + longestForOthers - world.now();
  const goesOn = (): boolean => world.sound() && !(ownAnswer && world.isLate());
  /** Where many start, those who are late need not sign in again. */
  async function moreComes(): Promise<boolean> {
    const begin = world.now();
    while (session?.isOpen() && goesOn()) {
      const waited = world.now() - begin;
      const isQuiet = handed.length === 0 || waited >= quiet;
      if (patienceLeft() <= 0 || (isQuiet && !world.isOnTheWay())) break;
      await world.sleep(step);
      if (world.pending().length > 0) return true;
    }
    return false;
  }
  try {
    while (goesOn() && (world.pending().length > 0 || (await moreComes()))) {
      if (session?.isOpen() === false) session = undefined;
      const opened = session ?? openIfAllowed(world);
      if (!('class' in opened)) session = opened;
      // the lock is ours until it is lost: then whoever has it answers
      const longest = ownAnswer ? Math.max(0, patienceLeft()) : longestGathering;
      const outcome = await Promise.race([round(opened, world, longest), world.lost]);
      if (outcome === undefined || !world.sound()) break;
      for (const [id, answer] of outcome) {
        done.add(id);
        if (id === own) {
          ownAnswer = answer;
          ownAnswerAt = world.now();
          world.withdraw(id);
        } else {
          world.answer(id, answer);
          handed.push(id);
        }
      }
    }
  } finally {
    session?.close();
  }
  await handOver(handed, world);
  return ownAnswer;
}

function openIfAllowed(world: ServeWorld): Session | Failure {
  try {
    return world.coolDown() ?? world.open();
  } catch (error) {
    if (error instanceof FailureError) return error.failure;
    throw error;
  }
}

/** Gathers requests while the session signs in, and resolves all that they ask for as one batch. */
async function round(
  session: Session | Failure,
  world: ServeWorld,
  longest: number,
): Promise<ReadonlyMap<string, Answer>> {
  const jitter = world.random();
  const waiting = world.pending();
  const latest = Math.max(0, ...waiting.map(({ until }) => until));
  const within = Math.max(1_000, Math.min(longestTry, latest - world.now()));
  const deadline = world.now() + within;
  world.round(waiting.length, within);
  try {
    await gather('class' in session ? undefined : session.ready(within), world, longest);
    const requests = world.pending();
    if ('class' in session) {
      const answer: Answer = { ok: false, failure: session, jitter };
      return new Map(requests.map(({ id }) => [id, answer]));
    }
    const references = [...new Set(requests.flatMap((request) => request.references))];
    const resolutions = await session.resolve(references, Math.max(1_000, deadline - world.now()));
    if (isRateLimited(resolutions)) world.rateLimited();
    else world.answered();
    const answers = new Map<string, Answer>();
    for (const request of requests) {
      const answer = answerOf(request.references, resolutions);
      answers.set(request.id, answer.ok ? answer : { ...answer, jitter });
    }
    return answers;
  } catch (error) {
    if (!(error instanceof FailureError)) throw error;
    const { failure } = error;
    if (failure.class === 'rate-limited') world.rateLimited();
    // whoever came meanwhile would hear the same
    if (!('class' in session)) session.close();
    return new Map(world.pending().map(({ id }) => [id, { ok: false, failure, jitter }]));
  }
}

function isRateLimited(resolutions: ReadonlyMap<string, Resolution>): boolean {
  return [...resolutions.values()].some((one) => !one.ok && one.failure.class === 'rate-limited');
}

/**
 * Waits until no request has come for a while and none is on the way, and until the session is ready.
 *
 * @throws what the session does, when its time for more requests has passed as well
 */
async function gather(ready: Promise<void> | undefined, world: ServeWorld, longest: number): Promise<void> {
  let readySince = ready === undefined ? world.now() : undefined;
  const settled = (): void => {
    readySince = world.now();
  };
  ready?.then(settled, settled);
  let count = world.pending().length;
  let quietSince = world.now();
  let isUrgent = false;
  for (;;) {
    const now = world.now();
    const isReady = readySince !== undefined;
    const gathered = now - (readySince ?? now);
    if (isReady && (gathered >= longest || (isUrgent && gathered >= longestGathering))) break;
    if (isReady && now - quietSince >= quiet && !world.isOnTheWay()) break;
    await world.sleep(step);
    const pending = world.pending();
    if (pending.length !== count) quietSince = world.now();
    count = pending.length;
    isUrgent = pending.some(({ until }) => until - world.now() < enoughTime);
  }
  await ready;
}

/** An answer that nobody takes does not stay. */
async function handOver(ids: readonly string[], world: ServeWorld): Promise<void> {
  const end = world.now() + longestHandOver;
  let left = ids;
  for (;;) {
    left = left.filter((id) => world.waitsToBeTaken(id));
    if (left.length === 0 || world.now() >= end) break;
    await world.sleep(step);
  }
  for (const id of left) world.withdraw(id);
}
