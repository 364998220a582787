import { describeRecipients } from '../domain/age-header.ts';
import { parseAgeVault, recipientsMember } from '../domain/age-vault.ts';
import { serialiseAgeVault } from '../domain/age-vault-edit.ts';
import { type ExitCode, exitCodes } from '../domain/exit-codes.ts';
import { FailureError } from '../domain/failure.ts';
import { formatProblem } from '../domain/problem.ts';
import {
  describeRecipient,
  distinct,
  type Recipient,
  readRecipientOption,
} from '../effects/age-recipients.ts';
import {
  type OpenedAgeVault,
  openAgeVault,
  presumedRecipients,
  recordedRecipients,
  rewrite,
  whileLocked,
} from '../effects/age-vault-file.ts';
import { requireWritable } from '../effects/atomic-file.ts';
import { log } from '../effects/journal-log.ts';
import { canAsk, readSecret } from '../effects/prompt.ts';
import { type EditedText, openInMemory } from '../effects/ram-editor.ts';
import { toExitCode } from './report-failure.ts';
import { type VaultWriteOptions, vaultPlace, waitingForVault } from './vault.ts';

/** What the person is shown in the editor's title. */
const fileName = 'vault.json';

/** `vault edit`: has the whole vault edited in a file in memory; its recipients are what the text says then. */
export function vaultEditCommand(options: VaultWriteOptions): Promise<ExitCode> {
  return toExitCode(async () => {
    const place = await vaultPlace(options);
    const work = async (): Promise<void> => {
      const opened = await openAgeVault(place);
      requireWritable(place.path);
      const { recipients, unknown } = await presumedRecipients(place, opened);
      if (unknown.length > 0) {
        log(
          'warning',
          `${place.path} is encrypted for ${describeRecipients(unknown)} too: add the public key to "${recipientsMember}", or it is left out`,
        );
      }
      const additional = options.recipients.flatMap(readRecipientOption);
      const all = distinct([...recipients, ...additional]);
      const before = serialiseAgeVault(
        opened.vault,
        all.map(({ text }) => text),
      );
      const text = openInMemory(before, fileName);
      let keep = false;
      try {
        const edited = await editUntilSound(text, additional.length > 0 ? undefined : before);
        if (!edited) {
          log('info', 'nothing was changed');
          return;
        }
        try {
          await rewrite(place, opened, edited.vault, edited.recipients);
        } catch (error) {
          keep = true;
          log(
            'warning',
            `what was edited is kept in memory, in ${text.path}; remove it when it is not needed`,
          );
          throw error;
        }
        log('info', `changed ${place.path}`);
        log('info', `it can be opened by ${edited.recipients.map(describeRecipient).join(', ')}`);
      } finally {
        if (!keep) text.remove();
      }
    };
    await whileLocked(place.path, work, waitingForVault(place.path));
    return exitCodes.ok;
  });
}

interface Edited {
  readonly vault: OpenedAgeVault['vault'];
  readonly recipients: readonly Recipient[];
}

/** Has it edited until it is a vault; undefined if it is as it was, and need not be written anew. */
async function editUntilSound(text: EditedText, before: string | undefined): Promise<Edited | undefined> {
  for (;;) {
    const after = await text.edit();
    if (after === before) return undefined;
    try {
      return readEdited(after);
    } catch (error) {
      if (!(error instanceof FailureError)) throw error;
      if (!canAsk()) {
        const hint = 'nothing was changed; on a terminal you are asked to edit it again';
        throw new FailureError({ ...error.failure, hint });
      }
      for (const line of error.failure.message.split('\n')) log('error', line);
      const answer = await readSecret(
        'press Enter to edit it again, or type q to leave everything as it was',
      );
      if (answer.trim().toLowerCase() === 'q') return undefined;
    }
  }
}

function readEdited(text: string): Edited {
  const refuse = (message: string): FailureError =>
    new FailureError({ class: 'permanent', exitCode: exitCodes.dataError, message });
  const result = parseAgeVault(text, fileName);
  if (!result.ok) throw refuse(result.problems.map(formatProblem).join('\n'));
  const recipients = distinct(recordedRecipients(fileName, result) ?? []);
  if (recipients.length === 0)
    throw refuse(`${fileName}: "${recipientsMember}" names nobody, who could open it?`);
  return { vault: result.vault, recipients };
}
