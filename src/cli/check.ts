import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { plan } from '../../generators/unit-secrets-generator.ts';
import { formatOfPath } from '../domain/config-format.ts';
import { withoutValues } from '../domain/covered-json.ts';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import type { ConfigFile, Manifest, Service } from '../domain/manifest.ts';
import { formatJsonPath, formatProblem, type Problem, quoteName } from '../domain/problem.ts';
import { bareReferences, checkTemplate } from '../domain/render/check.ts';
import { unknownGroups } from '../effects/groups.ts';
import { type LocateIn, readManifestFiles, readManifestFrom } from '../effects/read-manifest.ts';
import { readTemplateFile } from '../effects/template-file.ts';
import { paths } from '../unit/paths.ts';
import { type Summarized, summary } from './check-summary.ts';
import { type ManifestSet, manifestSets, noManifest, shownName } from './manifest-set.ts';
import { toExitCode } from './report-failure.ts';
import { snippetOf } from './snippet.ts';
import { paint, print, printJson, terminalSize } from './terminal.ts';

/** A problem as `check` tells it. */
export interface Finding extends Problem {
  readonly severity: 'error' | 'warning';
}

export interface CheckOptions {
  /** None for the manifest of this machine, or of the root. */
  readonly files: readonly string[];
  readonly root: string;
  readonly json: boolean;
  /** Whether to ask the provider, too, if references exist. */
  readonly online: boolean;
}

/**
 * `check`: everything that can be found wrong before systemd sees it, all at once.
 *
 * @returns 0 if there are no errors, 1 if there are, 66 if there is no manifest; 75, 77 or 78 if all that is wrong is
 *   that the provider could not be asked
 */
export function checkCommand(options: CheckOptions): Promise<ExitCode> {
  return toExitCode(async () => {
    const checked = await checkAll(options).catch((error: unknown) => {
      // programs get what they can read in any case
      if (options.json && error instanceof FailureError) printJson({ problems: asProblems(error, options) });
      throw error;
    });
    const findings = checked.flatMap((one) => one.findings);
    if (options.json) printJson({ problems: findings.map(flat) });
    else {
      const templates = new Set(checked.flatMap((one) => one.templates));
      const text = textsToShow(options.root, templates);
      for (const finding of findings) print(`${tell(finding, text)}\n`);
      print(`${summary(checked, findings)}\n`);
    }
    const errors = findings.filter(({ severity }) => severity === 'error').length;
    const unasked = checked.flatMap((one) => (one.unasked === undefined ? [] : [one.unasked]));
    // nothing else is wrong, as far as is known
    if (errors > 0 && errors === unasked.length) return unasked[0] ?? exitCodes.problems;
    return errors > 0 ? exitCodes.problems : exitCodes.ok;
  });
}

async function checkAll(options: CheckOptions): Promise<Checked[]> {
  return Promise.all(manifestsOf(options).map((one) => checkOne(one, options)));
}

/** Why nothing could be checked, a line each, as a problem of the file that it begins with. */
function asProblems({ failure }: FailureError, { files }: CheckOptions): Finding[] {
  return failure.message.split('\n').map((line): Finding => {
    const file = files.find((name) => line.startsWith(`${shownName(name)}: `));
    const message = file === undefined ? line : line.slice(shownName(file).length + 2);
    return { severity: 'error', file: file ?? paths.manifest, message };
  });
}

/** A manifest to be checked; `away` from the machine that it is for. */
interface Subject {
  readonly set?: ManifestSet;
  readonly away: boolean;
}

function manifestsOf({ files, root }: CheckOptions): Subject[] {
  if (files.length === 0) return [{ away: root !== '' }];
  return manifestSets(files).map((set) => ({ set, away: true }));
}

interface Checked extends Summarized {
  readonly findings: readonly Finding[];
  /** Templates, which everybody may see. */
  readonly templates: readonly string[];
  /** Why the provider could not be asked, as an exit code. */
  readonly unasked?: ExitCode;
}

/** What units would call, which is of no interest here. */
const anyExecutable = '/usr/bin/unit-secrets';

