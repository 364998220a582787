import type { Answer } from '../domain/answer.ts';
import { HostLock, type Lock } from '../effects/lock.ts';
import { letGoOfMemory } from '../effects/machine-code.ts';
import { notify } from '../effects/notify.ts';
import { type QueuedRequest, queueFailure, RequestQueue } from '../effects/request-queue.ts';
import { uptime } from '../effects/uptime.ts';
import { takeTurn } from '../fetch/turn.ts';

export interface TurnPlace {
  readonly root: string;
  /** The directory of requests, answers and lock. */
  readonly queue: string;
  /** A digest of the token. */
  readonly token: string;
  /** When all tries have to be over, on the monotonic clock, in milliseconds. */
  readonly deadline: number;
  /** When this one has to be. */
  readonly until: number;
}

/**
 * One try of a service among others, see `takeTurn` and `serve`. Fifty processes may wait here at the same
 * time: what only the one that fetches needs is loaded by that one.
 */
export async function askInTurn(
  request: Omit<QueuedRequest, 'until'>,
  place: TurnPlace,
): Promise<Answer | undefined> {
  const queue = new RequestQueue(place.queue);
  const lock = new HostLock(place.queue);
  const { id } = request;
  const now = (): number => performance.now();
  const sleep = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, milliseconds));
  let lean = false;
  const waits = (): void => {
    if (!lean) letGoOfMemory();
    lean = true;
  };
  try {
    return await takeTurn(place.until, {
      put: () => queue.put({ ...request, until: uptime() + (place.until - now()) / 1000 }),
      has: () => queue.has(id),
      take: () => queue.take(id),
      withdraw: () => queue.withdraw(id),
      serve: async () => {
        const held = await lock.tryTake().catch((error: unknown) => {
          throw queueFailure(place.queue, error);
        });
        if (!held) {
          waits();
          return undefined;
        }
        try {
          return await serveAll(id, queue, held, place);
        } finally {
          await held.release();
        }
      },
      now,
      sleep,
      random: Math.random,
    });
  } finally {
    queue.sweep();
  }
}

async function serveAll(
  own: string,
  queue: RequestQueue,
  held: Lock,
  place: TurnPlace,
): Promise<Answer | undefined> {
  const { serveOnePassword } = await import('./serve-onepassword.ts');
  return serveOnePassword(own, queue, held, { ...place, extend: (within) => extend(place.deadline, within) });
}

/** How much longer than all tries may take `TimeoutStartSec=` is, less what it takes to write files and end. */
const spare = 15_000;

/** Systemd would kill the one who still fetches for others when the time for its own unit is over. */
function extend(deadline: number, within: number): void {
  if (performance.now() + within < deadline + spare) return;
  notify({ extendTimeout: within + spare });
}
