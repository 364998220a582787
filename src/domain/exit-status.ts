/** What systemd ends a process with before it has become the unit's program (systemd.exec(5), "PROCESS EXIT CODES"). */
const meanings: Readonly<Record<number, string>> = {
  203: 'its program is missing or cannot be executed (203/EXEC)',
  216: 'the group of its entry does not exist (216/GROUP)',
  226: 'systemd could not set up its sandbox, perhaps as a path that it names is missing (226/NAMESPACE)',
};

/** Of units that are given the token and nothing else. */
export const noCredentials = 243;

/** What an exit status of systemd's own means, for units of ours; undefined for others. */
export const meaningOfStatus = (status: number): string | undefined => meanings[status];
