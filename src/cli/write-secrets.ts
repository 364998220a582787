import { existsSync, readFileSync } from 'node:fs';
import { exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { companionName, directoryName, type ServiceName } from '../domain/service-name.ts';
import { type NewDirectory, type NewFile, writeSet } from '../effects/secret-directory.ts';
import type { SecretSet } from '../fetch/fetch.ts';
import { directoryRecord, paths, renderValues } from '../unit/paths.ts';

/** Where the secrets of a service go. */
export interface SecretPlaces {
  readonly root: string;
  readonly service: ServiceName;
  /** The directory below /run that has environment and files, instead of the one with the marker. */
  readonly runtimeDirectory: string | undefined;
  /** Whether a group may read files. */
  readonly grouped: boolean;
  /** All runtime directories of the unit that this runs in, as systemd names them: absolute, with `:` between. */
  readonly owned?: string | undefined;
}

/** Where the marker of a service's set is, and all that is not elsewhere. */
export function stateDirectory({ root, service }: Pick<SecretPlaces, 'root' | 'service'>): string {
  return `${root}${paths.secrets}/${directoryName(service.name)}`;
}

/**
 * Writes a set for a unit of root's: `env`, `files/NAME`, `credentials/ID`, and what X-config.service needs.
 *
 * @throws FailureError with 73, or 74 where there is no room; what was there before is still there
 */
export function writeSecretSet(set: SecretSet, marker: string, places: SecretPlaces): void {
  const state = stateDirectory(places);
  const { root, runtimeDirectory, grouped, owned = '' } = places;
  const directory = runtimeDirectory === undefined ? state : `${root}/run/${runtimeDirectory}`;
  const inState: NewFile[] = [
    ...set.credentials.map(([id, content]) => ({ path: `credentials/${id}`, content, mode: 0o400 })),
    ...(set.renderValues === undefined
      ? []
      : [{ path: renderValues, content: set.renderValues, mode: 0o400 }]),
    ...recorded(state, [
      ...visibleNames(owned),
      ...(runtimeDirectory === undefined ? [] : [runtimeDirectory]),
    ]),
  ];
  const visible = visibleFiles(set);
  const filesMode = { files: grouped ? 0o750 : 0o700 };
  // what is elsewhere now was here before, or the other way round: it goes
  const rest = { managed: ['env', renderValues], subdirectories: { credentials: 0o700, ...filesMode } };
  const directories: NewDirectory[] =
    runtimeDirectory === undefined
      ? [{ directory: state, files: [...inState, ...visible], ...rest }]
      : [
          { directory: state, files: inState, ...rest },
          { directory, files: visible, managed: ['env'], subdirectories: filesMode },
        ];
  write(directory, places.service, () => writeSet(directories, { directory: state, name: marker }));
}

/**
 * Writes a set for the service that runs this itself: `env` and `files/NAME`, in a directory of its own. That
 * has the mode that the service gives its runtime directories: systemd sets it again before each command. So
 * what is in it keeps others out, `env` with 0600 and `files` with 0700.
 *
 * @throws FailureError as above
 */
export function writeInlineSet(set: SecretSet, directory: string, service: ServiceName): void {
  write(directory, service, () =>
    writeSet([{ directory, files: visibleFiles(set), managed: ['env'], subdirectories: { files: 0o700 } }]),
  );
}

function visibleFiles({ environment, files }: SecretSet): NewFile[] {
  return [
    ...(environment === undefined ? [] : [{ path: 'env', content: environment, mode: 0o600 }]),
    ...files.map(({ name, content, mode }) => ({ path: `files/${name}`, content, mode })),
  ];
}

/** Those of a unit's runtime directories that are not below /run/unit-secrets, relative to /run. */
function visibleNames(owned: string): string[] {
  return owned
    .split(':')
    .filter((path) => path.startsWith('/run/') && !path.startsWith(`${paths.state}/`))
    .map((path) => path.slice('/run/'.length));
}

/**
 * Later units of the service have to wipe what it has now, even if its entry names another directory by then: be it
 * one that is empty, made since an earlier edition had it.
 */
function recorded(state: string, now: readonly string[]): NewFile[] {
  const path = `${state}/${directoryRecord}`;
  const before = existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];
  const names = [...new Set([...before, ...now])];
  if (names.length === 0) return [];
  return [{ path: directoryRecord, content: names.map((name) => `${name}\n`).join(''), mode: 0o400 }];
}

function write(directory: string, service: ServiceName, work: () => void): void {
  try {
    work();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new FailureError({
      class: 'transient',
      exitCode: code === 'ENOSPC' ? exitCodes.ioError : exitCodes.cannotCreate,
      message: `cannot write to ${directory}${code === '' ? '' : ` (${code})`}`,
      hint:
        code === 'ENOENT'
          ? `${companionName(service, 'secrets')}.service makes it: start that unit`
          : 'what was there before is still there',
    });
  }
}
