import { environmentValueProblem, serialiseEnvironmentFile } from '../domain/environment-file.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { composeValue, parseValue, referencesOf, type ValuePart } from '../domain/value.ts';

/** What a unit's `[X-Secrets]` section says. */
export interface FetchPlan {
  readonly service: string;
  readonly tries: number;
  /** Seconds for everything, waiting for others included. */
  readonly timeout: number;
  readonly environment: readonly (readonly [name: string, value: string])[];
}

/** What a fetch needs of the world. */
export interface FetchWorld {
  /** The values of all references, see `obtain`. */
  readonly obtain: (references: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  readonly write: (environment: string | undefined) => void;
}

/**
 * Fetches all that a service needs and writes it as one.
 *
 * @throws FailureError with why not; nothing has been changed then
 */
export async function fetchSecrets(plan: FetchPlan, world: FetchWorld): Promise<void> {
  const values = plan.environment.map(([name, text]): readonly [string, readonly ValuePart[]] => {
    const parsed = parseValue(text);
    if (parsed.ok) return [name, parsed.parts];
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message: `${name}: ${parsed.message}`,
    });
  });
  const references = referencesOf(values.map(([, parts]) => parts));
  const resolved = await world.obtain(references);

  const variables = values.map(([name, parts]) => [name, composeValue(parts, resolved)] as const);
  for (const [name, value] of variables) {
    const problem = environmentValueProblem(name, value);
    if (problem === undefined) continue;
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message: problem,
      hint: 'change the value in the vault',
    });
  }
  world.write(variables.length > 0 ? serialiseEnvironmentFile(variables) : undefined);
}
