import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { parseServiceAccountToken } from '../domain/service-account-token.ts';
import { readConfiguredToken } from '../effects/configured-token.ts';
import { describeKey } from '../effects/identity-file.ts';
import { permanentFailure } from '../effects/read-limited.ts';
import { writeOut } from '../effects/standard-output.ts';
import { readHostSettings } from './host-settings.ts';
import { toExitCode } from './report-failure.ts';

/** `token check`: opens the token with this host's key and tells what it is for, nothing secret. */
export function tokenCheckCommand(options: {
  readonly json: boolean;
  readonly root: string;
}): Promise<ExitCode> {
  return toExitCode(async () => {
    const { token } = await readHostSettings(options.root);
    const { text, path, key } = await readConfiguredToken(token, options.root);
    const parsed = parseServiceAccountToken(text);
    if (!parsed.ok) throw permanentFailure(exitCodes.configuration, path, parsed.message, parsed.hint);
    const { signInAddress, email } = parsed.token;
    if (options.json) {
      writeOut(
        `${JSON.stringify({ file: path, ...(key === undefined ? {} : { key }), signInAddress, email })}\n`,
      );
    } else {
      writeOut(`file             ${path}\n`);
      if (key !== undefined) writeOut(`opened by        ${describeKey(key)}\n`);
      writeOut(`sign-in address  ${signInAddress}\n`);
      writeOut(`account          ${email}\n`);
    }
    return exitCodes.ok;
  });
}
