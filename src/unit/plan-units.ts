import type { BrokenEntry, Manifest, RefusedUnit, Service, SshKeys } from '../domain/manifest.ts';
import { formatProblem, type JsonPath, type Problem } from '../domain/problem.ts';
import { parseServiceName, type ServiceName, serviceKey, unitOfDirectory } from '../domain/service-name.ts';
import { brokenDropIn, brokenSecretsUnit, refusedDropIn } from './broken-units.ts';
import { configUnit, heldConfigUnit } from './config-unit.ts';
import type { Machine, UnitContext } from './context.ts';
import { type GeneratedFile, generatedFile } from './generated-file.ts';
import { manifestUnit } from './manifest-unit.ts';
import { memoryMount } from './memory-mount.ts';
import { castDropIn, castRetry, castSecrets, type Mould, Moulds } from './moulds.ts';
import { orphanUnit } from './orphan-units.ts';
import { paths } from './paths.ts';
import { renewalName, renewalUnit } from './renewal-unit.ts';
import { retryTimer } from './retry-timer.ts';
import { type FetchOptions, secretsUnit } from './secrets-unit.ts';
import { inlineDropIn, inlineWipe, serviceDropIn } from './service-drop-in.ts';
import {
  brokenSshKeyUnit,
  sshKeyLinks,
  sshKeyRetryName,
  sshKeyRetryUnit,
  sshKeyService,
  sshKeyTimeouts,
  sshKeyUnit,
} from './ssh-key-units.ts';
import { tokenUnit } from './token-unit.ts';
import type { UnitFile } from './unit-file.ts';
import { wantedTarget } from './wanted-target.ts';
import { xSecretsText } from './x-secrets.ts';

/** What is left in /run/unit-secrets/secrets of a service that has been started. */
export interface LeftDirectory {
  readonly directory: string;
  /** Names of further directories below /run that it has had. */
  readonly runtimeDirectories: readonly string[];
  /** The marker of the set that is there, if it is complete. */
  readonly marker?: string;
}

/** What the generator read: the manifest, and what earlier runs left. */
export interface GeneratorInput {
  readonly manifest: Manifest;
  /** Whether there is none at all, and only what is left of one matters. */
  readonly removed?: boolean;
  /** Names that can be made out in a file that is not JSON or has a general problem. */
  readonly visibleNames: readonly string[];
  /** Below /run/unit-secrets/secrets. */
  readonly secretsDirectories: readonly LeftDirectory[];
  /** Directories below /run/unit-secrets/config. */
  readonly configDirectories: readonly string[];
  /** Directories below /run/unit-secrets/inline. */
  readonly inlineDirectories?: readonly string[];
  /** Lines of /var/lib/unit-secrets/services, and services that have been fetched for since the boot. */
  readonly listed: readonly string[];
  /** The place of a value in a file of the manifest. */
  readonly locate?: (file: string, path: JsonPath) => Problem['position'];
}

export interface GeneratedLink {
  readonly path: string;
  readonly target: string;
}

export interface UnitPlan {
  /** In the order in which they are to be written: a drop-in without its unit keeps a service down. */
  readonly files: readonly GeneratedFile[];
  readonly links: readonly GeneratedLink[];
  /** Directories below /run that no entry has any more; systemd removes them with the units that own them. */
  readonly orphans: readonly string[];
  readonly problems: readonly Problem[];
  /** Those of them that are of what is in memory, not of the manifest. */
  readonly held: readonly Problem[];
}

/**
 * Decides what the generator writes; the same input gives the same bytes.
 *
 * @param hash a digest of a text, short and fit for a file name
 */
export function planUnits(input: GeneratorInput, machine: Machine, hash: (text: string) => string): UnitPlan {
  return new Planner(input, machine, hash).plan();
}

