import type { Service } from '../domain/manifest.ts';
import type { ServiceName } from '../domain/service-name.ts';
import type { UnitContext } from './context.ts';
import { type GeneratedFile, generatedFile } from './generated-file.ts';
import { dropInName } from './paths.ts';
import { retryTimer } from './retry-timer.ts';
import { secretsUnit } from './secrets-unit.ts';
import { serviceDropIn } from './service-drop-in.ts';
import { serialiseSettings } from './unit-file.ts';
import { addValues } from './x-secrets-settings.ts';

/** Stands for a service's name, and is treated like one; longer than the name of any group. */
const standIn = 'this-stands-for-the-name-of-a-service';
const standInName: ServiceName = { name: standIn, base: standIn };
const standInMarker = '.ok-marker';
/** Names that stand in every setting as they are, and are too short for any limit of systemd's. */
const asItIs = /^[A-Za-z0-9_-]{1,150}$/;

/** The texts of the units of services that differ in their names and values only, cut where the name stands. */
export interface Mould {
  readonly secrets: readonly string[];
  readonly retry: readonly string[];
  readonly dropIn: readonly string[];
}

/**
 * Units of most services are the same but for names and values: to build them once and to put the names in
 * takes a tenth of the time, of which a generator of a thousand services has none to lose.
 */
export class Moulds {
  readonly #context: UnitContext;
  readonly #moulds = new Map<string, Mould>();

  constructor(context: UnitContext) {
    this.#context = context;
  }

  /** @returns undefined for a service whose units are to be built one by one */
  of(service: Service): Mould | undefined {
    const { name, file, group = '', runtimeDirectory, configs } = service;
    if (runtimeDirectory !== undefined || configs.length > 0 || !asItIs.test(name.name)) return undefined;
    const key = `${group} ${file}`;
    let mould = this.#moulds.get(key);
    if (!mould) {
      const { executable, provider } = this.#context;
      if (`${executable} ${file} ${JSON.stringify(provider)}`.includes(standIn)) return undefined;
      mould = this.#make(service);
      this.#moulds.set(key, mould);
    }
    return mould;
  }

  #make({ file, group, inline }: Service): Mould {
    const model: Service = {
      name: standInName,
      file,
      environment: [],
      credentials: [],
      files: [],
      configs: [],
      inline,
      ...(group === undefined ? {} : { group }),
    };
    const withEnvironment = { ...model, environment: [['NAME', '']] as const };
    const cut = (unit: Parameters<typeof generatedFile>[0]) => generatedFile(unit).content.split(standIn);
    return {
      secrets: cut(secretsUnit(model, this.#context, { formerDirectories: [] })),
      retry: cut(retryTimer(standInName, file, this.#context)),
      dropIn: cut(serviceDropIn(withEnvironment, standInMarker)),
    };
  }
}

/** `X-secrets.service`: the values are the end of its last section. */
export function castSecrets({ secrets }: Mould, service: Service): GeneratedFile {
  const { name } = service.name;
  return {
    path: `${name}-secrets.service`,
    content: secrets.join(name) + serialiseSettings(addValues([], service)),
  };
}

/** `X-retry.timer`. */
export function castRetry({ retry }: Mould, { name: { name } }: Service): GeneratedFile {
  return { path: `${name}-retry.timer`, content: retry.join(name) };
}

/** The drop-in of a service that is given nothing but environment; undefined for others. */
export function castDropIn(
  { dropIn }: Mould,
  { name: { name }, environment, credentials, files }: Service,
  marker: string,
): GeneratedFile | undefined {
  if (environment.length === 0 || credentials.length > 0 || files.length > 0) return undefined;
  return {
    path: `${name}.service.d/${dropInName}`,
    content: dropIn.join(name).replace(standInMarker, marker),
  };
}
