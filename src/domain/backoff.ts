const backoffBase = 500;
const backoffCap = 30_000;

/** The wait before the try after `tried` ones: exponential with full jitter, in milliseconds. */
export function backoff(tried: number, random: () => number): number {
  return random() * Math.min(backoffCap, backoffBase * 2 ** tried);
}

const coolDownBase = 60;
const coolDownCap = 3600;

/**
 * How long nobody asks after a rate limit, in seconds: from one minute, doubled with each limit that
 * follows, to an hour; up to a quarter more, so that hosts of one account do not come back together.
 * 1Password itself gives no hint how long.
 *
 * @param step how many limits came before without a success in between
 */
export function coolDownLength(step: number, random: () => number): number {
  return Math.min(coolDownCap, coolDownBase * 2 ** step) * (1 + random() / 4);
}