class Planner {
  readonly #input: GeneratorInput;
  readonly #context: UnitContext;
  readonly #moulds: Moulds;
  readonly #hash: (text: string) => string;
  readonly #dropIns: GeneratedFile[] = [];
  readonly #units: GeneratedFile[] = [];
  readonly #links: GeneratedLink[] = [];
  readonly #orphans: string[] = [];
  /** Services with units of ours, by name. */
  readonly #names = new Map<string, ServiceName>();
  /** Those that are worth remembering for a boot at which the manifest cannot be read. */
  readonly #known: ServiceName[] = [];
  /** Names of files in which a service's secrets unit or its configuration unit is written. */
  readonly #written = new Set<string>();
  /** What looks like services in a file that cannot be read, and cannot be one of ours. */
  readonly #refused: RefusedUnit[] = [];
  readonly #former = new Map<string, readonly string[]>();
  readonly #left = new Map<string, LeftDirectory>();
  /** Problems of the machine's state: what a service may not have yet, by its name. */
  readonly #held = new Map<string, Problem>();

  constructor(input: GeneratorInput, machine: Machine, hash: (text: string) => string) {
    const { provider, token, fetch } = input.manifest;
    this.#input = input;
    const runtimeDirectories: string[] = [];
    for (const { runtimeDirectory } of input.manifest.services)
      if (runtimeDirectory !== undefined) runtimeDirectories.push(runtimeDirectory);
    this.#context = { ...machine, provider, token, fetch, runtimeDirectories };
    this.#moulds = new Moulds(this.#context);
    this.#hash = hash;
    if (input.secretsDirectories.length > 0) this.#readLeft();
  }

  #readLeft(): void {
    const input = this.#input;
    for (const left of input.secretsDirectories) this.#left.set(unitOfDirectory(left.directory), left);
    for (const service of input.manifest.services) {
      const problem = this.#heldByOther(service);
      if (problem) this.#held.set(service.name.name, problem);
    }
    const claimed = new Set(
      input.manifest.services
        .filter(({ name }) => !this.#held.has(name.name))
        .map(({ runtimeDirectory }) => runtimeDirectory),
    );
    for (const [unit, left] of this.#left) {
      // one that another service has now is wiped by that one
      const former = left.runtimeDirectories.filter((name) => !claimed.has(name));
      if (former.length > 0) this.#former.set(unit, former);
    }
  }

