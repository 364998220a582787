export type Setting = readonly [name: string, value: string];

export interface Section {
  readonly name: string;
  /** In order; names repeated at will. */
  readonly settings: readonly Setting[];
  /** Lines after the settings that many units share, serialised once (`serialiseSettings`). */
  readonly block?: string;
}

/** A unit file or drop-in. */
export interface UnitFile {
  /** The unit's name, or for a drop-in `X.service.d/50-….conf`: the path below the normal directory. */
  readonly path: string;
  /** The file of the manifest that it comes from. */
  readonly source: string;
  /** Lines for whoever reads the file with `systemctl cat`. */
  readonly comments?: readonly string[];
  readonly sections: readonly Section[];
}

/** Lines of a unit file as in systemd.syntax(7); values must have been escaped for their setting (`syntax.ts`). */
export function serialiseSettings(settings: readonly Setting[]): string {
  let text = '';
  // by index: taking pairs apart costs more than all the rest, in a program that runs for 10 ms
  for (const setting of settings) text += `${setting[0]}=${setting[1]}\n`;
  return text;
}

/** Writes a unit file; sections without settings are left out. */
export function serialiseUnit(unit: UnitFile, header: readonly string[]): string {
  let text = '';
  for (const line of header) text += `# ${line}\n`;
  for (const line of unit.comments ?? []) text += `# ${line}\n`;
  for (const { name, settings, block = '' } of unit.sections) {
    if (settings.length > 0 || block !== '') text += `\n[${name}]\n${serialiseSettings(settings)}${block}`;
  }
  return text;
}