async function checkOne({ set, away }: Subject, options: CheckOptions): Promise<Checked> {
  const { root } = options;
  const source = set ? await readManifestFrom(set.main, set.fragments) : await readManifestFiles(root, paths);
  if (source.kind === 'missing') {
    throw noManifest(root, 'name a file to be checked, or write one');
  }
  const { manifest, visibleNames } = source;
  const locate = hostPath(set, root);
  // of this machine, what is in memory may stand against what is right in itself
  const held = set ? undefined : (await plan({ root, executable: anyExecutable }))?.held;
  const findings: Finding[] = [
    ...[...manifest.problems, ...(held ?? [])].map((problem): Finding => ({ severity: 'error', ...problem })),
    ...manifest.doubts.map((doubt): Finding => ({ severity: 'warning', ...doubt })),
  ].sort(byPlace);
  for (const service of manifest.legible) {
    const declares = declaresForSure(service, manifest.problems);
    findings.push(...checkTemplates(service, declares, locate));
  }
  findings.push(...checkHostFiles(manifest, locate, away));
  if (!away) findings.push(...checkGroups(manifest, await source.locator()));
  const templates = manifest.legible.flatMap(({ configs }) =>
    configs.map(({ template }) => locate(template)),
  );
  const file = set?.main ?? set?.fragments[0] ?? paths.manifest;
  if (!options.online) return { manifest, visibleNames, findings, templates };
  if (manifest.general.length > 0) {
    const message = 'the provider was not asked about the references';
    findings.push({ severity: 'warning', file, message, hint: 'correct the errors first' });
    return { manifest, visibleNames, findings, templates };
  }
  try {
    const { findMissingReferences } = await import('./check-online.ts');
    const missing = await findMissingReferences(manifest, root, {
      manifest: (name) => textOf(name, root),
      template: (path) => ({ file: locate(path), text: textOf(locate(path), '') }),
    });
    findings.push(...missing);
    return { manifest, visibleNames, findings, templates };
  } catch (error) {
    // what was found until then is worth no less
    if (!(error instanceof FailureError)) throw error;
    const { message, hint, exitCode } = error.failure;
    const finding: Finding = { severity: 'error', file, message, ...(hint === undefined ? {} : { hint }) };
    return { manifest, visibleNames, findings: [...findings, finding], templates, unasked: exitCode };
  }
}

/** Files in the order in which they were read, in each from the top. */
function byPlace(a: Finding, b: Finding): number {
  if (a.file !== b.file) return 0;
  const [one, other] = [a.position ?? { line: 0, column: 0 }, b.position ?? { line: 0, column: 0 }];
  return one.line - other.line || one.column - other.column;
}

/** Whether no other name than those that could be read was meant to be declared for templates. */
function declaresForSure({ name }: Service, problems: readonly Problem[]): boolean {
  return !problems.some(({ service, path = [] }) => {
    const [, , member, , ofConfig, ...deeper] = path;
    if (service !== name.name || path.length < 3) return false;
    // a member that is wrong as a whole, or not known
    return path.length === 3 || (member === 'configs' && ofConfig !== undefined && deeper.length === 0);
  });
}

type Locate = (path: string) => string;

/** Where a file of the host is: in a checkout, what is below /etc/unit-secrets is beside the manifest. */
function hostPath(set: ManifestSet | undefined, root: string): Locate {
  const file = set?.main ?? set?.fragments[0];
  if (file === undefined) return (path) => root + path;
  const base = set?.main === undefined ? dirname(dirname(file)) : dirname(file);
  return (path) => {
    const beside = path.startsWith('/etc/unit-secrets/')
      ? join(base, path.slice('/etc/unit-secrets/'.length))
      : path;
    return beside !== path && (existsSync(beside) || root === '') ? beside : root + path;
  };
}

function checkTemplates(service: Service, declares: boolean, locate: Locate): Finding[] {
  // a path that is wrong is told with the manifest
  const configs = service.configs.filter(({ template }) => template.startsWith('/'));
  return configs.flatMap((config) => [
    ...checkConfig(service, config, declares, locate),
    ...checkFormat(service, config),
  ]);
}

/** A name such as config.yaml.tpl tells nobody that the file is YAML: nothing would be escaped. */
function checkFormat(service: Service, { name, template, format, formatGiven }: ConfigFile): Finding[] {
  const meant = formatOfPath(name);
  if (format !== 'text' || formatGiven || meant === 'text') return [];
  return [
    {
      severity: 'warning',
      file: template,
      message: `values are put into ${quoteName(name)} as they are, as the name of its template does not tell its format`,
      hint: `add "format": "${meant}" to the config, or "format": "text" if that is meant`,
      service: service.name.name,
    },
  ];
}

function checkConfig(service: Service, config: ConfigFile, declares: boolean, locate: Locate): Finding[] {
  const file = locate(config.template);
  const finding = { severity: 'error', service: service.name.name } as const;
  let text: string;
  try {
    text = readTemplateFile(file);
  } catch (error) {
    if (!(error instanceof FailureError)) throw error;
    const message = error.failure.message.slice(file.length + 2);
    const hint = `config ${quoteName(config.name)} of ${quoteName(service.name.name)} names it`;
    return [{ ...finding, file, message, hint }];
  }
  const declared = declares ? [...service.environment, ...config.values].map(([name]) => name) : undefined;
  const problems = checkTemplate(text, config.format, declared);
  return [
    ...problems.map((problem): Finding => ({ ...finding, file, ...problem })),
    ...bareReferences(text).map((doubt): Finding => ({ ...finding, severity: 'warning', file, ...doubt })),
  ].sort(byPlace);
}

