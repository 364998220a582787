import type { Answer } from '../domain/answer.ts';
import { beginCoolDown, coolDownFailure, endCoolDown } from '../effects/cool-down.ts';
import type { Lock } from '../effects/lock.ts';
import { openOnePassword } from '../effects/onepassword-provider.ts';
import type { RequestQueue } from '../effects/request-queue.ts';
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
  queue.sweep();
  return serve(own, {
    pending: () => {
      const offset = now() - uptime() * 1000;
      return queue
        .pending()
        .map(({ id, references, until }) => ({ id, references, until: until * 1000 + offset }));
    },
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
