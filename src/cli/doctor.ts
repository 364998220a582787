import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { readManifest } from '../domain/manifest-reader.ts';
import { readLoadedUnits } from '../effects/loaded-units.ts';
import { readManifestFiles } from '../effects/read-manifest.ts';
import { paths } from '../unit/paths.ts';
import { error, type HostFinding } from './doctor/finding.ts';
import { checkGenerator } from './doctor/generator.ts';
import { checkClock, checkKernel, checkSystemd } from './doctor/host.ts';
import { checkManifest } from './doctor/manifest.ts';
import { checkMemory } from './doctor/memory.ts';
import { checkProvider } from './doctor/provider.ts';
import { checkServices, servicesOk } from './doctor/services.ts';
import { planChanges } from './plan.ts';
import { toExitCode } from './report-failure.ts';
import { type Colour, paint, print, printJson } from './terminal.ts';

/**
 * `doctor`: looks at the host, with a remedy for each thing that is wrong.
 *
 * @returns 0, 1 if there is an error
 */
export function doctorCommand(options: { readonly json: boolean }): Promise<ExitCode> {
  return toExitCode(async () => {
    const findings = await examine();
    if (options.json) printJson({ findings });
    else for (const finding of findings) print(tell(finding));
    return findings.some(({ verdict }) => verdict === 'error') ? exitCodes.problems : exitCodes.ok;
  });
}

async function examine(): Promise<HostFinding[]> {
  const source = await readManifestFiles('', paths);
  const manifest = source.kind === 'read' ? source.manifest : readManifest(undefined, []);
  const loaded = readLoadedUnits('');
  const hasEntries = manifest.services.length + manifest.sshKeys.length + manifest.broken.length > 0;
  const services = checkServices(manifest, loaded);
  return [
    ...checkSystemd(manifest),
    ...checkKernel(),
    ...checkGenerator(loaded, hasEntries),
    ...(source.kind === 'missing'
      ? [error('manifest', `there is no ${paths.manifest}`, 'write one: man unit-secrets.manifest')]
      : checkManifest(manifest, (await planChanges('')).changes)),
    ...checkMemory(hasEntries, loaded),
    ...checkClock(new Date()),
    ...(hasEntries ? await checkProvider(manifest) : []),
    ...(services.length === 0 && hasEntries ? [servicesOk(manifest)] : services),
  ];
}

const marks: Readonly<Record<HostFinding['verdict'], readonly [Colour, string]>> = {
  ok: ['green', 'ok     '],
  warning: ['yellow', 'warning'],
  error: ['red', 'error  '],
};

function tell({ check, verdict, message, remedy }: HostFinding): string {
  const [colour, mark] = marks[verdict];
  const line = `${paint(colour, mark)} ${check}: ${message}\n`;
  return remedy === undefined ? line : `${line}        ${remedy}\n`;
}