/** Token, keys and vault; in a checkout, or for another user than root, they may well be out of sight. */
function checkHostFiles(manifest: Manifest, locate: Locate, away: boolean): Finding[] {
  if (manifest.services.length + manifest.sshKeys.length === 0) return [];
  const { provider, token } = manifest;
  const severity = away ? 'warning' : 'error';
  const findings: Finding[] = [];
  const need = (path: string, what: string, hint: string, least: Finding['severity'] = severity): void => {
    const state = stateOf(locate(path));
    if (state === 'there') return;
    const message = state === 'missing' ? `${what} is missing` : `${what} cannot be seen by this user`;
    findings.push({ file: path, severity: state === 'missing' ? least : 'warning', message, hint });
  };
  const needOne = (identities: readonly string[]): void => {
    if (identities.some((path) => stateOf(locate(path)) !== 'missing')) return;
    const [file = '', ...others] = identities;
    const message = `the private key is missing${others.length > 0 ? `, and so is ${others.join(', ')}` : ''}`;
    findings.push({ file, severity, message, hint: '"ssh-keygen -A" makes host keys' });
  };
  if (provider.type === 'age-vault') {
    need(provider.path, 'the vault', 'unit-secrets vault init makes one');
    needOne(provider.identities);
  } else if (token.kind === 'age') {
    need(token.path, 'the sealed token', 'unit-secrets token seal makes it');
    needOne(token.identities);
  } else if (token.kind === 'credential') {
    const path = `/etc/credstore.encrypted/${token.id}`;
    need(path, 'the encrypted credential', 'systemd-creds encrypt makes it');
  } else need(token.path, 'the token', 'another tool puts it there, perhaps at boot only', 'warning');
  return findings;
}

/** A group may come with a package, or by another tool, later. */
function checkGroups({ services }: Manifest, placeOf: LocateIn): Finding[] {
  const unknown = unknownGroups(services.flatMap(({ group }) => group ?? []));
  return services.flatMap(({ name, file, group }): Finding[] => {
    if (group === undefined || !unknown.has(group)) return [];
    // as it may be written
    const [key = name.name, position] =
      [name.name, `${name.name}.service`]
        .map((one) => [one, placeOf(file, ['services', one, 'group'])] as const)
        .find(([, place]) => place !== undefined) ?? [];
    const message = `this system has no group ${quoteName(group)}: the secrets of ${name.name}.service cannot be fetched`;
    return [
      {
        severity: 'warning',
        file,
        ...(position === undefined ? {} : { position }),
        path: ['services', key, 'group'],
        message,
        hint: `groupadd --system ${group} makes it`,
        service: name.name,
      },
    ];
  });
}

function stateOf(path: string): 'there' | 'missing' | 'hidden' {
  try {
    return statSync(path) ? 'there' : 'missing';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return code === 'EACCES' || code === 'EPERM' ? 'hidden' : 'missing';
  }
}

function tell(finding: Finding, textToShow: (file: string) => string): string {
  const isError = finding.severity === 'error';
  const line = isError
    ? paint('red', formatProblem(finding))
    : paint('yellow', `warning: ${formatProblem(finding)}`);
  if (!finding.position) return line;
  const snippet = snippetOf(textToShow(finding.file), finding.position, terminalSize()?.columns);
  return snippet === undefined ? line : `${line}\n${snippet}`;
}

/** Of each file what may be seen of it, made once however much is wrong with it. */
function textsToShow(root: string, templates: ReadonlySet<string>): (file: string) => string {
  const texts = new Map<string, string>();
  return (file) => {
    let shown = texts.get(file);
    if (shown === undefined) {
      const text = textOf(file, root);
      shown = templates.has(file) ? text : withoutValues(text);
      texts.set(file, shown);
    }
    return shown;
  };
}

/** The text that a finding points into; the manifest's own files are told without the root. */
function textOf(file: string, root: string): string {
  for (const path of [root + file, file]) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      // the next one, or no snippet
    }
  }
  return '';
}

/** As `--json` has it: positions as members of their own, the path as JSONPath. */
function flat({ position, path, ...finding }: Finding): object {
  return { ...finding, ...(position ?? {}), ...(path === undefined ? {} : { path: formatJsonPath(path) }) };
}