  plan(): UnitPlan {
    const { manifest, removed = false } = this.#input;
    const { general, partial, problems } = manifest;
    for (const entry of manifest.broken) this.#keepDown(entry, [...entry.problems, ...general]);
    for (const service of manifest.services) {
      const held = this.#held.get(service.name.name);
      const reasons = held ? [held, ...general] : general;
      if (reasons.length > 0) this.#keepDown(service, reasons);
      else this.#service(service);
    }
    for (const keys of manifest.sshKeys) {
      if (general.length > 0) this.#keepDown(keys, general);
      else this.#sshKeys(keys);
    }
    if (general.length > 0 || partial.length > 0) this.#keepDownPerhaps([...general, ...partial]);
    else this.#wipeOrphans();
    this.#wipeInline();
    // with an empty manifest, too: what was opened for earlier ones is its own to wipe
    this.#add(memoryMount(this.#context), wantedTarget(), tokenUnit(this.#known, this.#context, !removed));
    if (removed) this.#orphans.push('unit-secrets/token');
    // what no service's own unit reports
    const loose =
      problems.length === 0
        ? problems
        : problems.filter(({ service }) => service === undefined || !this.#names.has(service));
    if (loose.length > 0) {
      const unit = manifestUnit(loose.map(formatProblem), this.#context);
      this.#add(unit);
      this.#links.push({ path: `multi-user.target.wants/${unit.path}`, target: `../${unit.path}` });
    }
    // one that is generated is not kept down, to spare the service that it is for
    for (const refused of [...manifest.refused, ...this.#refused, ...manifest.displaced])
      if (!this.#written.has(refused.unit)) this.#refuse(refused);
    return {
      files: [...this.#dropIns, ...this.#units],
      links: this.#links,
      orphans: this.#orphans,
      problems: this.#held.size === 0 ? problems : [...problems, ...this.#held.values()],
      held: [...this.#held.values()],
    };
  }

  #add(...units: readonly UnitFile[]): void {
    for (const unit of units) {
      this.#written.add(unit.path);
      this.#units.push(generatedFile(unit));
    }
  }

  #formerOf(name: ServiceName): readonly string[] {
    if (this.#former.size === 0) return [];
    return this.#former.get(`${name.name}.service`) ?? [];
  }

  /**
   * Why a service may not have its directory yet: systemd would give it what the other one still has there,
   * secrets and all. A service that has had the directory itself goes on.
   */
  #heldByOther({ name, file, runtimeDirectory }: Service): Problem | undefined {
    if (runtimeDirectory === undefined || this.#left.size === 0) return undefined;
    const own = `${name.name}.service`;
    const has = (left: LeftDirectory | undefined) =>
      left?.runtimeDirectories.includes(runtimeDirectory) ?? false;
    if (has(this.#left.get(own))) return undefined;
    for (const [unit, left] of this.#left) {
      if (unit === own || !has(left)) continue;
      return {
        file,
        ...this.#placeOf(file, name, 'runtimeDirectory'),
        message: `/run/${runtimeDirectory} still has secrets of ${unit}`,
        hint: `stop ${unit}, then run systemctl daemon-reload`,
        service: name.name,
      };
    }
    return undefined;
  }

  /** Where a member of a service's entry stands, whose key may have the suffix `.service`. */
  #placeOf(file: string, name: ServiceName, member: string): Pick<Problem, 'path' | 'position'> {
    const keys = [serviceKey(name), `${name.name}.service`];
    const candidates = keys.map((key): JsonPath => ['services', key, member]);
    for (const path of candidates) {
      const position = this.#input.locate?.(file, path);
      if (position) return { path, position };
    }
    return { path: candidates[0] ?? [] };
  }

  /** Where else rendered files of a service may be, relative to /run. */
  #renderedBefore({ name }: ServiceName): readonly string[] {
    const directories = this.#left.get(`${name}.service`)?.runtimeDirectories ?? [];
    return directories.filter((one) => !this.#claimedByOther(one, name)).map((one) => `${one}/config`);
  }

  #claimedByOther(directory: string, name: string): boolean {
    return this.#input.manifest.services.some(
      (service) =>
        service.runtimeDirectory === directory &&
        service.name.name !== name &&
        !this.#held.has(service.name.name),
    );
  }

  #service(service: Service): void {
    this.#names.set(service.name.name, service.name);
    this.#known.push(service.name);
    if (service.inline) {
      this.#dropIns.push(generatedFile(inlineDropIn(service, this.#context)));
      return;
    }
    const formerDirectories = this.#formerOf(service.name);
    const mould = formerDirectories.length === 0 ? this.#moulds.of(service) : undefined;
    const marker = mould ? this.#cast(service, mould) : this.#fetched(service, { formerDirectories });
    const renewal = this.#renewalOf(service, marker);
    const dropIn = mould && renewal === undefined ? castDropIn(mould, service, marker) : undefined;
    this.#dropIns.push(dropIn ?? generatedFile(serviceDropIn(service, marker, renewal)));
    if (service.configs.length > 0) this.#add(configUnit(service, this.#context, marker, renewal));
  }

  /** Adds what renews a set of another edition of the entry, if there is one. */
  #renewalOf(service: Service, marker: string): string | undefined {
    const left = this.#left.get(`${service.name.name}.service`);
    const name = left && left.marker !== marker ? renewalName(service.name) : undefined;
    if (name !== undefined) this.#add(renewalUnit(name, service, marker, this.#context));
    return name;
  }

  /** Adds what fetches a service's secrets; the name of the marker tells that it is done. */
  #fetched(
    service: Service,
    options: FetchOptions,
    context: UnitContext = this.#context,
    retries?: string,
  ): string {
    const file = generatedFile(secretsUnit(service, context, options));
    return this.#addFetch(file, generatedFile(retryTimer(service.name, service.file, context, retries)));
  }

  /** The same for a service like others. */
  #cast(service: Service, mould: Mould): string {
    return this.#addFetch(castSecrets(mould, service), castRetry(mould, service));
  }

  #addFetch(secrets: GeneratedFile, retry: GeneratedFile): string {
    this.#written.add(secrets.path);
    this.#units.push(secrets, retry);
    return `.ok-${this.#hash(xSecretsText(secrets.content))}`;
  }

  #sshKeys(keys: SshKeys): void {
    this.#names.set(keys.name.name, keys.name);
    const { fetch } = this.#context;
    const timeout = Math.min(fetch.timeout, sshKeyTimeouts.fetch);
    const marker = this.#fetched(
      sshKeyService(keys),
      { formerDirectories: [], early: { timeoutStart: sshKeyTimeouts.start } },
      { ...this.#context, fetch: { ...fetch, timeout } },
      sshKeyRetryName(keys),
    );
    const unit = sshKeyUnit(keys, marker, this.#context);
    this.#add(unit, sshKeyRetryUnit(keys, this.#context));
    this.#links.push(...sshKeyLinks(unit.path));
  }

