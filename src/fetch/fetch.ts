import {
  credentialSizeHint,
  credentialSizeProblem,
  type SizedCredential,
} from '../domain/credential-size.ts';
import { environmentValueProblem, serialiseEnvironmentFile } from '../domain/environment-file.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { ConfigFile, NamedValue } from '../domain/manifest.ts';
import { textProblem } from '../domain/manifest-collector.ts';
import { formatProblem, type Problem, quoteName } from '../domain/problem.ts';
import { parseTemplate, type TemplateProblem, templateNeeds, undeclaredNames } from '../domain/template.ts';
import { composeValue, parseValue, referencesOf, type ValuePart } from '../domain/value.ts';
import type { FetchPlan } from './read-plan.ts';
import { type RenderValues, serialiseRenderValues } from './render-values.ts';

/** A complete set of secrets, as it is to be written. */
export interface SecretSet {
  /** The text of `env`; undefined without an environment. */
  readonly environment: string | undefined;
  readonly credentials: readonly NamedValue[];
  readonly files: readonly { readonly name: string; readonly content: string; readonly mode: number }[];
  /** What X-config.service needs, as JSON; undefined without configs. */
  readonly renderValues: string | undefined;
}

/** What a fetch needs of the world. */
export interface FetchWorld {
  /** The values of all references, see `obtain`. */
  readonly obtain: (references: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  /** The text of a template. @throws FailureError */
  readonly readTemplate: (path: string) => string;
  readonly write: (set: SecretSet) => void;
}

type ParsedValue = readonly [name: string, parts: readonly ValuePart[]];

/** A config, and what its template uses. */
interface ConfigNeeds {
  readonly name: string;
  readonly values: readonly ParsedValue[];
  readonly variables: readonly string[];
  readonly references: readonly string[];
}

/**
 * Fetches all that a service needs and writes it as one.
 *
 * @throws FailureError with why not; nothing has been changed then
 */
export async function fetchSecrets(plan: FetchPlan, world: FetchWorld): Promise<void> {
  const environment = parseAll(plan.environment);
  const credentials = parseAll(plan.credentials);
  const files = parseAll(plan.files.map(({ name, value }) => [name, value]));
  const configs = plan.configs.map((config) => needsOf(config, environment, world.readTemplate));

  const parts = [...environment, ...credentials, ...files, ...configs.flatMap(({ values }) => values)];
  const references = new Set([
    ...referencesOf(parts.map(([, value]) => value)),
    ...configs.flatMap((config) => config.references),
  ]);
  const resolved = await world.obtain([...references]);

  const compose = (values: readonly ParsedValue[], problemOf: typeof textProblem): NamedValue[] =>
    values.map(([name, value]) => {
      const text = composeValue(value, resolved);
      const problem = problemOf(name, text);
      if (problem !== undefined) throw unfit(problem);
      return [name, text];
    });
  const quotedProblem: typeof textProblem = (name, text) => textProblem(quoteName(name), text);
  const variables = compose(environment, environmentValueProblem);
  const renderValues: RenderValues = new Map(
    configs.map(({ name, values, variables: used, references: inTemplate }) => {
      const declared = new Map([...variables, ...compose(values, textProblem)]);
      return [
        name,
        {
          names: new Map(used.map((variable) => [variable, declared.get(variable) ?? ''])),
          references: new Map(inTemplate.map((reference) => [reference, resolved.get(reference) ?? ''])),
        },
      ];
    }),
  );
  const given = compose(credentials, quotedProblem);
  const contents = compose(files, quotedProblem);
  const sizes = [...given, ...contents.filter((_, index) => plan.files[index]?.credential)].map(
    ([id, content]): SizedCredential => ({ id, bytes: Buffer.byteLength(content) }),
  );
  // those that are rendered come to it when they are
  checkCredentialSizes(sizes);
  const set: SecretSet = {
    environment: variables.length > 0 ? serialiseEnvironmentFile(variables) : undefined,
    credentials: given,
    files: contents.map(([name, content], index) => ({
      name,
      content,
      mode: plan.files[index]?.mode ?? 0o400,
    })),
    renderValues: configs.length > 0 ? serialiseRenderValues(renderValues, sizes) : undefined,
  };
  world.write(set);
}

function parseAll(values: readonly NamedValue[]): ParsedValue[] {
  return values.map(([name, text]) => {
    const parsed = parseValue(text);
    if (parsed.ok) return [name, parsed.parts];
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message: `${name}: ${parsed.messages.join('; ')}`,
    });
  });
}

function needsOf(
  { name, template, values }: Pick<ConfigFile, 'name' | 'template' | 'values'>,
  environment: readonly ParsedValue[],
  readTemplate: FetchWorld['readTemplate'],
): ConfigNeeds {
  const parsed = parseTemplate(readTemplate(template));
  if (!parsed.ok) throw templateFailure(template, parsed.problems);
  const own = parseAll(values);
  const undeclared = undeclaredNames(
    parsed.parts,
    [...environment, ...own].map(([declared]) => declared),
  );
  if (undeclared.length > 0) throw templateFailure(template, undeclared);
  const { names, references } = templateNeeds(parsed.parts);
  return { name, values: own, variables: names, references };
}

/** A failure that names each place in the template. */
export function templateFailure(template: string, problems: readonly TemplateProblem[]): FailureError {
  const lines = problems.map((problem): string =>
    formatProblem({ file: template, ...problem } satisfies Problem),
  );
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.dataError,
    message: lines.join('\n'),
  });
}

/** @throws FailureError if systemd would not start the service with them */
export function checkCredentialSizes(credentials: readonly SizedCredential[]): void {
  const problem = credentialSizeProblem(credentials);
  if (problem !== undefined) throw unfit(problem, credentialSizeHint);
}

function unfit(message: string, hint = 'change the value in the vault'): FailureError {
  return new FailureError({
    class: 'permanent',
    exitCode: exitCodes.dataError,
    message,
    hint,
  });
}
