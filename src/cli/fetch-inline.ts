import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { directoryName } from '../domain/service-name.ts';
import { readLoadedUnit } from '../effects/unit-reader.ts';
import { fetchSecrets } from '../fetch/fetch.ts';
import { readPlan } from '../fetch/read-plan.ts';
import { dropInName, paths } from '../unit/paths.ts';
import { serviceOf } from './fetch.ts';
import { obtainFrom } from './obtain.ts';
import { toExitCode } from './report-failure.ts';
import { writeInlineSet } from './write-secrets.ts';

/**
 * `fetch --inline X`, as X.service itself calls it before it starts: fetches with the token that it has as
 * a credential, in its own context, and takes no part in what the other fetches share.
 */
export function fetchInlineCommand(name: string, root: string): Promise<ExitCode> {
  return toExitCode(async () => {
    const service = serviceOf(name);
    const unit = await readLoadedUnit(root, `${service.name}.service.d/${dropInName}`);
    const { fetch, provider } = readPlan(unit.settings);
    const request = { ...fetch, unitDigest: '', force: true };
    const obtaining = obtainFrom(provider, root, request, { alone: true });
    await fetchSecrets(fetch, {
      obtain: (references) => obtaining.obtain(references),
      // an inline entry has no configs
      readTemplate: () => '',
      write: (set) => writeInlineSet(set, `${root}${paths.inline}/${directoryName(service.name)}`, service),
    });
    return exitCodes.ok;
  });
}
