import { readFileSync } from 'node:fs';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { ConfigFile } from '../domain/manifest.ts';
import { render } from '../domain/render/render.ts';
import { companionName, directoryName, type ServiceName } from '../domain/service-name.ts';
import { parseTemplate, type TemplateValues, templateNeeds } from '../domain/template.ts';
import { log } from '../effects/journal-log.ts';
import { type NewFile, writeSet } from '../effects/secret-directory.ts';
import { shortHash } from '../effects/short-hash.ts';
import { readTemplateFile } from '../effects/template-file.ts';
import { readLoadedUnit } from '../effects/unit-reader.ts';
import { checkCredentialSizes, templateFailure } from '../fetch/fetch.ts';
import { readPlan } from '../fetch/read-plan.ts';
import { parseCredentialSizes, parseRenderValues, type RenderValues } from '../fetch/render-values.ts';
import { paths, renderValues } from '../unit/paths.ts';
import { xSecretsText } from '../unit/x-secrets.ts';
import { serviceOf } from './fetch.ts';
import { toExitCode } from './report-failure.ts';
import { stateDirectory } from './write-secrets.ts';

type Config = Omit<ConfigFile, 'formatGiven'>;

/**
 * `render X`, as X-config.service calls it: renders X's templates with what X-secrets.service has fetched.
 * All of them are rendered before any is installed, and nothing is if one cannot be.
 *
 * @returns 65 for a template or a value that cannot be rendered, 75 where the secrets are not there
 */
export function renderCommand(name: string, root: string): Promise<ExitCode> {
  return toExitCode(async () => {
    const service = serviceOf(name);
    const secretsUnit = `${companionName(service, 'secrets')}.service`;
    const unit = await readLoadedUnit(root, secretsUnit);
    const plan = readPlan(unit.settings).fetch;
    const text = readValues(stateDirectory({ root, service }), secretsUnit);
    const values = parseRenderValues(text);
    const files = plan.configs.map(
      (config): NewFile => ({
        path: config.name,
        content: renderOne(config, root, values, secretsUnit),
        mode: config.mode,
      }),
    );
    const own = files.filter((_, index) => plan.configs[index]?.credential);
    const sizes = own.map(({ path, content }) => ({ id: path, bytes: Buffer.byteLength(content) }));
    if (own.length > 0) checkCredentialSizes([...parseCredentialSizes(text), ...sizes]);
    const marker = `.ok-${shortHash(xSecretsText(unit.text))}`;
    install(files, marker, service, root, plan.runtimeDirectory);
    log('info', `rendered ${files.map(({ path }) => path).join(', ')}`);
    return exitCodes.ok;
  });
}

function readValues(directory: string, secretsUnit: string): string {
  try {
    return readFileSync(`${directory}/${renderValues}`, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    throw new FailureError({
      class: 'transient',
      exitCode: exitCodes.temporaryFailure,
      message: `the values for the templates are not in ${directory}${code}`,
      hint: `systemctl reload-or-restart ${secretsUnit} fetches them`,
    });
  }
}

function renderOne(
  { name, template, format }: Config,
  root: string,
  values: RenderValues,
  secretsUnit: string,
): string {
  const parsed = parseTemplate(readTemplateFile(root + template));
  if (!parsed.ok) throw templateFailure(template, parsed.problems);
  const own = values.get(name);
  const needs = templateNeeds(parsed.parts);
  const unfetched = own ? missing(needs, own) : [...needs.names, ...needs.references];
  if (!own || unfetched.length > 0) {
    throw new FailureError({
      class: 'permanent',
      exitCode: exitCodes.dataError,
      message: `${template}: ${unfetched.map((one) => JSON.stringify(one)).join(', ')} came into the template after its values were fetched`,
      hint: `systemctl reload ${secretsUnit} fetches and renders anew`,
    });
  }
  const rendered = render({ format, parts: parsed.parts, values: own });
  if (rendered.ok) return rendered.text;
  throw templateFailure(template, rendered.problems);
}

function missing(needs: ReturnType<typeof templateNeeds>, { names, references }: TemplateValues): string[] {
  return [
    ...needs.names.filter((one) => !names.has(one)),
    ...needs.references.filter((one) => !references.has(one)),
  ];
}

/** Puts all files in place as one; those of an earlier edition of the entry go. */
function install(
  files: readonly NewFile[],
  marker: string,
  service: ServiceName,
  root: string,
  runtimeDirectory: string | undefined,
): void {
  const own = `${root}${paths.config}/${directoryName(service.name)}`;
  const directory = runtimeDirectory === undefined ? own : `${root}/run/${runtimeDirectory}/config`;
  try {
    writeSet([{ directory, files, managed: 'all', subdirectories: {} }], { directory: own, name: marker });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    throw new FailureError({
      class: 'transient',
      exitCode: code === ' (ENOSPC)' ? exitCodes.ioError : exitCodes.cannotCreate,
      message: `cannot write to ${directory}${code}`,
      hint: `${companionName(service, 'config')}.service makes it; what was there before is still there`,
    });
  }
}