  #keepDown(entry: Pick<BrokenEntry, 'name' | 'file' | 'user'>, reasons: readonly Problem[]): void {
    const { name, file, user } = entry;
    this.#names.set(name.name, name);
    const former = this.#formerOf(name);
    const messages = reasons.map(formatProblem);
    if (user === undefined) {
      this.#known.push(name);
      const holds = this.#input.configDirectories.some(
        (one) => unitOfDirectory(one) === `${name.name}.service`,
      );
      this.#dropIns.push(generatedFile(brokenDropIn(entry, holds, this.#environmentLeft(name))));
      this.#add(brokenSecretsUnit(entry, messages, this.#context, former));
      if (holds) this.#add(heldConfigUnit(name, file, this.#context));
      return;
    }
    this.#add(brokenSecretsUnit(entry, messages, this.#context, former));
    const unit = brokenSshKeyUnit({ ...entry, user, problems: reasons }, this.#context);
    this.#add(unit);
    this.#links.push(...sshKeyLinks(unit.path));
  }

  /** The environment file of a complete set in memory; undefined as well where it may be in more than one directory. */
  #environmentLeft({ name }: ServiceName): string | undefined {
    const left = this.#left.get(`${name}.service`);
    if (left?.marker === undefined || left.runtimeDirectories.length > 1) return undefined;
    const [directory = `unit-secrets/secrets/${left.directory}`] = left.runtimeDirectories;
    return `/run/${directory}/env`;
  }

  #refuse(refused: RefusedUnit): void {
    const dropIn = generatedFile(refusedDropIn(refused));
    if (this.#dropIns.every(({ path }) => path !== dropIn.path)) this.#dropIns.push(dropIn);
  }

  /** What cannot be read any more may still be wanted: down with it, rather than up without secrets. */
  #keepDownPerhaps(reasons: readonly Problem[]): void {
    const { visibleNames, listed, secretsDirectories } = this.#input;
    const remembered = secretsDirectories.map(({ directory }) => unitOfDirectory(directory));
    for (const key of [...visibleNames, ...remembered, ...listed]) {
      const parsed = parseServiceName(key);
      if (!parsed.ok) {
        if (parsed.unit !== undefined) this.#refused.push({ unit: parsed.unit, file: paths.manifest });
        continue;
      }
      if (this.#names.has(parsed.service.name)) continue;
      // to keep a unit down that is generated for another service would cost that one
      if (this.#written.has(`${parsed.service.name}.service`)) continue;
      this.#keepDown({ name: parsed.service, file: paths.manifest }, reasons);
    }
  }

  #wipeOrphans(): void {
    const { secretsDirectories, configDirectories } = this.#input;
    const wipe = (directory: string, what: 'secrets' | 'config'): void => {
      const parsed = parseServiceName(unitOfDirectory(directory));
      if (!parsed.ok) return;
      const former =
        what === 'secrets' ? this.#formerOf(parsed.service) : this.#renderedBefore(parsed.service);
      const unit = orphanUnit(parsed.service, what, former, this.#context);
      if (this.#written.has(unit.path)) return;
      this.#add(unit);
      this.#orphans.push(`unit-secrets/${what}/${directory}`, ...former);
    };
    for (const { directory } of secretsDirectories) wipe(directory, 'secrets');
    for (const directory of configDirectories) wipe(directory, 'config');
  }

  /** A service that fetched for itself is wiped when it stops, whatever has become of its entry. */
  #wipeInline(): void {
    const { inlineDirectories = [], manifest } = this.#input;
    if (inlineDirectories.length === 0) return;
    const inline = new Set(
      manifest.services.filter((service) => service.inline).map(({ name }) => name.name),
    );
    for (const directory of inlineDirectories) {
      const parsed = parseServiceName(unitOfDirectory(directory));
      if (parsed.ok && !inline.has(parsed.service.name))
        this.#dropIns.push(generatedFile(inlineWipe(`${parsed.service.name}.service`, directory)));
    }
  }
}
