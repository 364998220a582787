import type { Answer } from '../domain/answer.ts';
import { beginCoolDown, coolDownFailure, endCoolDown } from '../effects/cool-down.ts';
import { type FetchState, readFetchState } from '../effects/fetch-state.ts';
import type { Lock } from '../effects/lock.ts';
import { openOnePassword } from '../effects/onepassword-provider.ts';
import type { RequestQueue } from '../effects/request-queue.ts';
import { startedFetchers } from '../effects/started-fetchers.ts';
import { readOpenedToken } from '../effects/token.ts';
import { uptime } from '../effects/uptime.ts';
import { serve } from '../fetch/serve.ts';
import type { TurnPlace } from './ask-in-turn.ts';
import { selfCommand } from './self.ts';

/** How long before the end of its own time somebody stops fetching for others, in milliseconds. */
const margin = 5_000;

/** Fetches from 1Password for all that wait, see `serve`. */
export function serveOnePassword(
  own: string,
  queue: RequestQueue,
  held: Lock,
  place: TurnPlace & { readonly extend: (within: number) => void },
): Promise<Answer | undefined> {
  const now = (): number => performance.now();
  const arrivals = watchArrivals(place, now);
  queue.sweep();
  return serve(own, {
    pending: () => {
      const offset = now() - uptime() * 1000;
      const requests = queue.pending();
      for (const { service } of requests) arrivals.hasAsked(service);
      return requests.map(({ id, references, until }) => ({ id, references, until: until * 1000 + offset }));
    },
    isOnTheWay: arrivals.isOnTheWay,
    answer: (id, answer) => queue.answer(id, answer),
    waitsToBeTaken: (id) => queue.waitsToBeTaken(id),
    withdraw: (id) => queue.withdraw(id),
    open: () =>
      openOnePassword({ command: selfCommand('resolve-child'), token: readOpenedToken(place.root) }),
    sound: held.sound,
    lost: held.lost,
    coolDown: () => coolDownFailure(place.queue, place.token),
    rateLimited: () => beginCoolDown(place.queue, place.token),
    answered: () => endCoolDown(place.queue),
    round: (_requests, within) => place.extend(within),
    isLate: () => now() > place.deadline - margin,
    now,
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    random: Math.random,
  });
}

/** How often to look who has been started, in milliseconds. */
const lookEvery = 100;

/**
 * Who has been started and not asked yet. Whoever waits to try again, or for an answer, has asked somebody else, and
 * comes later.
 */
function watchArrivals(
  { root, queue }: TurnPlace,
  now: () => number,
): { readonly hasAsked: (service: string) => void; readonly isOnTheWay: () => boolean } {
  const asked = new Set<string>();
  let next = 0;
  let isOnTheWay = false;
  return {
    hasAsked: (service) => asked.add(service),
    isOnTheWay: () => {
      if (now() < next) return isOnTheWay;
      isOnTheWay = startedFetchers(root).some(
        (service) => !asked.has(service) && !hasAskedBefore(readFetchState(queue, service)),
      );
      next = now() + lookEvery;
      return isOnTheWay;
    },
  };
}

const hasAskedBefore = (state: FetchState | undefined): boolean =>
  state?.state === 'waiting' || state?.state === 'backing-off';
