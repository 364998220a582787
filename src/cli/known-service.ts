import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { parseServiceName, serviceKey } from '../domain/service-name.ts';
import { nearest } from '../domain/suggest.ts';

/**
 * Finds what a person means by the name of a service, with or without `.service`.
 *
 * @throws FailureError with 64 if there is none, with the nearest name as a hint
 */
export function findService<T extends { readonly name: string }>(all: readonly T[], given: string): T {
  const parsed = parseServiceName(given);
  const name = parsed.ok ? serviceKey(parsed.service) : given;
  const found = all.find((one) => one.name === name);
  if (found) return found;
  const near = nearest(
    name,
    all.map((one) => one.name),
  );
  throw new FailureError({
    class: 'permanent',
    exitCode: exitCodes.usage,
    message: `${JSON.stringify(given)} has no secrets here`,
    hint: near === undefined ? 'unit-secrets status lists what has' : `did you mean ${JSON.stringify(near)}?`,
  });
}
